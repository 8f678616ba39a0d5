"""Keep an engine alive: an `Engine` around an engine that is replaced when it dies.

It owns one task, which waits for the death of the current engine and starts the next one. It decides nothing about
requests: those of a dead engine have got `on_error(EngineDead)`, new ones are refused until the next engine serves.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from .base import Engine, EngineDead, EngineRequest, EngineStats, Loaded, Seen, Sink
from .pictures import View

log = logging.getLogger("realtime.engine.supervisor")


class EngineState(enum.Enum):
    """Where the supervised engine is in its life."""

    STARTING = "starting"  # for the first time
    READY = "ready"
    RESTARTING = "restarting"  # it died; the next one is being started, or waited with
    STOPPED = "stopped"  # not started yet, failed at the first start, or shut down


class EngineStatus(msgspec.Struct, frozen=True):
    """The state, for health and readiness."""

    state: EngineState
    since: float  # unix time
    last_error: str | None = None  # of the last death or failed start, also when it serves again
    num_restarts: int = 0


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait before the n-th start in a row that follows a death or a failure."""

    first_seconds: float = 0.5
    factor: float = 2.0
    max_seconds: float = 30.0
    jitter: float = 0.2  # up to this share more, so that many servers don't start in step
    healthy_seconds: float = 60.0  # an engine that served this long begins a new row

    def seconds(self, attempt: int) -> float:
        """The wait before attempt 0, 1, 2 ..., without jitter."""
        return min(self.max_seconds, self.first_seconds * self.factor ** min(attempt, 64))


class SupervisedEngine:
    """`Engine` that delegates to the current engine of `factory` and restarts it when it dies."""

    def __init__(
        self,
        factory: Callable[[], Engine],
        backoff: Backoff | None = None,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.time,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """`sleep`, `clock` (unix time) and `uniform` are for tests."""
        self._factory = factory
        self._backoff = backoff or Backoff()
        self._sleep, self._clock, self._uniform = sleep, clock, uniform
        self._status = EngineStatus(EngineState.STOPPED, clock())
        self._engine: Engine | None = None  # the one that serves
        self._loaded: Loaded | None = None
        self._task: asyncio.Task[None] | None = None
        self.on_status: list[Callable[[EngineStatus], None]] = []
        """Called synchronously after each change; must not raise. The server asks for `status`; tests wait on this."""

    @property
    def status(self) -> EngineStatus:
        """What to tell health checks."""
        return self._status

    @property
    def loaded(self) -> Loaded | None:
        """What the engine that serves has loaded; None in every state but READY."""
        return self._loaded

    async def start(self) -> Loaded:
        """See `Engine.start`. A failure of this first start is raised: a wrong path must not be tried for ever."""
        assert self._task is None, "an engine starts once"
        self._set(EngineState.STARTING)
        try:
            engine, loaded = await self._start_one()
        except BaseException as error:
            self._set(EngineState.STOPPED, str(error) or type(error).__name__)
            raise
        self._serve(engine, loaded)
        self._task = asyncio.create_task(self._supervise(engine), name="engine-supervisor")
        return loaded

    async def look(self, prompt_token_ids: Sequence[int], views: Sequence[View]) -> Seen:
        """See `Engine.look`."""
        if self._engine is None:
            raise EngineDead(f"the engine is {self._status.state.value}")
        return await self._engine.look(prompt_token_ids, views)

    async def submit(self, request: EngineRequest, sink: Sink) -> None:
        """See `Engine.submit`; EngineDead also while the engine restarts."""
        if self._engine is None:
            raise EngineDead(f"the engine is {self._status.state.value}")
        await self._engine.submit(request, sink)

    async def abort(self, request_id: str) -> None:
        """See `Engine.abort`."""
        if self._engine is not None:
            await self._engine.abort(request_id)

    def stats(self) -> EngineStats:
        """See `Engine.stats`; all zero while no engine serves."""
        return self._engine.stats() if self._engine is not None else EngineStats(0, 0, 0.0)

    async def wait_dead(self) -> EngineDead:
        """Never returns but by cancellation: for its caller a supervised engine does not die, see `status`."""
        never: asyncio.Future[EngineDead] = asyncio.get_running_loop().create_future()
        return await never

    async def shutdown(self) -> None:
        """See `Engine.shutdown`. Ends a restart that is under way."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        engine = self._engine
        self._engine = self._loaded = None
        if self._status.state is not EngineState.STOPPED:
            self._set(EngineState.STOPPED, self._status.last_error)
        if engine is not None:
            await engine.shutdown()

    async def _supervise(self, engine: Engine) -> None:
        attempt = 0
        while True:
            dead = await engine.wait_dead()
            if self._clock() - self._status.since >= self._backoff.healthy_seconds:
                attempt = 0
            self._engine = self._loaded = None
            self._set(EngineState.RESTARTING, str(dead))
            try:
                await engine.shutdown()  # what is left of it: sockets, worker processes
            except Exception:
                log.exception("dead engine did not shut down")
            while (restarted := await self._restart_one(attempt)) is None:
                attempt += 1
            attempt += 1
            engine, loaded = restarted
            self._serve(engine, loaded)

    async def _restart_one(self, attempt: int) -> tuple[Engine, Loaded] | None:
        seconds = self._backoff.seconds(attempt) * (1 + self._uniform(0, self._backoff.jitter))
        log.warning("engine restarts attempt=%d in_seconds=%.1f error=%s", attempt, seconds, self._status.last_error)
        await self._sleep(seconds)
        try:
            return await self._start_one()
        except Exception as error:
            log.exception("engine did not restart attempt=%d", attempt)
            self._set(EngineState.RESTARTING, str(error) or type(error).__name__)
            return None

    async def _start_one(self) -> tuple[Engine, Loaded]:
        engine = self._factory()
        try:
            return engine, await engine.start()
        except BaseException:
            await engine.shutdown()
            raise

    def _serve(self, engine: Engine, loaded: Loaded) -> None:
        self._engine, self._loaded = engine, loaded
        if self._status.state is EngineState.RESTARTING:
            self._status = msgspec.structs.replace(self._status, num_restarts=self._status.num_restarts + 1)
        self._set(EngineState.READY, self._status.last_error)

    def _set(self, state: EngineState, last_error: str | None = None) -> None:
        self._status = EngineStatus(state, self._clock(), last_error, self._status.num_restarts)
        log.info("engine state=%s restarts=%d", state.value, self._status.num_restarts)
        for callback in self.on_status:
            callback(self._status)
