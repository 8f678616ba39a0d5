"""Who is next: tenants take turns, what is quick waits for nothing slow, and nobody is forgotten."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.runs.work_queue import QueueFull, WorkQueue


class Work(msgspec.Struct, frozen=True, eq=False):
    tenant: str
    heavy: bool = False


def full(num_places: int, *entries: Work) -> tuple[WorkQueue[Work], list[Work]]:
    """A queue with these, and those that have places."""
    queue = WorkQueue[Work](num_places, 100)
    for entry in entries:
        queue.add(entry)
    return queue, list(iter(queue.take, None))


def test_a_tenant_with_much_work_has_one_place_while_others_wait() -> None:
    many = [Work("a") for _ in range(10)]
    others = [Work(name) for name in "bc"]
    queue, taken = full(2, *many)
    assert taken == many[:2], "places that nobody else wants are not left free"
    for entry in others:
        queue.add(entry)
    queue.release(taken[0])
    assert queue.take() is others[0], "the other tenant has a place already"
    queue.release(others[0])
    assert queue.take() is others[1]
    queue.release(others[1])
    assert queue.take() is many[2]


def test_equals_take_turns() -> None:
    queue, (first,) = full(1, *[Work(tenant) for tenant in "aaabbbc"])
    order = [first.tenant]
    while True:
        queue.release(first)
        if (entry := queue.take()) is None:
            break
        first = entry
        order.append(entry.tenant)
    assert "".join(order) == "abcabab"


def test_heavy_work_leaves_a_place_for_what_is_quick() -> None:
    heavy, light = [Work("a", True), Work("b", True), Work("a", True)], Work("a")
    queue, taken = full(2, *heavy)
    assert taken == heavy[:1], "the other place is not for heavy work"
    queue.add(light)
    assert queue.take() is light, "although heavy work of its own tenant waits for longer"
    queue.release(heavy[0])
    assert queue.take() is heavy[1]


def test_heavy_work_has_the_one_place_there_is() -> None:
    heavy = Work("a", True)
    assert full(1, heavy)[1] == [heavy]


def test_of_one_tenant_who_came_first_is_first_whatever_it_takes() -> None:
    heavy, light = Work("a", True), Work("a")
    queue, (first,) = full(1, Work("a"), heavy, light)
    queue.release(first)
    assert queue.take() is heavy


def test_a_tenants_queue_is_bounded_and_no_other_tenants() -> None:
    queue = WorkQueue[Work](1, 3)
    for _ in range(3):
        queue.add(Work("a"))
    with pytest.raises(QueueFull):
        queue.add(Work("a", True))
    queue.add(Work("b"))


STEPS = st.lists(st.tuples(st.sampled_from("arw"), st.sampled_from("abc"), st.booleans(), st.integers(0, 99)))


@given(num_places=st.integers(1, 4), steps=STEPS)
@settings(max_examples=200)
def test_whatever_happens_places_are_kept_and_all_come_to_their_turn(
    num_places: int, steps: list[tuple[str, str, bool, int]]
) -> None:
    queue = WorkQueue[Work](num_places, 1000)
    waiting: list[Work] = []
    held: list[Work] = []

    def grant() -> None:
        while (entry := queue.take()) is not None:
            waiting.remove(entry)
            held.append(entry)
        assert len(held) <= num_places
        assert sum(entry.heavy for entry in held) <= max(1, num_places - 1)
        if len(held) < num_places:  # then nothing waits that could go
            assert all(entry.heavy for entry in waiting)

    for step, tenant, heavy, index in steps:
        if step == "a":
            waiting.append(Work(tenant, heavy))
            queue.add(waiting[-1])
        elif step == "r" and held:
            queue.release(held.pop(index % len(held)))
        elif step == "w" and waiting:
            queue.remove(waiting.pop(index % len(waiting)))
        grant()
        assert queue.num_waiting == len(waiting)
    while held:
        queue.release(held.pop())
        grant()
    assert not waiting
    assert queue._held == Counter()
