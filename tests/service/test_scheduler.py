"""Admission: bounded, first come first served, and honest about when to come back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.engine.base import Capacity
from realtime.runs.job import ServiceClass
from realtime.runs.usage import Used
from realtime.service.scheduler import Full, GroupFull, Scheduler, TenantFull, Ticket
from realtime.service.tenant_share import places_of
from realtime.settings.tenants import TenantLimits
from tests.support.fuzz import examples


def ticket(name: str) -> Ticket:
    return Ticket(response_id=name, tenant="t")


def filled(scheduler: Scheduler, names: str) -> list[bool]:
    return [scheduler.offer(ticket(name), 0.0) for name in names]


def test_what_fits_runs_the_rest_waits_in_order_and_then_it_is_full() -> None:
    scheduler = Scheduler(max_running=2, max_waiting=3)
    assert filled(scheduler, "abcde") == [True, True, False, False, False]
    assert (scheduler.num_running, scheduler.num_waiting) == (2, 3)
    assert [scheduler.position(name) for name in "abcdex"] == [None, None, 0, 1, 2, None]
    with pytest.raises(Full):
        scheduler.offer(ticket("f"), 0.0)
    assert (scheduler.num_running, scheduler.num_waiting) == (2, 3), "the refused one left nothing"


def test_a_slot_goes_to_who_waited_longest() -> None:
    scheduler = Scheduler(max_running=2, max_waiting=9)
    filled(scheduler, "abcde")
    assert scheduler.finish("b", 1.0) == ["c"]
    assert scheduler.finish("a", 1.0) == ["d"]
    assert [scheduler.position(name) for name in "cde"] == [None, None, 0]


def test_who_gives_up_waiting_takes_no_slot() -> None:
    scheduler = Scheduler(max_running=1, max_waiting=9)
    filled(scheduler, "abcd")
    assert scheduler.finish("b", 1.0) == []
    assert scheduler.position("c") == 0
    assert scheduler.finish("a", 1.0) == ["c"]
    assert (scheduler.num_running, scheduler.num_waiting) == (1, 1)


def test_an_unknown_or_finished_id_changes_nothing() -> None:
    scheduler = Scheduler(max_running=1, max_waiting=9)
    filled(scheduler, "ab")
    assert scheduler.finish("x", 1.0) == []
    assert scheduler.finish("a", 1.0) == ["b"]
    assert scheduler.finish("a", 1.0) == []
    assert (scheduler.num_running, scheduler.num_waiting) == (1, 0)


def test_without_a_queue_there_are_only_slots() -> None:
    scheduler = Scheduler(max_running=1, max_waiting=0)
    assert filled(scheduler, "a") == [True]
    with pytest.raises(Full):
        scheduler.offer(ticket("b"), 0.0)
    assert scheduler.finish("a", 1.0) == []
    assert filled(scheduler, "b") == [True]


def retry_after(scheduler: Scheduler) -> float:
    with pytest.raises(Full) as caught:
        scheduler.offer(ticket("too many"), 0.0)
    return caught.value.retry_after


def test_the_time_to_come_back_follows_what_responses_have_taken() -> None:
    scheduler = Scheduler(max_running=1, max_waiting=0)
    now, waits = 0.0, []
    for name in "abcdefgh":
        scheduler.offer(ticket(name), now)
        waits.append(retry_after(scheduler))
        now += 100.0
        scheduler.finish(name, now)
    assert waits[0] == 1.0, "a guess"
    assert waits == sorted(waits)
    assert 50 < waits[-1] <= 100


@examples(20)
@given(st.lists(st.floats(0, 1e6), max_size=20), st.integers(1, 4))
def test_the_time_to_come_back_is_always_positive(durations: list[float], slots: int) -> None:
    scheduler = Scheduler(max_running=slots, max_waiting=0)
    filled(scheduler, "abcd"[:slots])
    for duration in durations:
        scheduler.finish("a", duration)
        scheduler.offer(ticket("a"), 0.0)
    assert 1.0 <= retry_after(scheduler) <= 1e6


@examples(40)
@given(
    st.integers(1, 3),
    st.integers(0, 3),
    st.lists(st.tuples(st.sampled_from(["offer", "offer", "finish"]), st.integers(0, 9)), max_size=40),
)
def test_the_scheduler_against_two_lists(slots: int, places: int, steps: list[tuple[str, int]]) -> None:
    scheduler = Scheduler(max_running=slots, max_waiting=places)
    running: list[str] = []
    waiting: list[str] = []
    for number, (what, choice) in enumerate(steps):
        if what == "offer":
            name = f"resp_{number}"
            if len(running) < slots:
                assert scheduler.offer(ticket(name), number)
                running.append(name)
            elif len(waiting) < places:
                assert not scheduler.offer(ticket(name), number)
                waiting.append(name)
            else:
                with pytest.raises(Full):
                    scheduler.offer(ticket(name), number)
        elif running:
            name = [*running, *waiting][choice % len(running + waiting)]
            admitted = []
            if name in waiting:
                waiting.remove(name)
            else:
                running.remove(name)
                admitted = waiting[:1]
                running, waiting = running + admitted, waiting[1:]
            assert scheduler.finish(name, number) == admitted
        assert (scheduler.num_running, scheduler.num_waiting) == (len(running), len(waiting))
        assert [scheduler.position(name) for name in running + waiting] == [None] * len(running) + [
            *range(len(waiting))
        ]


def member(name: str, group: str | None) -> Ticket:
    return Ticket(response_id=name, tenant="t", group=group)


def test_of_a_group_one_runs_at_a_time_in_order_and_others_pass_it() -> None:
    scheduler = Scheduler(max_running=3, max_waiting=9)
    offers = [("a1", "a"), ("a2", "a"), ("b1", "b"), ("a3", "a"), ("x", None)]
    assert [scheduler.offer(member(*one), 0.0) for one in offers] == [True, False, True, False, True]
    assert scheduler.finish("b1", 1.0) == [], "whoever waits, waits for its own group"
    assert scheduler.finish("a1", 1.0) == ["a2"]
    assert scheduler.finish("a2", 1.0) == ["a3"]
    assert scheduler.finish("a3", 1.0) == []
    assert scheduler.offer(member("a4", "a"), 0.0), "and then it is free again"


def test_who_gives_up_in_a_group_frees_nothing_and_a_full_group_harms_nobody_else() -> None:
    scheduler = Scheduler(max_running=3, max_waiting=9, max_waiting_in_group=2)
    for name in ("a1", "a2", "a3"):
        scheduler.offer(member(name, "a"), 0.0)
    with pytest.raises(GroupFull):
        scheduler.offer(member("a4", "a"), 0.0)
    assert scheduler.offer(member("b1", "b"), 0.0)
    assert scheduler.finish("a2", 1.0) == [], "the first one still runs"
    assert not scheduler.offer(member("a5", "a"), 0.0), "its place is free"
    assert scheduler.finish("a1", 1.0) == ["a3"]
    assert scheduler.finish("a3", 1.0) == ["a5"]
    assert scheduler.finish("a5", 1.0) == scheduler.finish("b1", 1.0) == []
    groups = scheduler._groups
    assert (len(groups._sizes), len(groups.busy), len(groups._of)) == (0, 0, 0), "nothing is left of it"


@examples(60)
@given(
    st.integers(1, 3),
    st.lists(st.tuples(st.booleans(), st.sampled_from(["a", "b", None]), st.integers(0, 9)), max_size=40),
)
def test_groups_against_a_model(slots: int, steps: list[tuple[bool, str | None, int]]) -> None:
    """The oracle: first come first served among those whose group does not run."""
    scheduler = Scheduler(max_running=slots, max_waiting=99, max_waiting_in_group=99)
    running: list[tuple[str, str | None]] = []
    waiting: list[tuple[str, str | None]] = []

    def admit() -> list[str]:
        admitted = []
        for one in list(waiting):
            busy = one[1] is not None and any(one[1] == group for _, group in running)
            if len(running) < slots and not busy:
                waiting.remove(one)
                running.append(one)
                admitted.append(one[0])
        return admitted

    for number, (offered, group, choice) in enumerate(steps):
        name = f"resp_{number}"
        if offered:
            waiting.append((name, group))
            assert scheduler.offer(member(name, group), 0.0) == (admit() == [name])
        elif running or waiting:
            one = [*running, *waiting][choice % len(running + waiting)]
            (running if one in running else waiting).remove(one)
            assert scheduler.finish(one[0], 0.0) == admit()


def of(tenant: str, name: str, group: str | None = None) -> Ticket:
    return Ticket(response_id=name, tenant=tenant, group=group)


def test_a_tenant_beyond_its_share_waits_though_places_are_free() -> None:
    scheduler = Scheduler(max_running=4, max_waiting=9, tenant_share=lambda: 0.5)
    assert [scheduler.offer(of("greedy", name), 0.0) for name in "abcd"] == [True, True, False, False]
    assert [scheduler.offer(of("other", name), 0.0) for name in "wx"] == [True, True]
    assert scheduler.finish("w", 1.0) == [], "the free place is not for who has its share"
    assert scheduler.offer(of("other", "y"), 1.0)
    assert scheduler.finish("a", 1.0) == ["c"]
    assert scheduler.finish("b", 1.0) == ["d"]


def test_a_tenant_beyond_its_share_of_the_queue_is_refused_and_others_are_not() -> None:
    scheduler = Scheduler(max_running=2, max_waiting=4, tenant_share=lambda: 0.5)
    assert [scheduler.offer(of("greedy", name), 0.0) for name in "abc"] == [True, False, False]
    with pytest.raises(TenantFull) as refused:
        scheduler.offer(of("greedy", "d"), 0.0)
    assert refused.value.retry_after >= 1
    assert [scheduler.offer(of("other", name), 0.0) for name in "wxy"] == [True, False, False]
    with pytest.raises(Full) as full:
        scheduler.offer(of("third", "k"), 0.0)
    assert not isinstance(full.value, TenantFull), "it is nothing of its own"


def test_without_a_queue_a_tenant_beyond_its_share_is_told_so() -> None:
    scheduler = Scheduler(max_running=2, max_waiting=0, tenant_share=lambda: 0.5)
    assert scheduler.offer(of("greedy", "a"), 0.0)
    with pytest.raises(TenantFull):
        scheduler.offer(of("greedy", "b"), 0.0)
    assert scheduler.offer(of("other", "w"), 0.0)


def test_the_share_is_that_of_now() -> None:
    share = 1.0
    scheduler = Scheduler(max_running=4, max_waiting=8, tenant_share=lambda: share)
    assert [scheduler.offer(of("t", name), 0.0) for name in "abc"] == [True, True, True]
    share = 0.25
    assert not scheduler.offer(of("t", "d"), 0.0)
    assert scheduler.finish("a", 1.0) == scheduler.finish("b", 1.0) == []
    assert not scheduler.offer(of("t", "e"), 0.0)
    share = 1.0
    assert scheduler.finish("c", 1.0) == ["d", "e"]


@pytest.mark.parametrize(("share", "places", "expected"), [(0.5, 1, 1), (0.01, 5, 1), (0.29, 100, 29), (1.0, 7, 7)])
def test_a_share_is_at_least_one_place(share: float, places: int, expected: int) -> None:
    assert places_of(share, places) == expected


@examples(60)
@given(
    st.integers(1, 4),
    st.sampled_from([0.1, 0.5, 0.7, 1.0]),
    st.lists(st.tuples(st.integers(0, 2), st.integers(-1, 2), st.integers(0, 9)), max_size=60),
)
def test_shares_and_groups_together(slots: int, share: float, steps: list[tuple[int, int, int]]) -> None:
    """No tenant beyond its share, no group twice, first come first served within a tenant's group; and all get in."""
    scheduler = Scheduler(max_running=slots, max_waiting=9, max_waiting_in_group=99, tenant_share=lambda: share)
    running: dict[str, Ticket] = {}
    waiting: dict[str, Ticket] = {}

    def admitted(names: list[str]) -> None:
        for name in names:
            running[name] = waiting.pop(name)

    def check() -> None:
        for tenant in "012":
            assert sum(one.tenant == tenant for one in running.values()) <= places_of(share, slots)
            assert sum(one.tenant == tenant for one in waiting.values()) <= places_of(share, 9)
        groups = [one.group for one in running.values() if one.group]
        assert len(groups) == len(set(groups))
        assert (scheduler.num_running, scheduler.num_waiting) == (len(running), len(waiting))

    for number, (tenant, group, finish) in enumerate(steps):
        if finish < 4 and running:
            name = list(running)[finish % len(running)]
            del running[name]
            admitted(scheduler.finish(name, number))
        else:
            new = of(str(tenant), f"r{number}", f"{tenant}.{group}" if group >= 0 else None)
            before = [one.response_id for one in waiting.values() if one.group and one.group == new.group]
            try:
                runs = scheduler.offer(new, number)
            except Full:
                continue
            assert not (runs and before)
            (running if runs else waiting)[new.response_id] = new
        check()
    for _ in range(200):
        if not running:
            break
        name = next(iter(running))
        del running[name]
        admitted(scheduler.finish(name, 0.0))
        check()
    assert not waiting
    assert not scheduler._running
    assert not scheduler._waiting.lines


