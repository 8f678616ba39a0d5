"""Where a resume starts: exactly there, or a refusal that says why."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.store.cursor import resolve
from realtime.wire.errors import ErrorCode, WireError
from tests.support.fuzz import examples
from tests.support.responses import Answer

FULL = Answer("full").say("a", "b").finish().log  # 0 .. 9
EPOCH = FULL.epoch
TRIMMED = Answer("trimmed", max_entries=8).say(*"abcdefghij").log


def refused(log: object, starting_after: int, epoch: str | None = None) -> tuple[ErrorCode, str | None]:
    with pytest.raises(WireError) as caught:
        resolve(log, starting_after, epoch)  # type: ignore[arg-type]
    return caught.value.code, caught.value.param


def test_the_logs_are_what_the_tests_below_take_them_for() -> None:
    assert (FULL.floor, FULL.tip) == (0, 10)
    assert 0 < TRIMMED.floor < TRIMMED.tip - 1


@pytest.mark.parametrize("starting_after", [-1, 0, 5, 8, 9])
@pytest.mark.parametrize("epoch", [None, EPOCH])
def test_what_is_there_is_served_from_the_next_number_on(starting_after: int, epoch: str | None) -> None:
    assert resolve(FULL, starting_after, epoch) == starting_after + 1


@pytest.mark.parametrize("starting_after", [10, 11, 2**53])
def test_a_cursor_that_is_ahead_is_refused(starting_after: int) -> None:
    assert refused(FULL, starting_after) == (ErrorCode.CURSOR_AHEAD, "starting_after")


def test_the_floor_is_the_oldest_that_can_be_served() -> None:
    floor = TRIMMED.floor
    assert resolve(TRIMMED, floor - 1, None) == floor
    assert refused(TRIMMED, floor - 2) == (ErrorCode.CURSOR_TOO_OLD, "starting_after")
    assert refused(TRIMMED, -1) == (ErrorCode.CURSOR_TOO_OLD, "starting_after")
    with pytest.raises(WireError, match=rf"oldest `starting_after` that can be served is {floor - 1}\."):
        resolve(TRIMMED, -1, None)


@pytest.mark.parametrize("starting_after", [-1, 5, 9, 99])
def test_numbers_of_another_epoch_mean_nothing(starting_after: int) -> None:
    assert refused(FULL, starting_after, "epoch of another") == (ErrorCode.EPOCH_MISMATCH, "epoch")


def test_an_empty_epoch_is_an_epoch() -> None:
    assert refused(FULL, -1, "") == (ErrorCode.EPOCH_MISMATCH, "epoch")


@examples(32)
@given(st.integers(4, 20), st.integers(0, 30), st.integers(-1, 60))
def test_a_resume_is_served_exactly_or_not_at_all(max_entries: int, said: int, starting_after: int) -> None:
    answer = Answer("resp_0", max_entries=max_entries)
    for _ in range(said):
        answer.say("x")
    try:
        start = resolve(answer.log, starting_after, None)
    except WireError:
        assert starting_after + 1 < answer.log.floor or starting_after >= answer.log.tip
    else:
        assert answer.log.read(start, 1000) == answer.written[starting_after + 1 :]
