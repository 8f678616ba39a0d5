"""What holds over all nodes of a cluster: limits, lists, what may be asked for where."""

from __future__ import annotations

import contextlib
from typing import Any

import httpx2

from realtime.engine.scripted import say
from realtime.service.principal import LOCAL
from realtime.settings.fields import SchedulingSettings, Settings
from realtime.settings.tenants import EVERYBODY, TenantLimits
from tests.support.cluster import Member, nodes
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


async def page(client: httpx2.AsyncClient, **query: Any) -> Any:
    answer = await client.get("/responses", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def pages(client: httpx2.AsyncClient, **query: Any) -> list[str]:
    """The ids on all pages."""
    found: list[str] = []
    while True:
        one = await page(client, **query)
        found += [response["id"] for response in one["data"]]
        if not one["has_more"]:
            return found
        query["after"] = one["last_id"]


async def test_all_nodes_list_what_runs_and_what_is_over_of_all() -> None:
    """In one order, page by page, however small; what is over since is where it was."""
    async with nodes("a", "b", "c", script=SCRIPT) as found, contextlib.AsyncExitStack() as open_:
        began = []
        for member in found.members * 2:
            socket = await open_.enter_async_context(member.client(native=True))
            began.append((socket, await begin(socket, metadata={"n": member.name})))
        ids = [response_id for _, response_id in began][::-1]
        clients = [await open_.enter_async_context(http(member)) for member in found]
        whole = [await page(client, limit=50) for client in clients]
        assert whole[0] == whole[1] == whole[2]
        assert [one["id"] for one in whole[0]["data"]] == ids
        assert {one["status"] for one in whole[0]["data"]} == {"in_progress"}
        for client in clients:
            assert await pages(client, limit=2) == ids
            assert await pages(client, limit=4, order="asc") == ids[::-1]
            named = await page(client, limit=5, **{"metadata.n": "b"})
            assert [one["id"] for one in named["data"]] == [ids[1], ids[4]]
        first, rest = await page(clients[2], limit=3), ids[3:]
        found.members[0].engine.step(100)
        for socket, response_id in began[::3]:
            await socket.until_done(response_id)
        assert await pages(clients[2], limit=1, after=first["last_id"]) == rest
        statuses = {one["id"]: one["status"] for one in (await page(clients[1], limit=50))["data"]}
        assert statuses == {one: "completed" if one.startswith("resp_a") else "in_progress" for one in ids}
        unknown = await clients[1].get("/responses", params={"after": "resp_a_" + "0" * 32})
        assert unknown.status_code == 400
        for member in found:
            member.engine.step(100)


async def test_a_list_that_lacks_a_nodes_responses_is_refused() -> None:
    async with nodes("a", "b", script=SCRIPT, advertise="ws://127.0.0.1:9") as found, http(found.members[0]) as on_a:
        answer = await on_a.get("/responses", params={"limit": 5})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "node_unavailable")


async def test_an_answer_goes_on_where_its_conversation_is_by_now() -> None:
    """Another node was asked for the conversation of a dead one, before anybody had taken its answer over."""
    async with nodes("a", "b", "c", script=SCRIPT) as found, http(found.members[2]) as on_c:
        a, b, c = found.members
        async with http(a) as on_a, b.client(native=True) as two:
            conversation = (await on_a.post("/conversations", json={})).json()["id"]
            response_id = await begin(two, conversation=conversation, on_disconnect={"policy": "continue"})
            await found.settle()
            b.cluster._draining = c.cluster._draining = True  # neither takes anything over for now
            await a.kill()
            await until(lambda: "a" not in b.cluster.membership.peers() and "a" not in c.cluster.membership.peers())
            assert (await on_c.get(f"/conversations/{conversation}/items")).status_code == 200
            b.cluster._draining = False
            await b.cluster._sweep()
            assert response_id not in b.running
            c.cluster._draining = False
            await found.owner(response_id)
            assert c.running == [response_id]
            events = await found.while_stepping(two.until_done(response_id))
            assert events[-1]["type"] == "response.completed"
            items = (await on_c.get(f"/conversations/{conversation}/items")).json()["data"]
            assert [item["role"] for item in items] == ["assistant", "user"]
