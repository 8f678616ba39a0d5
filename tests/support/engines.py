"""The real engine on the starter model, in the process of the tests: for what only its insides show."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest

from realtime.engine.backoff import Backoff
from realtime.engine.base import Loaded
from realtime.engine.options import VllmOptions
from realtime.engine.supervisor import SupervisedEngine
from realtime.engine.vllm.engine import VllmEngine

NUM_SEQS = 32


class Engines:
    """A supervised engine, and the engines that it has made: a new one after a death."""

    def __init__(self) -> None:
        self.made: list[VllmEngine] = []
        self.supervised = SupervisedEngine(self._make, Backoff(first_seconds=0.0))

    def _make(self) -> VllmEngine:
        options = VllmOptions(max_num_seqs=NUM_SEQS, served_name="starter", reasoning_parser="qwen3")
        self.made.append(VllmEngine(options))
        return self.made[-1]

    @property
    def newest(self) -> VllmEngine:
        """The engine that serves."""
        return self.made[-1]

    @property
    def loaded(self) -> Loaded:
        """What the engine that serves has loaded."""
        assert self.supervised.loaded is not None
        return self.supervised.loaded


@contextlib.asynccontextmanager
async def started() -> AsyncIterator[Engines]:
    """Start one; at the end it must leave nothing behind."""
    pytest.importorskip("vllm", reason="vLLM is not installed: `make install`")
    engines = Engines()
    await engines.supervised.start()
    yield engines
    await engines.supervised.shutdown()
    assert not any(map(left_behind, engines.made))


def left_behind(engine: VllmEngine) -> bool:
    """Whether its sockets or semaphores are still there."""
    assert engine._scratch is not None
    return engine._scratch.exists
