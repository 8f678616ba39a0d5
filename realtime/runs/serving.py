"""The engine that serves responses, the model that it has loaded, and how that model is spoken to."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from realtime.dialects.base import Dialect
from realtime.engine.base import Engine, ModelInfo
from realtime.observability.observer import UNOBSERVED, Observer

from .image_loader import ImageLoader
from .work_pool import WorkPool


class Serving(msgspec.Struct, frozen=True):
    """All that a run needs besides its job. `work`: where it does what takes long. `images`: None if the model takes no
    images. `observer`: told of what it does. `prompt_read`: called when the
    engine has read a prompt, so that it has room for another.
    """

    engine: Engine
    model: ModelInfo
    dialect: Dialect
    work: WorkPool
    images: ImageLoader | None = None
    observer: Observer = UNOBSERVED
    prompt_read: Callable[[], None] = lambda: None
