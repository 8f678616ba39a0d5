"""Fair shares over several nodes: simulated engines behind real schedulers, which tell each other what they served."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.simulated import Fair, Model, Request, World
from realtime.service.scheduler import Prices, Scheduler, TenantFull, Ticket
from realtime.service.scheduling.accounts import Accounts
from realtime.service.scheduling.counters import Counters
from realtime.service.scheduling.sums import Sums
from realtime.settings.tenants import UNLIMITED, TenantLimits
from realtime.store.cluster.membership import TenantPlaces, tenant_digest
from tests.support.fuzz import examples

SMALL = Model(max_requests=8, kv_tokens=4000, step_tokens=512)
PRICES = Prices()
TICK = 1.0  # seconds between two exchanges
LONGEST = 60  # tokens of a prompt, and of an answer


class Untold(Fair):
    """Tells nobody how long he will wait, which takes long to work out."""

    def estimate(self, response_id: str, now: float) -> float | None:
        return None


class Node:
    """One of them. `tells`: it takes part in exchanges."""

    def __init__(self, sums: dict[str, int], *, tells: bool = True) -> None:
        self.world = World(SMALL, self._queue)
        self._sums = sums
        self._tells = tells

    def _queue(self, requests: dict[str, Request]) -> Fair:
        self.queue = Untold(SMALL, requests, share=1.0)
        return self.queue

    def flood(self, tenant: str, number: int, seed: int) -> None:
        rng = random.Random(seed)
        sizes = [(rng.randint(1, LONGEST), rng.randint(1, LONGEST)) for _ in range(number)]
        self.world.run((Request(f"{tenant}{n}", tenant, 0.0, *size) for n, size in enumerate(sizes)), until=0.0)

    def run(self, until: float) -> None:
        self.world.run((), until)

    def exchange(self) -> None:
        elsewhere = self.queue.scheduler.elsewhere
        if self._tells and (told := elsewhere.to_tell()):
            for name, number in told.items():
                self._sums[name] = self._sums.get(name, 0) + number
            elsewhere.take(told, {name: self._sums[name] for name in told})

    def served(self, tenant: str) -> float:
        admitted = (one for one in self.world.requests.values() if one.admitted_at is not None)
        return sum(PRICES.of(one.used) for one in admitted if one.tenant == tenant)

    def waits(self, tenant: str) -> bool:
        return any(one.tenant == tenant and one.admitted_at is None for one in self.world.requests.values())


def play(nodes: list[Node], where: dict[str, list[int]], ticks: int, seed: int) -> list[tuple[float, float]]:
    """Flood some nodes for each tenant; return what a and b were served in all, tick by tick."""
    for tenant, places in where.items():
        for place in places:
            nodes[place].flood(tenant, 45 * ticks, seed + place)
    rng, found = random.Random(seed), []
    for tick in range(1, ticks + 1):
        for node in rng.sample(nodes, len(nodes)):
            node.run(tick * TICK)
            node.exchange()
        found.append((sum(node.served("a") for node in nodes), sum(node.served("b") for node in nodes)))
    assert all(nodes[place].waits(tenant) for tenant, places in where.items() for place in places)
    return found


def bound(served: list[tuple[float, float]], num_nodes: int) -> float:
    """One node's bound for each, and what all serve in two exchanges."""
    batch = min(SMALL.kv_tokens, SMALL.max_requests * 2 * LONGEST)
    one = 2 * max(PRICES.input * LONGEST, PRICES.output * batch)
    totals = [a + b for a, b in served]
    return num_nodes * one + max(later - now for now, later in zip(totals, totals[2:], strict=False))


@examples(4)
@given(st.integers(0, 10**6), st.integers(1, 3), st.data())
def test_who_waits_at_all_nodes_has_no_less_than_anybody(seed: int, num_nodes: int, data: st.DataObject) -> None:
    """And no more, than who waits at all of them, too."""
    everywhere = list(range(num_nodes))
    others = data.draw(st.sets(st.sampled_from(everywhere), min_size=1).map(sorted))
    sums: dict[str, int] = {}
    served = play([Node(sums) for _ in everywhere], {"a": everywhere, "b": others}, 6, seed)
    ahead = [b - a for a, b in served[1:]]
    most = bound(served, num_nodes)
    for at, first in enumerate(ahead):
        assert max(ahead[at:]) - first <= most
        if others == everywhere:
            assert first - min(ahead[at:]) <= most


