"""Which answers are put aside for which, when they go on, and what they are charged: the scheduler alone."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.engine.base import Capacity
from realtime.runs.job import ServiceClass
from realtime.service.scheduler import AsideRules, Scheduler, TenantFull, Ticket, Used
from realtime.settings.tenants import TenantLimits
from tests.support.fuzz import examples

INTERACTIVE, DEFAULT, BATCH = ServiceClass


class Desk:
    """A scheduler and what it is told: what each has used, and which can't be put aside."""

    def __init__(self, *, places: int = 2, rules: AsideRules | None = None, **more: object) -> None:
        self.used: dict[str, Used] = {}
        self.fixed: set[str] = set()
        self.scheduler = Scheduler(
            max_running=places, max_waiting=99, used=self.used.get, aside_rules=rules,
            may_put_aside=lambda name: name not in self.fixed, **more,  # type: ignore[arg-type]
        )  # fmt: skip

    def offer(self, name: str, service_class: ServiceClass = BATCH, now: float = 0.0, **members: object) -> bool:
        """Its tenant is its first letter."""
        ticket = Ticket(response_id=name, tenant=name[0], service_class=service_class, **members)  # type: ignore[arg-type]
        return self.scheduler.offer(ticket, now)

    def put_aside(self, name: str, now: float = 1.0) -> list[str]:
        """The engine lets go of the one that is named."""
        assert self.scheduler.to_put_aside(now) == [name]
        assert self.scheduler.to_put_aside(now) == [], "once"
        return self.scheduler.was_put_aside(name, now)


def test_a_batch_answer_makes_room_for_an_interactive_one_and_goes_on_first_of_its_class() -> None:
    desk = Desk()
    assert [desk.offer(name) for name in ("a1", "a2", "a3")] == [True, True, False]
    assert desk.scheduler.to_put_aside(1.0) == [], "nobody waits for whom there is a reason"
    assert not desk.offer("b1", INTERACTIVE, 1.0)
    assert desk.put_aside("a2") == ["b1"]
    assert desk.scheduler.is_put_aside("a2")
    assert desk.scheduler.position("a2") == 0
    assert desk.scheduler.finish("b1", 2.0) == ["a2"], "where it stood: before a3"
    assert not desk.scheduler.is_put_aside("a2")
    assert desk.scheduler.finish("a1", 3.0) == ["a3"]


@pytest.mark.parametrize(
    ("runs", "waits"), [(DEFAULT, INTERACTIVE), (INTERACTIVE, INTERACTIVE), (BATCH, DEFAULT), (BATCH, BATCH)]
)
def test_nothing_else_is_put_aside_for_nothing_else(runs: ServiceClass, waits: ServiceClass) -> None:
    desk = Desk(places=1)
    assert desk.offer("a1", runs)
    assert not desk.offer("b1", waits, 1.0)
    assert desk.scheduler.to_put_aside(1.0) == []


def test_what_can_not_go_on_exactly_stays_and_another_one_goes() -> None:
    desk = Desk()
    desk.offer("a1")
    desk.offer("a2")
    desk.fixed = {"a2"}
    desk.offer("b1", INTERACTIVE, 1.0)
    assert desk.put_aside("a1") == ["b1"]
    desk.offer("b2", INTERACTIVE, 1.0)
    assert desk.scheduler.to_put_aside(1.0) == [], "there is none left"


def test_who_has_been_served_most_makes_room() -> None:
    desk = Desk()
    desk.offer("a1")
    desk.offer("b1")
    desk.used["a1"] = Used(10, 0, 500)
    desk.offer("c1", INTERACTIVE, 1.0)
    assert desk.put_aside("a1") == ["c1"]


def test_for_a_tenant_that_has_all_its_places_its_own_makes_room() -> None:
    limits = TenantLimits(max_running=1)
    desk = Desk(limits_of=lambda tenant: limits)
    desk.offer("a1")
    desk.offer("b1")
    desk.used["a1"] = Used(10, 0, 500)
    desk.offer("b2", INTERACTIVE, 1.0)
    assert desk.put_aside("b1") == ["b2"], "another's place would be of no use to it"


