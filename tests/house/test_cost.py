"""What a token costs on its way from the engine to the socket: no change may make it dearer unnoticed."""

from __future__ import annotations

import pytest

from tests.support import cost

ALLOWED = 0.03


async def test_a_token_costs_what_was_recorded() -> None:
    recorded = cost.recorded().get(cost.PYTHON)
    if recorded is None:
        pytest.skip(f"no cost was recorded for Python {cost.PYTHON}: python -m tests.support.cost --record")
    found = await cost.cost_of_a_token()
    for what, before in recorded.items():
        assert abs(found[what] / before - 1) <= ALLOWED, (
            f"a token takes {found[what]:.1f} {what}, and {before:.1f} were recorded. If that is meant (cheaper counts "
            "too): `python -m tests.support.cost --record` with each Python of tests/support/cost.json, and say why in "
            "the commit"
        )


async def test_the_count_is_the_same_every_time() -> None:
    assert await cost.cost_of_a_token() == await cost.cost_of_a_token()


def test_only_our_own_code_is_counted() -> None:
    with cost.counting() as count:
        sorted(range(100), key=lambda number: -number)
        cost.recorded()
    assert (count.calls, count.bytecodes) == (0, 0)
