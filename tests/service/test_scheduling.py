"""The parts of the scheduler, each against what it promises."""

from __future__ import annotations

import random
from typing import Any

import pytest

from realtime.engine.base import Capacity
from realtime.runs.job import ServiceClass
from realtime.service.scheduler import RateLimited, Scheduler, TenantFull, Ticket, Used
from realtime.service.scheduling import places
from realtime.service.scheduling.allowances import Allowances
from realtime.service.scheduling.classes import class_of, granted_tier
from realtime.service.scheduling.forecast import Means, Runs, Waits, waits
from realtime.service.scheduling.line import MAX_PASSED, Line
from realtime.service.scheduling.plan import plan
from realtime.service.scheduling.prefixes import Prefixes
from realtime.service.scheduling.room import Holding, Occupancy
from realtime.settings.tenants import TenantLimits


def ticket(name: str, tenant: str = "t", **members: object) -> Ticket:
    return Ticket(response_id=name, tenant=tenant, **members)  # type: ignore[arg-type]


def used(number: int) -> Used:
    return Used(num_input=10, num_output=number)


# -- prefix locality


def test_a_continuation_of_what_is_cached_goes_before_a_cold_prompt_but_not_forever() -> None:
    scheduler = Scheduler(max_running=1, max_waiting=99)
    assert scheduler.offer(ticket("first", leaves=("a",)), 0.0)
    for name in ("cold", "cold too"):
        scheduler.offer(ticket(name, prefixes=("unknown",)), 0.0)
    for number in range(MAX_PASSED + 2):
        scheduler.offer(ticket(f"warm{number}", prefixes=("a",), leaves=("a",)), 0.0)
    order, running = [], "first"
    while running:
        running = (scheduler.finish(running, 1.0, used(5)) or [""])[0]
        order.append(running)
    warm = [f"warm{number}" for number in range(MAX_PASSED + 2)]
    assert order == [*warm[:MAX_PASSED], "cold", "cold too", *warm[MAX_PASSED:], ""]


def test_another_tenants_turn_is_not_put_off_by_a_warm_prefix() -> None:
    scheduler = Scheduler(max_running=1, max_waiting=99)
    scheduler.offer(ticket("a1", "a", leaves=("p",)), 0.0)
    scheduler.offer(ticket("b1", "b"), 0.0)
    scheduler.offer(ticket("a2", "a", prefixes=("p",)), 0.0)
    assert scheduler.finish("a1", 1.0, used(50)) == ["b1"]


def test_prefixes_are_forgotten_when_the_cache_is_full() -> None:
    prefixes = Prefixes()
    prefixes.note(["a"], 60, 100)
    prefixes.note(["b"], 30, 100)
    assert prefixes.any_of(["a"])
    prefixes.note(["a"], 70, 100)  # used again: now b is the oldest
    prefixes.note(["c"], 20, 100)
    assert [prefixes.any_of([key]) for key in "abc"] == [True, False, True]


# -- limits


def test_a_minute_comes_back_evenly_and_a_large_request_needs_all_of_it() -> None:
    allowances, limits = Allowances(), TenantLimits(tokens_per_minute=600, requests_per_minute=6)
    for _ in range(6):
        assert allowances.wait("t", limits, 10, 0.0) == 0
        allowances.take_request("t", limits, 0.0)
    assert allowances.wait("t", limits, 10, 0.0) == pytest.approx(10)
    assert allowances.wait("t", limits, 10, 10.0) == 0
    allowances.take_tokens("t", limits, 900, 10.0)
    assert allowances.wait("t", limits, 100, 10.0) == pytest.approx(40)
    assert allowances.wait("t", limits, 10**6, 10.0) == pytest.approx(90)
    assert [one.remaining for one in allowances.show("t", limits, 10.0)] == [1, 0]
    assert allowances.wait("other", limits, 10, 10.0) == 0
    assert allowances.wait("t", TenantLimits(), 10, 10.0) == 0, "limits that are gone hold nobody"


def test_limits_of_a_tenant_are_those_of_now() -> None:
    limits = TenantLimits(max_running=1, max_waiting=1, requests_per_minute=3)
    scheduler = Scheduler(max_running=9, max_waiting=9, limits_of=lambda tenant: limits)
    assert scheduler.offer(ticket("a"), 0.0)
    assert not scheduler.offer(ticket("b"), 0.0)
    with pytest.raises(TenantFull):
        scheduler.offer(ticket("c"), 0.0)
    limits = TenantLimits(max_running=2, requests_per_minute=3)
    assert scheduler.handle_deadline(1.0).admitted == ["b"]
    assert not scheduler.offer(ticket("d"), 1.0), "what was refused has not counted"
    with pytest.raises(RateLimited) as limited:
        scheduler.offer(ticket("e"), 1.0)
    assert 1 <= limited.value.retry_after <= 20
    assert scheduler.num_waiting == 1, "the refused one left nothing"


