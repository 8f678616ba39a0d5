"""Whoever waits takes turns with the others."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from realtime.engine.fair_queue import FairQueue


def drained(queue: FairQueue[str]) -> list[str]:
    items = []
    while (item := queue.pop()) is not None:
        items.append(item)
    return items


def filled(*items: str) -> FairQueue[str]:
    """The first character is the tenant."""
    queue: FairQueue[str] = FairQueue()
    for item in items:
        queue.push(item[0], item)
    return queue


def test_tenants_take_turns_each_in_its_order() -> None:
    assert drained(filled("a1", "a2", "a3", "b1", "c1", "c2")) == ["a1", "b1", "c1", "a2", "c2", "a3"]


def test_one_that_comes_later_is_not_behind_all_of_another() -> None:
    queue = filled("a1", "a2", "a3")
    assert queue.pop() == "a1"
    queue.push("b", "b1")
    assert drained(queue) == ["a2", "b1", "a3"]


def test_busy_tenants_are_passed_over_and_keep_their_turn() -> None:
    queue = filled("a1", "b1", "a2")
    assert queue.pop(busy={"a"}) == "b1"
    assert queue.pop(busy={"a"}) is None
    assert drained(queue) == ["a1", "a2"]


def test_what_is_put_back_is_next() -> None:
    queue = filled("a1", "b1", "b2")
    queue.push_first("b", "b0")
    assert drained(queue) == ["b0", "a1", "b1", "b2"]


def test_what_is_removed_is_gone() -> None:
    queue = filled("a1", "a2", "b1")
    assert queue.remove("a", "a1")
    assert queue.remove("b", "b1")
    assert not queue.remove("b", "b1")
    assert not queue.remove("nobody", "a2")
    assert (len(queue), drained(queue)) == (1, ["a2"])


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers()).map(lambda pair: f"{pair[0]}{pair[1]}"), unique=True))
def test_nobody_has_two_turns_while_another_waits(items: list[str]) -> None:
    order = drained(filled(*items))
    assert sorted(order) == sorted(items)
    for tenant in "abcd":
        assert [item for item in order if item[0] == tenant] == [item for item in items if item[0] == tenant]
    for at, (one, next_one) in enumerate(pairwise(order)):
        left = {item[0] for item in order[at + 1 :]}
        assert one[0] != next_one[0] or left == {one[0]}
