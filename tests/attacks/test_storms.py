"""Storms on the scripted engine: whatever is cut, cancelled or not read, every transcript is that of the log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from realtime.engine.scripted import RandomScript
from tests.support.long import effort
from tests.support.server import Running, changed, running
from tests.support.steps import engine_holds

from .arena import Arena, Enough
from .storms import cancel_storm, cut_storm, slow_readers

STORIES = RandomScript(seed=3, min_tokens=2000, max_tokens=2000)


def counted(arena: Arena, name: str, count: int) -> Enough:
    """Enough when so many of something have happened."""
    return lambda: arena.tally[name] >= count


def assert_held(arena: Arena, server: Running) -> None:
    """Nothing was wrong, and nothing is left."""
    assert arena.oracle.faults == []
    assert arena.tally.wrong == []
    assert not arena.oracle.books, "answers that nobody heard the end of"
    assert engine_holds(server) == 0
    assert server.gateway.service.num_running == 0


STORMS: list[tuple[Callable[..., Any], str, int, dict[str, Any]]] = [
    (cut_storm, "cuts", effort(60, 3000), {}),
    (cancel_storm, "cancels", effort(40, 2000), {}),
    (slow_readers, "slow readers", effort(6, 240), {"max_log_events": 500}),
]


@pytest.mark.parametrize(("storm", "name", "count", "settings"), STORMS, ids=[storm.__name__ for storm, *_ in STORMS])
async def test_a_storm(storm: Callable[..., Any], name: str, count: int, settings: dict[str, Any]) -> None:
    async with running(STORIES, changed(**settings), max_num_seqs=32) as server:
        arena = Arena(server.port, seed=20261128)
        await storm(arena, counted(arena, name, count), clients=12)
        assert_held(arena, server)
        assert arena.tally[name] >= count
        assert arena.oracle.num_checked >= 10
        assert arena.tally["answers recovered"] == arena.tally["answers begun"]
