"""The engine that serves responses, its loaded model, and the dialect of that model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

import msgspec

from realtime.dialects.base import Dialect
from realtime.engine.base import Engine, Loaded, ModelInfo, Sampling
from realtime.observability.observer import UNOBSERVED, Observer

from .image_loader import ImageLoader
from .work_pool import WorkPool


class Continuity(msgspec.Struct, frozen=True):
    """The way from this engine to the next one. fingerprint, goes_on, seeds_are_free: as in Loaded. wait_ready: waits
    for the next engine, at most `wait_seconds`; None: there will be none.
    """

    fingerprint: str = ""
    goes_on: bool = False
    seeds_are_free: bool = False
    wait_ready: Callable[[], Awaitable[Loaded]] | None = None
    wait_seconds: float = 0.0


class Serving(msgspec.Struct, frozen=True):
    """Everything that a run needs besides its job. `work`: the pool for its slow work. `images`: None if the model
    takes no images. `observer`: takes its reports. `prompt_read`: called when the engine has read a prompt of this
    response, so that it has room for another. `was_put_aside`: called when the engine has released a response that the
    scheduler put aside.
    """

    engine: Engine
    model: ModelInfo
    dialect: Dialect
    work: WorkPool
    images: ImageLoader | None = None
    observer: Observer = UNOBSERVED
    continuity: Continuity = Continuity()
    prompt_read: Callable[[str], None] = lambda response_id: None
    was_put_aside: Callable[[str], None] = lambda response_id: None


def not_ready(engine: Engine, work: WorkPool, observer: Observer) -> Serving:
    """Return the serving before the first engine: nothing can be rendered or generated with it."""
    model = ModelInfo(name="", path="", max_model_len=0, defaults=Sampling(max_tokens=0))
    return Serving(engine, model, cast(Dialect, None), work, None, observer, Continuity(goes_on=True))
