"""What a token costs on its way from the engine to the socket, and a create, a whole short answer, a cancel: no change
makes them dearer unnoticed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tests.support import cost
from tests.support.counting import counting

ALLOWED = 0.03
PER_STEP = {"calls": 20, "bytecodes": 600}  # of an engine step, however many tokens it has


@pytest.mark.parametrize("name", cost.COSTS)
async def test_they_cost_what_was_recorded(name: str) -> None:
    recorded = cost.recorded().get(cost.PYTHON)
    if recorded is None:
        pytest.skip(f"no cost was recorded for Python {cost.PYTHON}: python -m tests.support.cost --record")
    found = await cost.COSTS[name]()
    for what, before in recorded[name].items():
        assert abs(found[what] / before - 1) <= ALLOWED, (
            f"{name}: it takes {found[what]:.1f} {what}, and {before:.1f} were recorded. If that is meant (cheaper "
            "counts too): `python -m tests.support.cost --record` with each Python of tests/support/cost.json, and say "
            "why in the commit"
        )


@pytest.mark.parametrize("num_sockets", [1, 1000])
async def test_a_token_costs_the_same_beside_any_number_of_streams(num_sockets: int) -> None:
    few, found = await cost.cost_of_a_token(), await cost.cost_of_a_token(num_sockets, num_steps=4)
    assert found["calls"] <= few["calls"] + PER_STEP["calls"] / num_sockets
    assert found["bytecodes"] <= few["bytecodes"] + PER_STEP["bytecodes"] / num_sockets


async def test_a_create_costs_the_same_beside_any_number_of_streams() -> None:
    few, many = await cost.cost_of_a_create(), await cost.cost_of_a_create(500, number=500)
    assert many["calls"] <= few["calls"] * 1.1
    assert many["bytecodes"] <= few["bytecodes"] * 1.1


@pytest.mark.parametrize("measure", [cost.cost_of_an_answer, cost.cost_of_a_cancel])
async def test_an_answer_and_a_cancel_cost_the_same_beside_any_number(
    measure: Callable[[int], Awaitable[dict[str, float]]],
) -> None:
    few, many = await measure(cost.NUM_ANSWERS), await measure(300)
    assert many["calls"] <= few["calls"] * 1.1
    assert many["bytecodes"] <= few["bytecodes"] * 1.1


async def test_the_hundred_thousandth_event_costs_what_the_first_did() -> None:
    early, late = await cost.cost_of_a_token(1), await cost.cost_of_a_token(1, after=100_000)
    assert late["calls"] <= early["calls"] * (1 + ALLOWED)
    assert late["bytecodes"] <= early["bytecodes"] * (1 + ALLOWED)


async def test_the_count_is_the_same_every_time() -> None:
    assert await cost.cost_of_a_token() == await cost.cost_of_a_token()


def test_only_our_own_code_is_counted() -> None:
    with counting() as count:
        sorted(range(100), key=lambda number: -number)
        cost.recorded()
    assert (count.calls, count.bytecodes) == (0, 0)