def test_as_many_as_it_takes_to_hold_it_and_none_if_that_is_in_vain() -> None:
    desk = Desk(places=9, capacity=lambda: Capacity(kv_tokens=100))
    assert [desk.offer(f"a{number}", num_input=30) for number in range(3)] == [True] * 3
    assert not desk.offer("b1", INTERACTIVE, 1.0, num_input=65)
    assert desk.scheduler.to_put_aside(1.0) == ["a2", "a1"]
    assert desk.scheduler.was_put_aside("a2", 1.0) == []
    assert desk.scheduler.was_put_aside("a1", 1.0) == ["b1"]
    desk.fixed = {"a0"}
    assert not desk.offer("c1", INTERACTIVE, 1.0, num_input=90)
    assert desk.scheduler.to_put_aside(1.0) == []


def test_each_that_waits_has_one_and_no_more_go_than_wait() -> None:
    desk = Desk(places=4, limits_of=lambda tenant: TenantLimits(max_running=2 if tenant == "b" else None))
    for name in ("a1", "a2", "a3", "a4"):
        desk.offer(name)
    for name in ("b1", "b2", "b3"):
        desk.offer(name, INTERACTIVE, 1.0)
    assert desk.scheduler.to_put_aside(1.0) == ["a4", "a3"], "b3 may not run beside b1 and b2"
    assert desk.scheduler.place("b1", 1.0) == (0, 0.0), "room is being made for it"


def test_who_waited_and_has_gone_leaves_its_room_to_who_was_put_aside() -> None:
    desk = Desk(places=1)
    desk.offer("a1")
    desk.offer("b1", INTERACTIVE, 1.0)
    assert desk.scheduler.to_put_aside(1.0) == ["a1"]
    assert desk.scheduler.finish("b1", 1.0) == []
    assert desk.scheduler.was_put_aside("a1", 1.0) == ["a1"]
    desk.offer("c1", INTERACTIVE, 2.0)
    assert desk.scheduler.to_put_aside(2.0) == [], "not before it has come further"
    desk.used["a1"] = Used(10, 0, 1)
    assert desk.scheduler.handle_deadline(2.0).admitted == []
    assert desk.scheduler.to_put_aside(2.0) == ["a1"]
    assert desk.scheduler.finish("a1", 2.0, Used(10, 0, 2)) == ["c1"], "it was over before the engine let go"


def test_it_is_put_aside_so_often_and_no_more() -> None:
    desk = Desk(places=1, rules=AsideRules(max_times=2))
    desk.offer("a1")
    for number in (1, 2):
        desk.used["a1"] = Used(10, 0, number)
        desk.offer(f"b{number}", INTERACTIVE, number)
        assert desk.put_aside("a1", number) == [f"b{number}"]
        assert desk.scheduler.finish(f"b{number}", number) == ["a1"]
    desk.used["a1"] = Used(10, 0, 9)
    desk.offer("b3", INTERACTIVE, 9.0)
    assert desk.scheduler.to_put_aside(9.0) == []
    never = Desk(places=1, rules=AsideRules(max_times=0))
    never.offer("a1")
    never.offer("b1", INTERACTIVE, 1.0)
    assert never.scheduler.to_put_aside(1.0) == []


def test_after_so_long_it_goes_before_all() -> None:
    desk = Desk(places=1, rules=AsideRules(max_seconds=10.0))
    desk.offer("a1")
    for number in range(9):
        desk.offer(f"b{number}", INTERACTIVE, 1.0)
    assert desk.put_aside("a1", 1.0) == ["b0"]
    assert desk.scheduler.finish("b0", 5.0) == ["b1"]
    assert desk.scheduler.finish("b1", 11.0) == ["a1"]


def test_it_is_charged_once_whatever_happens_to_it() -> None:
    one, twice = Desk(places=1), Desk(places=1)
    for desk in (one, twice):
        desk.offer("a1", num_input=100)
        desk.used["a1"] = Used(90, 10, 5)
        desk.offer("b1", INTERACTIVE, 1.0)
    assert twice.put_aside("a1") == ["b1"]
    twice.used.pop("a1")
    assert twice.scheduler.finish("b1", 2.0) == ["a1"]
    for desk in (one, twice):
        desk.scheduler.finish("a1", 3.0, Used(90, 10, 20))
        assert desk.scheduler.served("a") == 80 + 2 * 20


