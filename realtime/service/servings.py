"""Servings: the current engine with the dialect of its model, or the engine that the service waits for."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

from realtime.dialects.base import Dialect
from realtime.engine.base import Loaded
from realtime.engine.supervisor import SupervisedEngine
from realtime.observability.observer import Observer
from realtime.runs.image_loader import ImageLoader
from realtime.runs.serving import Continuity, Serving, not_ready
from realtime.runs.work_pool import WorkPool
from realtime.wire.errors import ErrorCode, WireError

_RETRY_SECONDS = 5.0  # that who is refused is to wait


class Servings:
    """The current engine and its dialect. `trouble` says why nothing serves now, or None when an engine does.
    `dialect`: made for the first engine that serves; None until then.
    """

    def __init__(
        self, engine: SupervisedEngine, make_dialect: Callable[[Loaded], Dialect], work: WorkPool, images: ImageLoader,
        observer: Observer, trouble: Callable[[], str | None], wait_seconds: float,
        prompt_read: Callable[[str], None] = lambda response_id: None,
        was_put_aside: Callable[[str], None] = lambda response_id: None,
    ) -> None:  # fmt: skip
        """wait_seconds: how long an answer waits for the next engine when its own has died. prompt_read, was_put_aside:
        see Serving.
        """
        self.dialect: Dialect | None = None
        self._engine = engine
        self._make_dialect = make_dialect
        self._work = work
        self._images = images
        self.observer = observer
        self._trouble = trouble
        self._wait_seconds = wait_seconds
        self._prompt_read = prompt_read
        self._was_put_aside = was_put_aside
        self._making = threading.Lock()
        self._served: tuple[Loaded, Serving] | None = None  # the newest

    def now(self) -> Serving:
        """Return the current engine and dialect. Raises WireError while no engine serves."""
        trouble = self._trouble()
        if trouble is not None:
            raise WireError(ErrorCode.ENGINE_UNAVAILABLE, trouble, retry_after=_RETRY_SECONDS)
        loaded, served = self._engine.loaded, self._served
        assert loaded is not None, "an engine that serves has loaded its model"
        if served is None or served[0] is not loaded:
            served = self._served = loaded, self._serve(loaded)
        return served[1]

    def _serve(self, loaded: Loaded) -> Serving:
        with self._making:
            if self.dialect is None:
                self.dialect = self._make_dialect(loaded)
        model, wait_ready = loaded.model, self._engine.wait_ready
        continuity = Continuity(
            loaded.fingerprint, loaded.goes_on, loaded.seeds_are_free, wait_ready, self._wait_seconds
        )
        images = self._images if model.sees else None
        return Serving(
            self._engine, model, self.dialect, self._work, images, self.observer, continuity, self._prompt_read,
            self._was_put_aside,
        )  # fmt: skip

    async def next(self) -> Serving:
        """Wait until an engine serves. Raises EngineError when none will."""
        while True:
            await self._engine.wait_ready()
            with contextlib.suppress(WireError):  # it has died again meanwhile
                return await asyncio.to_thread(self.now)  # the dialect of the first engine takes a while

    def none_yet(self) -> Serving:
        """Return the state before the first engine serves."""
        return not_ready(self._engine, self._work, self.observer)