# -- time


def test_who_has_waited_long_enough_is_named_until_it_is_gone() -> None:
    scheduler = Scheduler(max_running=1, max_waiting=9)
    assert scheduler.next_deadline(0.0) is None
    scheduler.offer(ticket("a"), 0.0)
    scheduler.offer(ticket("b", expires_at=0.5), 0.0)
    assert scheduler.next_deadline(0.0) == 0.5
    assert scheduler.handle_deadline(0.4).expired == []
    assert scheduler.handle_deadline(0.5).expired == ["b"]
    assert scheduler.finish("b", 0.5) == []
    assert scheduler.next_deadline(0.5) is None


# -- room


def test_prompts_that_a_step_can_not_read_wait_but_a_tenant_always_gets_one_in() -> None:
    reading = {"a": Used(num_input=80, num_reading=80), "b": Used(num_input=10, num_reading=10)}
    scheduler = Scheduler(
        max_running=9, max_waiting=9, used=reading.get, capacity=lambda: Capacity(step_tokens=100)
    )  # fmt: skip
    assert scheduler.offer(ticket("a", "t", num_input=80), 0.0)
    assert scheduler.offer(ticket("b", "t", num_input=10), 0.0)
    assert not scheduler.offer(ticket("c", "t", num_input=50), 0.0)
    assert scheduler.offer(ticket("d", "other", num_input=5000), 0.0), "it waits for nobody else's prompts"
    reading["a"] = Used(num_input=80, num_output=1)
    reading["b"] = Used(num_input=10, num_output=1)
    reading["d"] = Used(num_input=5000, num_output=1)
    assert scheduler.handle_deadline(1.0).admitted == ["c"]


def test_what_the_cache_does_not_hold_waits_but_alone_it_always_runs() -> None:
    scheduler = Scheduler(max_running=9, max_waiting=9, capacity=lambda: Capacity(kv_tokens=100))
    assert scheduler.offer(ticket("a", num_input=200), 0.0)
    assert not scheduler.offer(ticket("b", num_input=10), 0.0)
    assert scheduler.finish("a", 1.0, Used(200, 0, 0)) == ["b"]
    assert scheduler.offer(ticket("c", num_input=80), 1.0)
    assert not scheduler.offer(ticket("d", num_input=20), 1.0)


def test_the_engines_own_places_are_the_most() -> None:
    scheduler = Scheduler(max_running=9, max_waiting=9, capacity=lambda: Capacity(max_requests=1))
    assert [scheduler.offer(ticket(name), 0.0) for name in "ab"] == [True, False]


def test_what_is_held_adds_up_to_the_same_by_itself_and_anew() -> None:
    means = Means()
    means.note("a", 1.0, used(7))
    rng = random.Random(1)
    held: dict[int, Holding] = {}
    one_by_one, anew = (Occupancy(lambda: Capacity(0, 400, 200), means) for _ in range(2))
    for number in range(300):
        name = rng.randrange(12)
        if name in held:
            one_by_one.remove(held.pop(name))
        else:
            held[name] = Holding(ticket(str(number), rng.choice("ab"), num_input=rng.randrange(60)), 0.0)
            held[name].used = rng.choice([None, used(rng.randrange(60)), Used(50, 0, 0, 50)])
            one_by_one.add(held[name], 0.5)
        anew.add_up(held.values(), 0.5)
        for asked in (ticket("x", tenant, num_input=size) for tenant in "abc" for size in (0, 40, 160)):
            assert one_by_one.tenant_may(asked, 0.5) is anew.tenant_may(asked, 0.5)
            assert one_by_one.fits(asked) is anew.fits(asked)


# -- many at once


def test_a_decision_among_many_does_not_look_at_all_of_them() -> None:
    looks = 0

    def look(name: str) -> Used:
        nonlocal looks
        looks += 1
        return used(looks)

    scheduler = Scheduler(max_running=2000, max_waiting=0, used=look)
    for number in range(2000):
        assert scheduler.offer(ticket(str(number)), number / 1000)
    assert looks < 2000 * 16


def test_a_prompt_that_was_read_lets_the_next_one_in_among_many() -> None:
    running = {f"r{number}": Used(1, 0, 1) for number in range(100)}
    capacity = Capacity(step_tokens=100)
    scheduler = Scheduler(
        max_running=999, max_waiting=9, used=lambda name: running.get(name), capacity=lambda: capacity
    )
    for name in running:
        scheduler.offer(ticket(name), 0.0)
    assert scheduler.offer(ticket("long", num_input=90), 0.0)
    assert not scheduler.offer(ticket("next", num_input=90), 0.0)
    running["long"] = Used(90, 0, 1)
    assert scheduler.handle_deadline(0.001).admitted == []
    assert scheduler.handle_deadline(0.001, ["long"]).admitted == ["next"]


# -- classes


