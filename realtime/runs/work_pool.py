"""Threads for work that would block the event loop: rendering, tokenizing, decoding images.

asyncio's own threads grow with the cores, serve first come first served, and finish work that nobody waits for. Here
the threads are few, tenants take turns (`work_queue`), and work has a time limit. Work that is abandoned while it waits
never begins. Work that has begun is told when nobody wants it any more, and keeps its place until it stops.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from queue import SimpleQueue
from typing import Any, TypeVar

import msgspec

from realtime.wire.errors import ErrorCode, WireError

from .work_queue import QueueFull, WorkQueue

T = TypeVar("T")
IsWanted = Callable[[], bool]
Work = Callable[[IsWanted], T]


class WorkPool:
    """A pool of threads. It belongs to one event loop. The threads start with the first work, and end with `close`."""

    def __init__(self, num_threads: int, max_seconds: float, max_waiting: int = 1024) -> None:
        """max_seconds: to wait, and then for each piece of work. max_waiting: pieces of work of one tenant."""
        self._num_threads = num_threads
        self._max_seconds = max_seconds
        self._queue: WorkQueue[Place] = WorkQueue(num_threads, max_waiting)
        self._begun: SimpleQueue[_Begun | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    @property
    def num_waiting(self) -> int:
        """The pieces of work that have no place yet."""
        return self._queue.num_waiting

    @property
    def num_busy(self) -> int:
        """The places that are held."""
        return self._queue.num_held

    @property
    def num_threads(self) -> int:
        """Return how many places there are."""
        return self._num_threads

    async def run(self, tenant: str, work: Work[T], *, heavy: bool = False) -> T:
        """Do this work in a thread and return its result. When the caller is cancelled, this returns at once.

        work: is given a function, cheap to call, that says whether its result is still wanted. heavy: it may take long.
        Raises WireError when it waits or takes too long, and what the work raises.
        """
        async with self.place(tenant, heavy=heavy) as place:
            return await place.run(work)

    @asynccontextmanager
    async def place(self, tenant: str, *, heavy: bool = False) -> AsyncIterator[Place]:
        """Hold a place for several pieces of work in a row. Raises WireError, as `run`."""
        place = Place(self, tenant, heavy)
        try:
            self._queue.add(place)
        except QueueFull:
            raise self._overloaded("too much work is waiting already") from None
        self._give_places()
        try:
            await self._wait_for(place)
            yield place
        finally:
            self._leave(place)

    def close(self) -> None:
        """Let the threads end as soon as they can; the work that they still do is wanted by nobody."""
        for _ in self._threads:
            self._begun.put(None)
        self._threads.clear()

    async def do(self, place: Place, work: Work[T]) -> T:
        """See Place.run."""
        self._start_threads()
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        place.working = True
        self._begun.put(_Begun(place, work, done))
        try:
            async with asyncio.timeout(self._max_seconds) as limit:
                result: T = await done
        except TimeoutError:
            if not limit.expired():  # the work's own
                raise
            text = f"Preparing this request takes longer than the {self._max_seconds:g} seconds it may: send less."
            raise WireError(ErrorCode.INVALID_PROMPT, text) from None
        return result

    async def _wait_for(self, place: Place) -> None:
        if place.held:
            return
        try:
            async with asyncio.timeout(self._max_seconds):
                await place.granted
        except TimeoutError:
            raise self._overloaded(f"other work did not leave room within {self._max_seconds:g} seconds") from None

    def _overloaded(self, why: str) -> WireError:
        text = f"The server is busy preparing requests, and {why}: try again later."
        return WireError(ErrorCode.SERVER_IS_OVERLOADED, text, retry_after=self._max_seconds)

    def _give_places(self) -> None:
        while (place := self._queue.take()) is not None:
            place.held = True
            if not place.granted.done():  # its caller may have been cancelled in this turn of the loop
                place.granted.set_result(None)

    def _leave(self, place: Place) -> None:
        place.wanted = False
        if not place.held:
            self._queue.remove(place)
        elif not place.working:
            self._release(place)

    def _release(self, place: Place) -> None:
        self._queue.release(place)
        self._give_places()

    def _end(self, begun: _Begun, result: Any, error: BaseException | None) -> None:
        """Note that a thread has done its work."""
        place, done = begun.place, begun.done
        place.working = False
        if not place.wanted:
            self._release(place)
        elif error is not None:
            _fail(done, error)
        elif not done.done():
            done.set_result(result)

    def _start_threads(self) -> None:
        while len(self._threads) < self._num_threads:
            name = f"realtime-work-{len(self._threads)}"
            arguments = (self._begun, asyncio.get_running_loop(), self._end)
            thread = threading.Thread(target=_work, args=arguments, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)


class Place:
    """A place in the pool. held: it has been given; until then, the caller waits for `granted`."""

    def __init__(self, pool: WorkPool, tenant: str, heavy: bool) -> None:
        self.tenant = tenant
        self.heavy = heavy
        self.granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.held = False
        self.wanted = True  # read by the thread
        self.working = False  # in a thread
        self._pool = pool

    def is_wanted(self) -> bool:
        """Return whether somebody waits for the work. Called in threads."""
        return self.wanted

    async def run(self, work: Work[T]) -> T:
        """See WorkPool.run."""
        return await self._pool.do(self, work)


class _Begun(msgspec.Struct, frozen=True, eq=False):
    place: Place
    work: Work[Any]
    done: asyncio.Future[Any]


def _work(
    queue: SimpleQueue[_Begun | None],
    loop: asyncio.AbstractEventLoop,
    end: Callable[[_Begun, Any, BaseException | None], None],
) -> None:
    """Run one thread of the pool. It keeps no reference to what it has done."""
    while (begun := queue.get()) is not None:
        result, failed = None, None
        try:
            result = begun.work(begun.place.is_wanted) if begun.place.wanted else None
        except BaseException as error:  # also a panic in a library, which is no Exception
            failed = error
        with suppress(RuntimeError):  # the loop is closed: then nobody waits
            loop.call_soon_threadsafe(end, begun, result, failed)
        del begun, result, failed


def _fail(done: asyncio.Future[Any], error: BaseException) -> None:
    if done.done():
        return
    if isinstance(error, StopIteration) or not isinstance(error, Exception):  # futures and loops take them for orders
        failure = RuntimeError(f"the work failed: {error!r}")
        failure.__cause__ = error
        error = failure
    done.set_exception(error)
