"""The effect of SIGTERM and SIGINT, from the listening socket to the end of the process.

The first one drains: running responses may finish. The second ends them, each response with its terminal event and each
connection as a drain would, well within a second. The third ends the process, whatever it is doing. While the model is
loading there is nothing to drain, and the first one acts as the second.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

import uvicorn

from realtime.engine.supervisor import EngineState
from realtime.engine.vllm.child import kill_children
from realtime.engine.vllm.scratch import remove_all

from .gateway import Gateway
from .http.transport import StreamProtocol
from .service_manager import ServiceManager

logger = logging.getLogger("realtime.server")

GOODBYE_SECONDS = 0.4  # for terminals and closes to be written, and for clients to close in turn, at a second signal
_ENGINE_SECONDS = 0.15  # of it: for the engine to let go of what runs
_IDLE_SECONDS = 0.02  # between two looks at what is still open
_THREADS_SECONDS = 3.0  # for threads to end at the end of the process
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Server(uvicorn.Server):
    """uvicorn's server, which ends by our rules. `at_once`: by a second signal, or before the model was loaded."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway, manager: ServiceManager) -> None:
        super().__init__(config)
        self.at_once = False
        self._gateway = gateway
        self._manager = manager
        self._drain: asyncio.Task[None] | None = None
        self._goodbye: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: `handle_signals` has them, for longer than uvicorn would."""
        yield

    def signalled(self) -> None:
        """Handle a signal."""
        self._manager.stopping()
        if self._drain is None and self._gateway.engine.status.state not in (EngineState.STARTING, EngineState.STOPPED):
            self._drain = asyncio.create_task(self._drain_first(), name="drain")
        elif self._goodbye is None:
            self._goodbye = asyncio.create_task(self._end_at_once(), name="end-at-once")

    def stop(self) -> None:
        """End the serving loop."""
        self.should_exit = True

    async def _drain_first(self) -> None:
        try:
            await self._gateway.drain()
        except Exception:  # a bug of ours: the end comes all the same
            logger.exception("drain failed")
        self.stop()

    async def _end_at_once(self) -> None:
        loading = self._drain is None
        logger.info("stopping at once%s", ": the model has not been loaded" if loading else "")
        if self._drain is not None:
            self._drain.cancel()
        asyncio.get_running_loop().call_later(_ENGINE_SECONDS, self._end_engine)
        try:
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self._gateway.end()
                for connection in list(self.server_state.connections):
                    if isinstance(connection, StreamProtocol):  # kept alive by its client, which need not answer
                        connection.shutdown()
                while self.server_state.connections:  # noqa: ASYNC110
                    await asyncio.sleep(_IDLE_SECONDS)  # uvicorn has no event for it
        except TimeoutError:
            logger.warning("connections were cut off: %d", len(self.server_state.connections))
        except Exception:  # as above
            logger.exception("the last words failed")
        self.at_once = self.force_exit = True  # uvicorn does not wait either
        self.stop()

    def _end_engine(self) -> None:
        """End an engine that hangs: responses would wait for it until it has aborted them or is dead."""
        if self._gateway.service.num_running:
            kill_children()


def handle_signals(signalled: Callable[[], None]) -> None:
    """Call `signalled` on this thread's loop for each signal; the third ends the process. Signals stay handled after
    the loop has ended, because what follows, the end of threads, may take long.
    """
    loop = asyncio.get_running_loop()
    count = 0

    def handle(number: int, _: FrameType | None) -> None:  # between two instructions of whatever runs
        nonlocal count
        count += 1
        if count > 2:
            halt(128 + number)
        if loop.is_closed():
            halt(0)
        loop.call_soon_threadsafe(signalled)

    for number in _SIGNALS:
        signal.signal(number, handle)


def halt(status: int) -> NoReturn:
    """End the process now. Threads can't be stopped, such as one that loads a model, and are not waited for."""
    with contextlib.suppress(Exception):
        kill_children()
        remove_all()
        sys.stderr.flush()
    os._exit(status)


def halt_soon(status: int) -> None:
    """End the process by `halt` if it has not ended by itself in a few seconds."""
    timer = threading.Timer(_THREADS_SECONDS, halt, (status,))
    timer.daemon = True
    timer.start()
