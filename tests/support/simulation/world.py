"""The place where it all happens: loop, network, store, and what code asks its machine for (time, random numbers,
threads), which it has from the seed.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import secrets
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

from realtime.runs import work_pool

from .loop import Process, SimulatedLoop
from .network import Network
from .replicated import ReplicatedBackend

_UNIX = 1_800_000_000.0  # when a simulation begins


class World:
    """See the module."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.loop = SimulatedLoop()
        self.network = Network(self.loop, random.Random(f"{seed} network"))
        self.backend = ReplicatedBackend(self.loop.time)
        self._seed = seed

    def process(self, name: str) -> Process:
        """Begin a process."""
        return Process(name, self.loop)

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Have code that runs meanwhile find this world's time, random numbers and threads."""
        loop, rng = self.loop, random.Random(f"{self._seed} ids")
        state = random.getstate()
        random.seed(f"{self._seed} jitter")

        def unix() -> float:
            return _UNIX + loop.now - (loop.process.lag if loop.process is not None else 0.0)

        def unix_ns() -> int:
            return int(unix() * 1e9)

        with (
            mock.patch.object(time, "monotonic", loop.time),
            mock.patch.object(time, "time", unix),
            mock.patch.object(time, "time_ns", unix_ns),
            mock.patch.object(secrets, "token_hex", lambda size: rng.randbytes(size).hex()),
            mock.patch.object(secrets, "token_bytes", rng.randbytes),
            mock.patch.object(work_pool.WorkPool, "_start_threads", _work_at_once),
        ):
            gc_was_on = gc.isenabled()
            gc.disable()  # what ends a task that nobody holds must not depend on the collector
            try:
                yield
            finally:
                random.setstate(state)
                if gc_was_on:
                    gc.enable()


class _AtOnce:
    """In place of the queue of a pool's threads."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    def put(self, begun: Any) -> None:
        if begun is not None:
            asyncio.get_running_loop().call_soon(self._work, begun)

    def _work(self, begun: Any) -> None:
        result, failed = None, None
        try:
            result = begun.work(begun.place.is_wanted) if begun.place.wanted else None
        except Exception as error:
            failed = error
        self._pool._end(begun, result, failed)


def _work_at_once(pool: Any) -> None:
    if not isinstance(pool._begun, _AtOnce):
        pool._begun = _AtOnce(pool)