def test_it_takes_no_place_of_those_that_wait_and_never_waits_too_long() -> None:
    desk = Desk(places=1, limits_of=lambda tenant: TenantLimits(max_waiting=1))
    desk.offer("a1", expires_at=5.0)
    desk.offer("b1", INTERACTIVE, 1.0)
    assert desk.put_aside("a1") == ["b1"]
    assert not desk.offer("a2", now=1.0)
    with pytest.raises(TenantFull):
        desk.offer("a3", now=1.0)
    assert desk.scheduler.handle_deadline(99.0).expired == []


def test_others_of_its_group_wait_for_its_end_and_it_does_not_wait_for_itself() -> None:
    desk = Desk(places=2)
    desk.offer("a1", group="g")
    desk.offer("c1", DEFAULT)
    desk.offer("a2", group="g")
    desk.offer("b1", INTERACTIVE, 1.0)
    assert desk.put_aside("a1") == ["b1"]
    assert desk.scheduler.finish("c1", 2.0) == ["a1"]
    assert desk.scheduler.finish("b1", 2.0) == []
    assert desk.scheduler.finish("a1", 2.0) == ["a2"]


def test_one_that_ends_while_it_is_put_aside_leaves_nothing() -> None:
    desk = Desk(places=1)
    desk.offer("a1", group="g")
    desk.offer("b1", INTERACTIVE, 1.0)
    desk.put_aside("a1")
    assert desk.scheduler.finish("a1", 2.0, Used(10, 0, 3)) == []
    assert desk.scheduler.served("a") == 10 + 2 * 3
    assert (desk.scheduler.num_waiting, len(desk.scheduler._aside), desk.scheduler._groups.busy) == (0, 0, {})


STEPS = st.lists(
    st.tuples(st.sampled_from(["offer", "offer", "say", "say", "finish", "let go", "pass"]), st.integers(0, 99)),
    max_size=60,
)


@examples(60)
@given(st.integers(1, 4), st.integers(0, 3), STEPS)
def test_whatever_happens_nothing_is_lost_and_all_bounds_hold(
    places: int, most: int, steps: list[tuple[str, int]]
) -> None:
    desk = Desk(places=places, rules=AsideRules(max_times=most, max_seconds=5.0))
    classes: dict[str, ServiceClass] = {}
    running: set[str] = set()
    waiting: set[str] = set()
    leaving: set[str] = set()
    aside: Counter[str] = Counter()
    now = 0.0

    def admitted(names: list[str]) -> None:
        assert set(names) <= waiting
        running.update(names)
        waiting.difference_update(names)

    for number, (what, choice) in enumerate(steps):
        now += 1.0
        if what == "offer":
            name = f"{'abc'[choice % 3]}{number}"
            classes[name] = list(ServiceClass)[choice // 3 % 3]
            (running if desk.offer(name, classes[name], now, group=None if choice % 5 else "g") else waiting).add(name)
        elif what == "say" and running:
            name = sorted(running)[choice % len(running)]
            used = desk.used.get(name, Used(10))
            desk.used[name] = used._replace(num_output=used.num_output + 1)
        elif what == "finish" and (some := sorted(running | waiting)):
            name = some[choice % len(some)]
            for names in (running, waiting, leaving):
                names.discard(name)
            admitted(desk.scheduler.finish(name, now, desk.used.pop(name, None)))
        elif what == "let go" and leaving:
            name = leaving.pop()
            running.remove(name)
            waiting.add(name)
            aside[name] += 1
            admitted(desk.scheduler.was_put_aside(name, now))
        elif what == "pass":
            admitted(desk.scheduler.handle_deadline(now).admitted)
        named = desk.scheduler.to_put_aside(now)
        assert {classes[name] for name in named} <= {BATCH}
        assert leaving.isdisjoint(named)
        leaving |= set(named)
        assert leaving <= running
        assert not named or len(leaving) <= sum(classes[name] is INTERACTIVE for name in waiting)
        assert all(times <= most for times in aside.values())
        assert (desk.scheduler.num_running, desk.scheduler.num_waiting) == (len(running), len(waiting))
        assert len(running) <= places
        assert all(aside[name] for name in waiting if desk.scheduler.is_put_aside(name))
    for name in sorted(running | waiting):
        desk.scheduler.finish(name, now)
    assert (len(desk.scheduler._running), len(desk.scheduler._waiting), len(desk.scheduler._aside)) == (0, 0, 0)
    assert not desk.scheduler._groups.busy
