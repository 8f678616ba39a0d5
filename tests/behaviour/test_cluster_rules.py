"""What holds over all nodes of a cluster: limits, lists, what may be asked for where."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Iterable
from typing import Any

import httpx2
import pytest

from realtime.engine.scripted import say
from realtime.service.principal import LOCAL
from realtime.settings.fields import SchedulingSettings, Settings
from realtime.settings.tenants import EVERYBODY, TenantLimits
from tests.support.cluster import Member, nodes
from tests.support.patience import SECONDS
from tests.support.steps import begin, resume, until
from tests.support.transcript import check

WORDS = [f"w{n} " for n in range(30)]
SCRIPT = say(*WORDS)


def http(member: Member) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=f"{member.http}/v1", timeout=SECONDS, trust_env=False)


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


DOORS = {
    "/chat/completions": {"messages": [{"role": "user", "content": "hi"}], "store": True},
    "/messages": {"model": "starter", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 100},
}


async def together(work: Iterable[Awaitable[Any]]) -> list[Any]:
    return await asyncio.gather(*work)


def said(answer: Any) -> str:
    """The text of a whole answer of either door."""
    text: str = answer["choices"][0]["message"]["content"] if "choices" in answer else answer["content"][0]["text"]
    return text


async def streamed(client: httpx2.AsyncClient, path: str, body: dict[str, Any], **headers: str) -> list[str]:
    found = []
    async with client.stream("POST", path, json={**body, "stream": True}, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                found.append(line.removeprefix("data: "))
    return found


@pytest.mark.parametrize("path", DOORS)
async def test_the_other_doors_run_a_request_once_whichever_nodes_it_comes_to(path: str) -> None:
    """Whole and streamed, at once and later; the same words, and one response of them all."""
    async with nodes("a", "b", script=SCRIPT) as found, contextlib.AsyncExitStack() as open_:
        clients = [await open_.enter_async_context(http(member)) for member in found]
        once = {"Idempotency-Key": "k1"}
        requests = [client.post(path, json=DOORS[path], headers=once) for client in clients * 2]
        answers = [answer.json() for answer in await found.while_stepping(together(requests))]
        assert len({answer.get("id") for answer in answers}) == 1, answers
        assert {said(answer) for answer in answers} == {"".join(WORDS)}
        streams = [await streamed(client, path, {**DOORS[path], "stream": True}, **once) for client in clients]
        assert streams[0] == streams[1]
        other = {**DOORS[path], "temperature": 0.5}
        refused = [await client.post(path, json=other, headers=once) for client in clients]
        assert {answer.status_code for answer in refused} == {409}


@pytest.mark.parametrize("path", DOORS)
async def test_what_the_other_doors_make_is_read_and_stopped_from_any_node(path: str) -> None:
    """Begun and streamed on a, watched on b, and stopped there: the stream on a says so."""
    async with (
        nodes("a", "b", script=SCRIPT) as found,
        http(found.members[0]) as on_a,
        found.members[1].client(native=True) as two,
        http(found.members[1]) as on_b,
    ):
        a = found.members[0]
        stream = asyncio.create_task(streamed(on_a, path, DOORS[path]))
        await until(lambda: bool(a.running), "the response")
        [response_id] = a.running
        await until(lambda: found.step() or a.gateway.service.registry.running[response_id].log.tip > 6, "some words")
        shown = (await on_b.get(f"/responses/{response_id}")).json()
        assert shown["status"] == "in_progress"
        assert (await resume(two, response_id))["type"] == "response.resumed"
        stopped = (await found.while_stepping(on_b.post(f"/responses/{response_id}/cancel"))).json()
        events = await two.until_done(response_id)
        assert (stopped["status"], events[-1]["response"]["status"]) == ("cancelled", "cancelled")
        assert (await stream)[-1]


async def test_what_is_not_stored_goes_on_at_its_node_alone() -> None:
    """On the socket that made it, as ever; one that ran elsewhere says what to do."""
    async with (
        nodes("a", "b", script=SCRIPT, tick_seconds=0) as found,
        http(found.members[0]) as on_a,
        found.members[1].client(native=True) as two,
    ):
        first = check(await two.create("one", store=False))
        assert first["id"].startswith("resp_b_")
        assert check(await two.create("two", store=False, previous_response_id=first["id"]))["status"] == "completed"
        conversation = (await on_a.post("/conversations", json={})).json()["id"]
        third = check(await two.create("three", store=False, conversation=conversation))
        assert third["id"].startswith("resp_a_")
        [refused] = await two.create("four", store=False, previous_response_id=third["id"])
        assert refused["error"]["code"] == "previous_response_not_found"
        assert "another node" in refused["error"]["message"]
        on = check(await two.create("four", store=False, conversation=conversation))
        assert on["usage"]["input_tokens"] > third["usage"]["input_tokens"]
