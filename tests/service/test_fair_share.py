"""Fair shares of tokens: what the algorithm's paper promises, on a simulated engine behind the real scheduler."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.simulated import Fair, Model, Request, World
from realtime.runs.job import ServiceClass
from realtime.service.scheduler import AsideRules, Prices
from realtime.service.scheduling.classes import SHARES
from realtime.settings.tenants import TenantLimits
from tests.support.fuzz import examples

SMALL = Model(max_requests=8, kv_tokens=4000, step_tokens=512)
PRICES = Prices()
_numbers = itertools.count()


def request(tenant: str, at: float, num_prompt: int, num_output: int, **more: object) -> Request:
    return Request(f"{tenant}{next(_numbers)}", tenant, at, num_prompt, num_output, **more)  # type: ignore[arg-type]


def backlog(tenant: str, number: int, seed: int, longest: int, at: float = 0.0) -> list[Request]:
    rng = random.Random(seed)
    return [request(tenant, at, rng.randint(1, longest), rng.randint(1, longest)) for _ in range(number)]


def world(weights: dict[str, float] | None = None, share: float = 1.0) -> World:
    def limits_of(tenant: str) -> TenantLimits:
        return TenantLimits(weight=(weights or {}).get(tenant, 1.0))

    return World(SMALL, lambda requests: Fair(SMALL, requests, limits_of=limits_of, share=share))


def service(here: World, tenant: str) -> float:
    admitted = (one for one in here.requests.values() if one.tenant == tenant and one.admitted_at is not None)
    return sum(PRICES.of(one.used) for one in admitted)


def waits(here: World, tenant: str) -> bool:
    return any(one.tenant == tenant and one.admitted_at is None for one in here.requests.values())


@examples(25)
@given(st.integers(0, 10**6), st.integers(1, 400), st.integers(1, 400), st.floats(0, 3))
def test_two_that_wait_all_the_time_are_served_alike(seed: int, longest: int, others: int, later: float) -> None:
    """Theorem 4.4 of the paper, for every interval in which both wait."""
    here = world()
    intervals: list[list[float]] = [[]]

    def watch(here: World) -> None:
        if waits(here, "a") and waits(here, "b"):
            intervals[-1].append(service(here, "a") - service(here, "b"))
        elif intervals[-1]:
            intervals.append([])

    here.watch = watch
    here.run([*backlog("a", 60, seed, longest), *backlog("b", 60, seed + 1, others, at=later)])
    batch = min(SMALL.kv_tokens, SMALL.max_requests * 2 * max(longest, others))
    bound = 2 * max(PRICES.input * max(longest, others), PRICES.output * batch)
    assert all(max(one) - min(one) <= bound for one in intervals if one)
    assert all(one.ended_at is not None for one in here.requests.values()), "nobody starves"


def shares(here: World, requests: list[Request], until: float) -> tuple[float, float]:
    here.run(requests, until)
    return service(here, "a"), service(here, "b")


@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_tokens_follow_the_weights(weight: float) -> None:
    here = world({"b": weight})
    a, b = shares(here, [*backlog("a", 900, 1, 100), *backlog("b", 900, 2, 100)], 15.0)
    assert waits(here, "a")
    assert waits(here, "b")
    assert b / a == pytest.approx(weight, rel=0.1)


def test_many_small_ones_gain_nothing_over_few_large_ones() -> None:
    here = world()
    small = [request("a", 0.0, 20, 20) for _ in range(1000)]
    large = [request("b", 0.0, 300, 400) for _ in range(100)]
    a, b = shares(here, [*small, *large], 10.0)
    assert waits(here, "a")
    assert waits(here, "b")
    assert a / b == pytest.approx(1.0, rel=0.15)


def test_who_has_slept_gains_nothing() -> None:
    here = world()
    late = [request("b", 10.0, 50, 50) for _ in range(300)]
    here.run([*backlog("a", 1000, 1, 100), *late], 10.0)
    before = service(here, "a")
    assert service(here, "b") == 0
    here.run([], 18.0)
    assert waits(here, "a")
    assert waits(here, "b")
    assert service(here, "b") / (service(here, "a") - before) == pytest.approx(1.0, rel=0.15)


def jobs(tenant: str, number: int, service_class: ServiceClass, at: float = 0.0) -> list[Request]:
    return [request(tenant, at, 50, 50, service_class=service_class) for _ in range(number)]


def test_a_lone_interactive_one_passes_all_batch_jobs() -> None:
    here = world()
    batch, one = jobs("a", 200, ServiceClass.BATCH), jobs("b", 1, ServiceClass.INTERACTIVE, at=1.0)[0]
    here.run([*batch, one], 6.0)
    assert one.admitted_at is not None
    assert waits(here, "a")
    assert not [other for other in batch if 1.0 <= (other.admitted_at or 0) < one.admitted_at]


def test_a_flood_of_interactive_ones_leaves_batch_its_little() -> None:
    here = world()
    here.run([*jobs("a", 100, ServiceClass.BATCH), *jobs("b", 600, ServiceClass.INTERACTIVE)], 20.0)
    share = service(here, "a") / (service(here, "a") + service(here, "b"))
    assert waits(here, "b")
    assert 0.2 / 65 < share < 4 / 65


PAUSE = 1.0


def mixed(seed: int, rules: AsideRules) -> World:
    """Batch jobs of two tenants that fill the engine, and bursts of interactive ones."""
    here = World(SMALL, lambda requests: Fair(SMALL, requests, share=1.0, aside_rules=rules))
    rng = random.Random(seed)
    batch = [*jobs("a", 40, ServiceClass.BATCH), *jobs("b", 40, ServiceClass.BATCH, at=0.3)]
    hurried = [
        request("c", at, rng.randint(1, 60), rng.randint(1, 30), service_class=ServiceClass.INTERACTIVE)
        for at in (rng.uniform(0.5, 6.0) for _ in range(rng.randint(1, 60)))
    ]
    here.run([*batch, *hurried])
    return here


@examples(15)
@given(st.integers(0, 10**6), st.integers(0, 3))
def test_what_is_put_aside_is_never_lost_and_costs_its_tenant_nothing(seed: int, most: int) -> None:
    here = mixed(seed, AsideRules(max_times=most, max_seconds=PAUSE))
    longest = max(one.ended_at - one.admitted_at for one in here.requests.values() if one.ended_at and one.admitted_at)
    for one in here.requests.values():
        assert one.num_generated == one.num_output
        assert one.num_aside <= (most if one.service_class is ServiceClass.BATCH else 0)
        assert one.longest_pause <= PAUSE + longest, "then it goes before all, and waits for a place at most"
    scheduler = here.queue.scheduler  # type: ignore[attr-defined]
    assert (scheduler.num_running, scheduler.num_waiting) == (0, 0)
    charged = sum(PRICES.of(one.used) for one in here.requests.values() if one.tenant in "ab")
    batch = scheduler._accounts.classes[ServiceClass.BATCH] * SHARES[ServiceClass.BATCH]
    assert batch == pytest.approx(charged), "each token once"


def test_who_cannot_wait_does_not_wait_for_batch_jobs_and_that_costs_little() -> None:
    waits = {}
    for most in (0, 3):
        here = mixed(1, AsideRules(max_times=most))
        hurried = [one for one in here.requests.values() if one.service_class is ServiceClass.INTERACTIVE]
        waits[most] = sorted((one.admitted_at or 0) - one.at for one in hurried)[len(hurried) * 9 // 10]
        waits[most, "busy"] = here.busy_seconds  # type: ignore[index]
    assert waits[3] < waits[0] / 2
    assert waits[3, "busy"] < 1.1 * waits[0, "busy"]  # type: ignore[index]


@pytest.mark.parametrize(("spread", "cap"), [(0.0, None), (1.0, 1024)])
def test_of_a_first_burst_the_first_steps_show_how_long_it_will_take(spread: float, cap: int | None) -> None:
    """Hardly anything has ended when it is told. How long answers are is not known then: these are of an ordinary
    length, which is what is guessed.
    """
    here, rng = World(Model(), lambda requests: Fair(Model(), requests)), random.Random(0)
    burst = [
        request("new", spread * rng.random(), rng.randint(200, 3000), min(1000, int(rng.lognormvariate(5.2, 0.7)) + 1))
        for _ in range(150)
    ]
    for one in burst:
        one.max_output = cap
    told: list[tuple[Request, float, float]] = []
    looked = [0.0]

    def look(here: World) -> None:
        if here.now - looked[0] < 0.5 or sum(one.ended_at is not None for one in here.requests.values()) >= 32:
            return
        looked[0] = here.now
        for one in here.requests.values():
            if one.admitted_at is None and (guess := here.queue.estimate(one.name, here.now)) is not None:
                told.append((one, here.now, guess))

    here.watch = look
    here.run(burst)
    left = [(guess, (one.admitted_at or 0) - at) for one, at, guess in told]
    good = [wait / 2 <= guess <= wait * 2 for guess, wait in left if wait >= 1]
    assert len(good) > 200
    assert sum(good) >= 0.8 * len(good)
