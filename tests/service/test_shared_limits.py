"""What a tenant has taken on one node counts on the others, a moment later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from realtime.service.scheduling.allowances import Allowances
from realtime.service.shared_limits import SharedLimits
from realtime.settings.tenants import UNLIMITED, TenantLimits

LIMITS = TenantLimits(tokens_per_minute=600, requests_per_minute=6)


class Counters:
    """A membership, as far as its counters go."""

    def __init__(self) -> None:
        self.sums: dict[str, int] = {}

    async def add_up(self, counts: Mapping[str, int], seconds: float) -> Mapping[str, int]:
        for name, count in counts.items():
            self.sums[name] = self.sums.get(name, 0) + count
        return {name: self.sums[name] for name in counts}


def node(counters: Any) -> tuple[Allowances, SharedLimits]:
    minutes = Allowances()
    shared = SharedLimits(counters, minutes, lambda tenant: LIMITS if tenant == "t" else UNLIMITED, lambda: 0.0)
    return minutes, shared


def left(minutes: Allowances) -> list[int]:
    return [one.remaining for one in minutes.show("t", LIMITS, 0.0)]


async def test_what_is_taken_on_one_node_counts_on_the_others() -> None:
    counters = Counters()
    (a, share_a), (b, share_b) = node(counters), node(counters)
    for _ in range(2):
        a.take_request("t", LIMITS, 0.0)
    a.take_tokens("t", LIMITS, 100, 0.0)
    b.take_request("t", LIMITS, 0.0)
    b.take_tokens("t", LIMITS, 10, 0.0)
    assert (left(a), left(b)) == ([4, 500], [5, 590])
    for _ in range(3):
        await share_a.exchange()
        await share_b.exchange()
    assert left(a) == left(b) == [3, 490]
    a.take_tokens("t", LIMITS, -50, 0.0)  # it was an estimate
    a.take_request("t", LIMITS, 0.0)
    await share_a.exchange()
    await share_b.exchange()
    assert left(b)[0] == left(a)[0] == 2
    counters.sums.clear()  # the window is over
    b.take_request("t", LIMITS, 0.0)
    await share_b.exchange()
    await share_a.exchange()
    assert left(a)[0] == left(b)[0] == 1


async def test_who_has_no_limit_is_not_counted() -> None:
    counters = Counters()
    minutes, shared = node(counters)
    minutes.take_request("free", UNLIMITED, 0.0)
    minutes.take_tokens("free", UNLIMITED, 5, 0.0)
    await shared.exchange()
    assert counters.sums == {}