@pytest.mark.parametrize(
    ("asked", "may", "background", "tier", "service_class"),
    [
        ("priority", ("priority",), False, "priority", ServiceClass.INTERACTIVE),
        ("priority", ("flex",), False, "default", ServiceClass.DEFAULT),
        ("flex", ("flex",), False, "flex", ServiceClass.BATCH),
        ("auto", ("priority", "flex"), False, "default", ServiceClass.DEFAULT),
        ("default", ("default",), False, "default", ServiceClass.DEFAULT),
        ("x", ("x",), False, "default", ServiceClass.DEFAULT),
        (None, ("priority",), False, "default", ServiceClass.DEFAULT),
        ("priority", ("priority",), True, "priority", ServiceClass.BATCH),
    ],
)
def test_tiers_and_classes(
    asked: str | None, may: tuple[str, ...], background: bool, tier: str, service_class: ServiceClass
) -> None:
    assert granted_tier(asked, may) == tier
    assert class_of(tier, background=background) is service_class


# -- forecasts


def test_a_forecast_counts_places_tenants_and_prompts() -> None:
    means = Means()
    for _ in range(20):
        means.note("t", 10.0, Used(100, 0, 100))
    running = [Runs("t", 4.0), Runs("t", 8.0)]
    order = [Waits("t", 0), Waits("t", 0), Waits("t", 0)]
    assert waits(order, running, 2, {}, means) == [5.0, 6.0, 15.0]
    assert waits(order[:1], running, 4, {"t": 2}, means) == [5.0], "a free place is not for who has its share"
    means.note_read(100, 2.0)
    assert waits([Waits("t", 100)] * 3, [], 9, {}, means) == [0.0, 2.0, 4.0], "prompts are read one after another"


def test_places_in_the_queue_are_those_of_the_turns_to_come() -> None:
    scheduler = Scheduler(max_running=1, max_waiting=99)
    for name in ("a0", "a1", "a2", "b1", "b2"):
        scheduler.offer(ticket(name, name[0], num_input=10), 0.0)
    assert [scheduler.position(name) for name in ("a1", "b1", "a2", "b2")] == [0, 1, 2, 3]
    scheduler.offer(ticket("c", "c", service_class=ServiceClass.INTERACTIVE), 0.0)
    assert scheduler.position("c") == 0
    order, running = [], "a0"
    while running:
        running = (scheduler.finish(running, 1.0, Used(10, 0, 0)) or [""])[0]
        order.append(running)
    assert order == ["c", "a1", "b1", "a2", "b2", ""]


def test_a_burst_beside_many_that_run_does_not_have_each_of_it_planned_for(monkeypatch: pytest.MonkeyPatch) -> None:
    num_plans = 0

    def counted(*arguments: Any) -> list[Ticket]:
        nonlocal num_plans
        num_plans += 1
        return plan(*arguments)

    monkeypatch.setattr(places, "plan", counted)
    scheduler = Scheduler(max_running=100, max_waiting=99)
    for number in range(130):
        scheduler.offer(ticket(f"r{number}"), number * 1e-5)
        place = scheduler.place(f"r{number}", number * 1e-5)
        assert (None if place is None else place.num_ahead) == (None if number < 100 else number - 100)
    assert num_plans == 1
    later = [scheduler.place(f"r{number}", 0.5) for number in range(100, 130)]
    assert [place.num_ahead for place in later if place is not None] == list(range(30))


def test_nobody_looks_at_what_waits_and_continues_nothing() -> None:
    asked: list[str] = []

    def is_warm(one: Ticket) -> bool:
        asked.append(one.response_id)
        return one.prefixes == ("warm",)

    line = Line(is_warm)
    for number in range(1000):
        line.add(number, ticket(f"cold{number}"))
    assert line.first(ServiceClass.DEFAULT, ()) == (0, ticket("cold0"))
    assert not asked
    for number, key in ((1001, "gone"), (1003, "warm"), (1002, "warm")):
        line.add(number, ticket(f"r{number}", prefixes=(key,)))
    first = line.first(ServiceClass.DEFAULT, ())
    assert first is not None
    assert first.number == 1002, "the first that is warm"
    assert asked == ["r1001", "r1002"]
    assert line.take(first.ticket, ()) == 1002


def test_an_expiry_of_one_that_has_left_is_nobodys() -> None:
    scheduler = Scheduler(max_running=1, max_waiting=9)
    for name, expires_at in (("runs", None), ("a", 0.3), ("b", 0.5), ("c", 0.4)):
        scheduler.offer(ticket(name, expires_at=expires_at), 0.0)
    scheduler.finish("a", 0.1)
    assert scheduler.next_deadline(0.1) == 0.4
    assert scheduler.handle_deadline(0.6).expired == ["c", "b"]
    scheduler.finish("c", 0.6)
    assert scheduler.handle_deadline(0.6).expired == ["b"]
    assert scheduler.finish("runs", 0.7) == ["b"]
    assert scheduler.handle_deadline(0.8).expired == []
