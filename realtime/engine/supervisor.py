"""The supervisor: an `Engine` around an engine that is replaced when it dies.

It owns one task, which waits for the death of the current engine and starts the next one. It decides nothing about
requests: those of a dead engine have had `on_error(EngineDead)`, and new ones are refused until the next engine serves.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from .backoff import Backoff
from .base import Engine, EngineDead, EngineError, EngineLost, EngineRequest, EngineStats, Loaded, Seen, Sink
from .pictures import View

log = logging.getLogger("realtime.engine.supervisor")


class EngineState(enum.Enum):
    """The state of the supervised engine."""

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
    start_seconds: float | None = None  # how long the last start took that succeeded


class SupervisedEngine:
    """An `Engine` that delegates to the current engine of `factory` and restarts it when it dies."""

    def __init__(
        self,
        factory: Callable[[], Engine],
        backoff: Backoff | None = None,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """`sleep`, `clock` (unix time), `timer` (seconds from an arbitrary start) and `uniform` are for tests."""
        self._factory = factory
        self._backoff = backoff or Backoff()
        self._sleep, self._clock, self._timer, self._uniform = sleep, clock, timer, uniform
        self._status = EngineStatus(EngineState.STOPPED, clock())
        self._engine: Engine | None = None  # the one that serves
        self._loaded: Loaded | None = None
        self._task: asyncio.Task[None] | None = None
        self._over = False  # no engine will serve any more
        self._waiting: list[asyncio.Future[None]] = []  # for the next change
        self.on_status: list[Callable[[EngineStatus], None]] = []
        """Called synchronously after each change; must not raise. The server asks for `status`; tests wait on this."""

    @property
    def status(self) -> EngineStatus:
        """Return the state for health checks."""
        return self._status

    @property
    def loaded(self) -> Loaded | None:
        """Return what the serving engine has loaded; None in every state but READY."""
        return self._loaded

    async def start(self) -> Loaded:
        """Start the first engine; see `Engine.start`. A failure is raised: a wrong path must not be tried for ever."""
        assert self._task is None, "an engine starts once"
        self._set(EngineState.STARTING)
        try:
            engine, loaded = await self._start_one()
        except BaseException as error:
            self._over = True
            self._set(EngineState.STOPPED, str(error) or type(error).__name__)
            raise
        self._serve(engine, loaded)
        self._task = asyncio.create_task(self._supervise(engine), name="engine-supervisor")
        return loaded

    async def wait_ready(self) -> Loaded:
        """Return what is loaded once an engine serves: at once, or after the current or the next start.

        An engine whose death a sink was told of does not count. Raises EngineError when none will serve any more.
        """
        while self._loaded is None:
            if self._over:
                raise EngineError(self._status.last_error or "the engine was shut down")
            changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(changed)
            await changed
        return self._loaded

    async def look(self, prompt_token_ids: Sequence[int], views: Sequence[View]) -> Seen:
        """See `Engine.look`."""
        if self._engine is None:
            raise EngineDead(f"the engine is {self._status.state.value}")
        return await self._engine.look(prompt_token_ids, views)

    async def submit(self, request: EngineRequest, sink: Sink) -> None:
        """Submit a generation; see `Engine.submit`. Raises EngineDead also while the engine restarts."""
        engine = self._engine
        if engine is None:
            raise EngineDead(f"the engine is {self._status.state.value}")
        try:
            await engine.submit(request, _Watched(sink, self, engine))
        except EngineLost:
            raise
        except EngineDead as dead:
            self._retire(engine, dead)  # a caller that waits for the next one must not get this one again
            raise

    async def abort(self, request_id: str) -> None:
        """See `Engine.abort`."""
        if self._engine is not None:
            await self._engine.abort(request_id)

    def stats(self) -> EngineStats:
        """Return what the engine holds; all zero while no engine serves."""
        return self._engine.stats() if self._engine is not None else EngineStats(0, 0, 0.0)

    async def wait_dead(self) -> EngineDead:
        """Wait for ever: for its caller a supervised engine does not die, see `status`."""
        never: asyncio.Future[EngineDead] = asyncio.get_running_loop().create_future()
        return await never

    async def shutdown(self) -> None:
        """Free everything; see `Engine.shutdown`. Ends a restart that is under way."""
        task, self._task = self._task, None
        self._over = True
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
            serves_since = self._status.since
            self._retire(engine, await engine.wait_dead())
            if self._status.since - serves_since >= self._backoff.healthy_seconds:
                attempt = 0
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
        engine, began = self._factory(), self._timer()
        try:
            loaded = await engine.start()
        except BaseException:
            await engine.shutdown()
            raise
        self._status = msgspec.structs.replace(self._status, start_seconds=self._timer() - began)
        return engine, loaded

    def _retire(self, engine: Engine, dead: EngineDead) -> None:
        """Note the death of the serving engine. The first to hear of it calls this."""
        if self._engine is engine:
            self._engine = self._loaded = None
            self._set(EngineState.RESTARTING, str(dead))

    def _serve(self, engine: Engine, loaded: Loaded) -> None:
        self._engine, self._loaded = engine, loaded
        if self._status.state is EngineState.RESTARTING:
            self._status = msgspec.structs.replace(self._status, num_restarts=self._status.num_restarts + 1)
        self._set(EngineState.READY, self._status.last_error)

    def _set(self, state: EngineState, last_error: str | None = None) -> None:
        self._status = msgspec.structs.replace(self._status, state=state, since=self._clock(), last_error=last_error)
        log.info("engine state=%s restarts=%d", state.value, self._status.num_restarts)
        waiting, self._waiting = self._waiting, []
        for changed in waiting:
            if not changed.done():  # cancelled
                changed.set_result(None)
        for callback in self.on_status:
            callback(self._status)


class _Watched:
    """A sink that tells the supervisor of the engine's death before its own sink, which may ask for the next engine."""

    __slots__ = ("_engine", "_sink", "_supervisor", "on_chunk")

    def __init__(self, sink: Sink, supervisor: SupervisedEngine, engine: Engine) -> None:
        self._sink, self._supervisor, self._engine = sink, supervisor, engine
        self.on_chunk = sink.on_chunk  # no call more for each token

    def on_error(self, error: EngineError) -> None:
        """See `Sink`."""
        if isinstance(error, EngineDead) and not isinstance(error, EngineLost):
            self._supervisor._retire(self._engine, error)
        self._sink.on_error(error)
