"""Attacks on real vLLM, short: the engine lives, whoever is beside an attacker gets the right answers."""

from __future__ import annotations

import pytest

from tests.support.long import effort
from tests.support.real import RealServer

from .arena import Arena
from .bombs import BOMBS, bombard
from .fuzz import fuzz
from .storms import cancel_storm, cut_storm

pytestmark = pytest.mark.vllm

FUZZED = effort(16, 2000)
ANSWERS = effort(3, 6)  # of bystanders, at least
LEFT_OUT = ("a lone surrogate",)  # told as a fault of the server's


def assert_held(arena: Arena, real: RealServer) -> None:
    """Nothing was wrong, and the engine is the one that was started."""
    assert arena.oracle.faults == []
    assert arena.tally.wrong == []
    assert real.ready()["num_restarts"] == 0


@pytest.mark.parametrize("seed", range(1, effort(2, 6)))
async def test_random_requests_in_one_batch_with_bystanders(real: RealServer, seed: int) -> None:
    arena = Arena(real.port, seed)
    tally = arena.tally
    await fuzz(arena, lambda: tally["fuzzed requests"] >= FUZZED and tally["bystanders' answers"] >= ANSWERS, width=8)
    assert_held(arena, real)


async def test_every_bomb(real: RealServer) -> None:
    arena = Arena(real.port)
    await bombard(arena, lambda: True, bombs=[bomb for bomb in BOMBS if not bomb.name.startswith(LEFT_OUT)])
    assert_held(arena, real)


async def test_a_storm_of_cuts_and_cancels(real: RealServer) -> None:
    arena = Arena(real.port, 3)
    await cut_storm(arena, lambda: arena.tally["cuts"] >= effort(16, 2000), clients=8)
    await cancel_storm(arena, lambda: arena.tally["cancels"] >= effort(10, 2000), clients=8)
    assert_held(arena, real)
    assert arena.tally["answers recovered"] == arena.tally["answers begun"]
