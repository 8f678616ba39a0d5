"""What holds over all nodes of a cluster: limits, lists, what may be asked for where."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import msgspec

from realtime.engine.scripted import say
from realtime.service.principal import LOCAL
from realtime.settings.fields import SchedulingSettings, Settings
from realtime.settings.tenants import EVERYBODY, TenantLimits
from tests.support.cluster import Member, Nodes, nodes
from tests.support.steps import begin, until

WORDS = [f"w{n} " for n in range(30)]
SCRIPT = say(*WORDS)


def http(member: Member) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=f"{member.http}/v1", timeout=30, trust_env=False)


def limited(**limits: Any) -> Settings:
    return Settings(scheduling=SchedulingSettings(tenants={EVERYBODY: TenantLimits(**limits)}))


async def known(member: Member, wanted: tuple[int, int]) -> None:
    """Wait until a node knows what runs and waits elsewhere."""
    others = member.gateway.service.queue.scheduler.others
    await until(lambda: (others.num_running(LOCAL.tenant), others.num_waiting(LOCAL.tenant)) == wanted, f"{wanted}")


async def test_the_places_of_a_tenant_are_counted_over_all_nodes() -> None:
    settings = limited(max_running=1, max_waiting=1)
    async with (
        nodes("a", "b", script=SCRIPT, settings=settings) as found,
        found.members[0].client(native=True) as one,
        found.members[1].client(native=True) as two,
    ):
        a, b = found.members
        first = await begin(one)
        await known(b, (1, 0))
        await two.send("response.create", input="second")
        second = (await two.receive())["response_id"]
        assert (await two.receive())["type"] == "response.queued"
        assert b.gateway.service.queue.scheduler.num_running == 0
        assert b.gateway.service.queue.place(second) is not None
        await known(a, (0, 1))
        async with http(a) as on_a:
            refused = await on_a.post("/responses", json={"input": "third"})
        assert refused.json()["error"]["code"] == "too_many_queued_requests"
        await found.while_stepping(one.until_done(first))
        events = await found.while_stepping(two.until_done(second))
        assert "response.in_progress" in [event["type"] for event in events]
        assert events[-1]["response"]["status"] == "completed"
