"""Hosts: run the backend's calls. A server uses a thread with an event loop of its own, so that nothing on the server's
loop makes the node miss the renewal of its lease.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple, Protocol, TypeVar

import uvloop

from realtime.store.base import store_unavailable

from .backend import Away, Fenced, Refused

logger = logging.getLogger("realtime.store")

T = TypeVar("T")

Work = Coroutine[Any, Any, T]


class Host(Protocol):
    """A place where the backend's calls run. Its methods are called on the server's loop, except for `tell`."""

    def start(self, work: Work[None]) -> None:
        """Begin some work, in the order of the calls. The work must not raise."""

    def ask(self, work: Work[T]) -> Awaitable[T]:
        """Do some work, and return its result. Raises WireError when the store can't be asked."""

    def tell(self, call: Callable[[], None]) -> None:
        """Call a function on the server's loop."""

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call a function on the server's loop after so many seconds."""

    @property
    def lives(self) -> bool:
        """Return whether work may go on indefinitely."""

    def finish(self, work: Work[None], seconds: float) -> None:
        """Do some last work, for at most so many seconds, and end. Blocks."""


class ThreadHost:
    """A `Host` with a thread, which starts at once."""

    lives = True

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._server: asyncio.AbstractEventLoop | None = None  # its loop
        self._thread = threading.Thread(target=self._live, name="cluster-store", daemon=True)
        self._thread.start()

    def wait(self, work: Work[T]) -> T:
        """Do some work before the server's loop runs. Blocks."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def start(self, work: Work[None]) -> None:
        """See Host."""
        with contextlib.suppress(RuntimeError):  # the server's loop has ended
            self._server = asyncio.get_running_loop()
        self._loop.call_soon_threadsafe(self._begin, work)

    async def ask(self, work: Work[T]) -> T:
        """See Host."""
        self._server = asyncio.get_running_loop()
        outcome = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_outcome(work), self._loop))
        if isinstance(outcome, _Failed):
            raise outcome.error
        return outcome

    def tell(self, call: Callable[[], None]) -> None:
        """See Host."""
        assert self._server is not None
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits for it
            self._server.call_soon_threadsafe(call)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """See Host."""
        asyncio.get_running_loop().call_later(seconds, call)

    async def measure(self) -> float:
        """Return the CPU seconds that the thread has used."""

        async def read() -> float:
            return time.thread_time()

        return await self.ask(read())

    def finish(self, work: Work[None], seconds: float) -> None:
        """See Host."""
        last = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            last.result(seconds)
        except TimeoutError:
            logger.error("the last changes were not stored: the cluster's store does not answer")
        except Exception:
            logger.exception("the cluster's store was not closed")
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    # -- the thread

    def _live(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._tasks: set[asyncio.Task[None]] = set()
        try:
            self._loop.run_forever()
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        finally:
            self._loop.close()

    def _begin(self, work: Work[None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Failed(NamedTuple):
    """The result of work that raised."""

    error: Exception


async def _outcome(work: Work[T]) -> T | _Failed:
    """Do some work, and return its error instead of raising it: nobody retrieves that of a task in the thread when who
    asked is gone.
    """
    try:
        return await checked(work)
    except Exception as error:
        return _Failed(error)


async def checked(work: Work[T]) -> T:
    """Do some work. Raises WireError when the store can't be asked, or its contents can't be read."""
    try:
        return await work
    except Fenced:
        raise store_unavailable() from None
    except (Away, Refused, ValueError) as error:
        logger.error("the cluster's store can't be read: %s", error)
        raise store_unavailable() from None
