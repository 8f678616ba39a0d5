"""An event loop without a clock: when nothing is to be done, it is at once the time of what comes next.

Each piece of work belongs to a process, by the context that it runs in. A process that is stopped does nothing until it
goes on, and one that is killed does nothing ever again, wherever it was.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

MAX_TURNS = 300_000  # of the loop, which none needs that comes to an end
_BEGINS_AT = 1_000.0


class Process:
    """What can be stopped and killed as one. `lag`: seconds by which its clocks are behind the others'."""

    def __init__(self, name: str, loop: SimulatedLoop) -> None:
        self.name = name
        self.dead = False
        self.lag = 0.0
        self._loop = loop
        self._stopped = False
        self._held: list[asyncio.Handle] = []
        loop.processes.append(self)

    @property
    def stopped(self) -> bool:
        """Whether it does nothing now."""
        return self._stopped

    def run(self, work: Coroutine[Any, Any, T], name: str | None = None) -> asyncio.Task[T]:
        """Begin some work in it."""
        context = contextvars.copy_context()
        context.run(_PROCESS.set, self)
        task: asyncio.Task[T] = self._loop.create_task(work, name=name, context=context)
        return task

    def soon(self, call: Callable[..., object], *arguments: object) -> None:
        """Call something in it."""
        context = contextvars.copy_context()
        context.run(_PROCESS.set, self)
        self._loop.call_soon(call, *arguments, context=context)

    def stop(self) -> None:
        """Do nothing from now on."""
        self._stopped = True

    def go_on(self) -> None:
        """Do what there was to do meanwhile, and go on."""
        self._stopped = False
        held, self._held = self._held, []
        for handle in held:
            self._loop.enqueue(handle)

    def hold(self, handle: asyncio.Handle) -> bool:
        """Take over what is not to be done now, or only at the very end (see `SimulatedLoop.finish`)."""
        held = self._stopped or self.dead
        if held:
            self._held.append(handle)
        return held


_PROCESS: contextvars.ContextVar[Process] = contextvars.ContextVar("process")


class _Handle(asyncio.Handle):
    """As the base, without what is for debugging."""

    __slots__ = ("process",)
    process: Process | None

    def __init__(
        self, callback: Callable[..., object], args: Any, loop: SimulatedLoop, context: contextvars.Context | None
    ) -> None:
        self._context = contextvars.copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = self._source_traceback = None
        if context is not None and _PROCESS in context:
            self.process = context[_PROCESS]
        else:
            self.process = _PROCESS.get(None) if context is None else None
            self.process = self.process or loop.process


class _TimerHandle(_Handle):
    """`asyncio.TimerHandle`, as far as anybody asks."""

    __slots__ = ("_when",)

    def __init__(self, when: float, *rest: Any) -> None:
        super().__init__(*rest)
        self._when = when

    def when(self) -> float:
        return self._when


class SimulatedLoop(asyncio.BaseEventLoop):
    """See the module. `now`: seconds. `process`: that runs now. `failures`: what nobody has caught."""

    def __init__(self) -> None:
        super().__init__()
        self.now = _BEGINS_AT
        self.num_turns = 0
        self.process: Process | None = None
        self.processes: list[Process] = []
        self.failures: list[str] = []
        self.network: Any = None
        self._timers: list[tuple[float, int, _TimerHandle]] = []
        self._num_timers = 0
        self.set_exception_handler(self._note)

    def time(self) -> float:
        """See the base."""
        return self.now

    def enqueue(self, handle: asyncio.Handle) -> None:
        """Have something done next."""
        self._ready.append(handle)  # type: ignore[attr-defined]

    def create_task(self, coro: Any, *, name: Any = None, context: contextvars.Context | None = None) -> Any:
        """See the base. A task that is given a context of its own is of the process that makes it."""
        if context is not None and _PROCESS not in context and self.process is not None:
            context.run(_PROCESS.set, self.process)
        return super().create_task(coro, name=name, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """See the base."""
        timer = _TimerHandle(when, callback, args, self, context)
        self._num_timers += 1
        heapq.heappush(self._timers, (when, self._num_timers, timer))
        return timer  # type: ignore[return-value]

    def call_at_nobodys(self, when: float, callback: Callable[..., object], *args: Any) -> None:
        """Call something at a time that no process does."""
        self.call_at(when, callback, *args, context=_NOBODYS)

    async def create_connection(self, protocol_factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:
        """See the base: in the network."""
        return await self.network.connect(self.process, protocol_factory, port)

    async def create_server(self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        """See the base: in the network."""
        return self.network.listen(self.process, protocol_factory, options["sock"].getsockname()[1])

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        """See the base: there are no threads here."""
        done: asyncio.Future[T] = self.create_future()
        self.call_soon(_settle, done, func, args)
        return done

    def finish(self) -> None:
        """End all that is left, also of what was killed, and close."""
        tasks = asyncio.all_tasks(self)
        for process in self.processes:
            process.dead = False
            process.go_on()
        for task in tasks:
            task.cancel()
        self.set_exception_handler(lambda loop, context: None)
        self.run_until_complete(asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 600))
        self.close()

    def _call_soon(self, callback: Any, args: Any, context: contextvars.Context | None) -> asyncio.Handle:
        handle = _Handle(callback, args, self, context)
        self._ready.append(handle)  # type: ignore[attr-defined]
        return handle

    def _run_once(self) -> None:
        """See the base: the time that it waits has passed at once."""
        ready, timers = self._ready, self._timers  # type: ignore[attr-defined]
        self.num_turns += 1
        if self.num_turns > MAX_TURNS:
            self.num_turns = 0
            raise RuntimeError("it goes on and on")
        if not ready:
            while timers and timers[0][2]._cancelled:
                heapq.heappop(timers)
            if not timers:
                raise RuntimeError("nothing will ever happen again")
            self.now = max(self.now, timers[0][0])
        while timers and timers[0][0] <= self.now:
            ready.append(heapq.heappop(timers)[2])
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            process = self.process = handle.process
            if process is None or not process.hold(handle):
                handle._run()
        self.process = None

    def _write_to_self(self) -> None:
        """See the base: nobody else is there."""

    def _note(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.failures.append(f"{context.get('message')}: {context.get('exception')!r}")


_NOBODYS = contextvars.Context()


def _settle(done: asyncio.Future[Any], func: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        result = func(*arguments)
    except Exception as error:
        if not done.done():
            done.set_exception(error)
    else:
        if not done.done():
            done.set_result(result)