@pytest.mark.parametrize("tells", [True, False])
def test_who_floods_one_node_has_no_fresh_share_of_another(tells: bool) -> None:
    sums: dict[str, int] = {}
    served = play([Node(sums, tells=tells), Node(sums, tells=tells)], {"a": [0, 1], "b": [1]}, 9, 1)
    (a, b), (more_a, more_b) = served[2], served[-1]
    assert (more_a - a) / (more_b - b) == pytest.approx(1.0 if tells else 3.0, rel=0.15)


def test_nobody_is_held_back_for_what_was_had_elsewhere_long_ago() -> None:
    accounts = Accounts(PRICES, lambda tenant: UNLIMITED)
    counters = accounts.tenants
    counters.join("a")
    counters.join("b")
    for _ in range(1000):
        counters.charge_elsewhere("a", 10.0, 600.0)
    assert counters["a"] == counters["b"] + 600
    counters.charge_elsewhere("a", 10.0, 100.0)
    assert counters["a"] == 600, "nothing is taken back"


def test_who_had_nothing_elsewhere_begins_where_others_are() -> None:
    counters: Counters[str] = Counters(lambda tenant: 1.0)
    counters.join("a")
    counters.add("a", 50.0)
    counters.charge_elsewhere("b", 5.0, 5.0)
    counters.join("b")
    assert counters["b"] == 50


def test_what_is_given_back_makes_no_sum_smaller() -> None:
    one, other = Sums(counts_first=False), Sums(counts_first=False)
    sums: dict[str, int] = {}

    def exchange(who: Sums, had: float) -> dict[str, int]:
        told = who.to_tell({"t": had})
        assert all(number >= 0 for number in told.values())
        for name, number in told.items():
            sums[name] = sums.get(name, 0) + number
        return who.take(told, {name: sums[name] for name in told})

    assert exchange(one, 100.5) == exchange(other, 0) == {}
    assert exchange(one, -30) == exchange(other, 0) == {}
    assert exchange(one, 40) == {}
    assert exchange(other, 7) == {"t": 10}
    assert exchange(one, 0.5) == {"t": 7}
    sums.clear()
    exchange(one, 20)
    assert exchange(other, 0) == {"t": 20}, "begun again"


def test_who_is_not_seen_for_long_is_not_asked_for_and_names_are_bounded() -> None:
    sums = Sums(counts_first=True)
    assert sums.to_tell({"t": 1.0}) == {"t": 1}
    for _ in range(119):
        assert "t" in sums.to_tell({})
    assert not sums.to_tell({}) or not sums.to_tell({})
    assert sums.to_tell({}, ["t"]).keys() == {"t"}
    sums.to_tell({"busy": 1.0})
    many = sums.to_tell({f"t{n}": 1.0 for n in range(10_000)})
    assert len(many) == 4096


LIMITED = TenantLimits(max_running=2, max_waiting=1)


def elsewhere(scheduler: Scheduler, *said: tuple[int, int, float | None]) -> None:
    scheduler.others.hear([[TenantPlaces(tenant_digest("t"), *one)] for one in said])


def test_places_that_are_taken_elsewhere_are_taken() -> None:
    scheduler = Scheduler(max_running=8, max_waiting=8, limits_of=lambda tenant: LIMITED)

    def offer(name: str, at: float) -> bool:
        return scheduler.offer(Ticket(response_id=name, tenant="t", asked_at=at), at)

    elsewhere(scheduler, (1, 0, None), (0, 0, None))
    assert offer("1", 0.0)
    assert not offer("2", 1.0)
    [told] = scheduler.places_taken(3.0)
    assert told == TenantPlaces(tenant_digest("t"), 1, 1, 2.0)
    elsewhere(scheduler, (1, 1, None))
    with pytest.raises(TenantFull):
        offer("3", 4.0)
    elsewhere(scheduler, (0, 1, 9.5))
    assert not scheduler.handle_deadline(5.0).admitted, "one elsewhere has waited for 5.5 seconds more"
    elsewhere(scheduler, (0, 1, 9.0))
    assert scheduler.handle_deadline(5.0).admitted == ["2"]


def test_who_waits_for_more_than_a_place_of_its_tenant_claims_none_elsewhere() -> None:
    scheduler = Scheduler(max_running=1, max_waiting=8, limits_of=lambda tenant: LIMITED)
    for name in "12":
        scheduler.offer(Ticket(response_id=name, tenant="t"), 0.0)
    assert [one.waited for one in scheduler.places_taken(3.0)] == [None]
    free = Scheduler(max_running=1, max_waiting=8)
    free.offer(Ticket(response_id="1", tenant="t"), 0.0)
    assert free.places_taken(1.0) == [], "nobody's places are limited"