MOVES = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(ServiceClass), st.none() | st.just("group"), st.integers(0, 3)),
    max_size=30,
)


@given(MOVES, st.integers(1, 3))
@examples(100)
def test_who_runs_at_once_leaves_what_one_leaves_who_was_in_the_line(moves: list[Any], max_running: int) -> None:
    def new() -> Scheduler:
        capacity = Capacity(kv_tokens=900, step_tokens=300)
        return Scheduler(
            max_running=max_running, max_waiting=99, tenant_share=lambda: 0.7, capacity=lambda: capacity,
            limits_of=lambda tenant: TenantLimits(weight=ord(tenant) - 96.0),
        )  # fmt: skip

    at_once, by_the_line = new(), new()
    by_the_line._turns.may_begin = lambda *arguments: False  # type: ignore[method-assign]
    held: list[str] = []
    for number, (tenant, service_class, group, num_over) in enumerate(moves):
        name = f"r{number}"
        one = Ticket(
            response_id=name, tenant=tenant, service_class=service_class, group=group,
            num_input=100 * (number % 4), leaves=(name,),
        )  # fmt: skip
        assert at_once.offer(one, float(number)) == by_the_line.offer(one, float(number))
        held.append(name)
        for over in held[:num_over]:
            used = Used(num_input=50, num_output=number)
            found = [scheduler.finish(over, number + 0.5, used) for scheduler in (at_once, by_the_line)]
            assert found[0] == found[1]
        del held[:num_over]
        assert [at_once.served(tenant) for tenant in "abc"] == [by_the_line.served(tenant) for tenant in "abc"]
        assert at_once.waiting_by_class == by_the_line.waiting_by_class
