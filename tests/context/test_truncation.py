"""The search for what fits: it finds it, in few attempts, of which none is much larger."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.context.truncation import FewestLeftOut


def attempts(costs: list[int], guess: int, window: int, per_unit: float = 1.0) -> tuple[int | None, list[int]]:
    """What is found for exchanges of these costs, and the sizes that were attempted."""
    sizes = [sum(costs[index:]) for index in range(len(costs))]
    search = FewestLeftOut(sizes, guess)
    found, tried = None, []
    while (count := search.next) is not None:
        assert sizes[count] not in tried, "nothing is attempted twice"
        tried.append(sizes[count])
        fits = sizes[count] * per_unit <= window
        found = count if fits else found
        search.tell(fits=fits)
    return found, tried


@given(
    costs=st.lists(st.integers(1, 1000), min_size=1, max_size=300),
    guess=st.integers(0, 300_000),
    window=st.integers(0, 300_000),
    per_unit=st.floats(0.1, 10),
)
@settings(max_examples=300)
def test_the_fewest_are_left_out(costs: list[int], guess: int, window: int, per_unit: float) -> None:
    found, tried = attempts(costs, guess, window, per_unit)
    fitting = [index for index in range(len(costs)) if sum(costs[index:]) * per_unit <= window]
    assert found == min(fitting, default=None)
    assert len(tried) <= 2 * math.log2(sum(costs) + 1) + math.log2(len(costs)) + 4
    if found is None:
        assert tried[-1] == costs[-1], "the least was attempted last"


def test_nothing_much_larger_than_what_fits_is_attempted() -> None:
    found, tried = attempts([1500] * 10_000, guess=40_000, window=12_000)
    assert found == 10_000 - 8
    assert max(tried) <= 40_000
    assert len(tried) < 8


def test_what_fits_as_a_whole_is_attempted_once() -> None:
    assert attempts([10] * 50, guess=1000, window=600) == (0, [500])
