"""Several nodes as one server: whatever is asked, and wherever, the answer is that of the node that has it."""

from __future__ import annotations

import asyncio
import contextlib
import json

import httpx2
import pytest

from realtime.engine.scripted import say
from tests.support.cluster import Member, Nodes, nodes
from tests.support.patience import SECONDS
from tests.support.steps import begin, resume, take, take_all, until
from tests.support.transcript import check, text_of

WORDS = [f"w{n} " for n in range(30)]
SCRIPT = say(*WORDS)


def http(member: Member) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=f"{member.http}/v1", timeout=SECONDS, trust_env=False)


async def steps(found: Nodes, number: int) -> None:
    for _ in range(number):
        found.step()
        await asyncio.sleep(0.001)


async def sse(client: httpx2.AsyncClient, response_id: str, after: int = -1) -> list[str]:
    """All events over HTTP, as they came."""
    found = []
    params: dict[str, str | int] = {"stream": "true", "starting_after": after}
    async with client.stream("GET", f"/responses/{response_id}", params=params) as answer:
        assert answer.status_code == 200, await answer.aread()
        async for line in answer.aiter_lines():
            if line.startswith("data: {"):
                found.append(line.removeprefix("data: "))
    return found


async def test_a_response_is_read_and_stopped_from_any_node() -> None:
    """Made on a, resumed on b over both doors, watched on b with a ticket, cancelled on c, which is told what of it."""
    async with (
        nodes("a", "b", "c", script=SCRIPT) as found,
        found.members[0].client(native=True) as one,
        found.members[1].client(native=True) as two,
        found.members[2].client(native=True) as three,
        http(found.members[0]) as on_a,
        http(found.members[1]) as on_b,
    ):
        response_id = await begin(one)
        assert response_id.startswith("resp_a_")
        answer = await on_b.post(f"/responses/{response_id}/tickets", json={"role": "viewer"})
        ticket = answer.json()["ticket"]
        await steps(found, 5)
        resumed = await resume(two, response_id)
        assert resumed["type"] == "response.resumed", resumed
        assert resumed["resumed"]["status"] == "in_progress"
        streamed = asyncio.create_task(sse(on_b, response_id))
        async with found.members[1].client(native=True, key=ticket) as viewer:
            assert (await resume(viewer, response_id))["type"] == "response.resumed"
            shown = (await on_b.get(f"/responses/{response_id}")).json()
            assert (shown["id"], shown["status"]) == (response_id, "in_progress")
            copies = found.members[1].cluster.nodes.copies
            await until(lambda: len(copies[response_id].audience.watchers) == 3, "three readers of one copy")
            assert len(found.members[0].cluster.door._guests) <= 2
            [pulse] = found.members[1].gateway.service.heartbeat([response_id]).responses
            assert (pulse.response_id, pulse.status) == (response_id, "in_progress")
            await steps(found, 5)
            late = await resume(three, response_id, 3)
            assert late["resumed"]["starting_after"] == 3
            await three.send("response.cancel", response_id=response_id)
            await until(lambda: found.members[0].engine.stats().num_running == 0 or found.step(), "the stop")
            frames = [await take_all(client, response_id) for client in (two, viewer, three)]
            whole = await streamed
        own = await take_all(one, response_id)
        assert frames[0] == frames[1] == whole
        assert whole[2:] == own, "of the first two events the test has the answer in another form"
        assert frames[2] == whole[4:]
        last = json.loads(whole[-1])
        assert last["response"]["status"] == "cancelled"
        assert last["response"]["cancel"]["tokens_generated"] > 0
        assert not copies
        await found.settle()
        stored = (await on_b.get(f"/responses/{response_id}")).json()
        assert stored == (await on_a.get(f"/responses/{response_id}")).json() == last["response"]


async def test_however_events_are_asked_for_they_come_from_any_node() -> None:
    """As booleans are read in a query; and the word means nothing for what is no stream."""
    async with (
        nodes("a", "b", script=SCRIPT) as found,
        found.members[0].client(native=True) as one,
        http(found.members[1]) as on_b,
    ):
        path = f"/responses/{await begin(one)}"
        for stream in ("stream=1", "stream=True", "stream[]=true"):
            async with on_b.stream("GET", f"{path}?{stream}") as answer:
                assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert (await on_b.get(f"{path}?stream=x")).status_code == 400
        assert (await on_b.head(f"{path}?stream=true")).status_code == 200
        assert (await on_b.get(f"{path}/input_items?stream=true")).json()["data"]
        found.members[0].engine.step(50)


@pytest.mark.parametrize("over", [False, True])
async def test_a_reader_may_come_late_in_a_long_answer(over: bool) -> None:
    """The copy has all that there is before anybody is answered from it; conversations have their answers elsewhere."""
    async with (
        nodes("a", "b", script=say(*WORDS * 20)) as found,
        found.members[0].client(native=True) as one,
        found.members[1].client(native=True) as two,
    ):
        response_id = await begin(one, on_disconnect={"policy": "continue"})
        for _ in range(6):
            found.step(100 if over else 60)
            await asyncio.sleep(0.01)
        if over:
            await found.while_stepping(one.until_done(response_id))
        resumed = await resume(two, response_id, 300)
        assert resumed["type"] == "response.resumed", resumed
        assert resumed["resumed"]["tip"] > 300
        rest = await found.while_stepping(two.until_done(response_id))
        assert rest[0]["sequence_number"] == 301
        ahead = await resume(two, response_id, 10_000)
        assert ahead["error"]["code"] == "cursor_ahead"


async def test_what_is_over_is_had_from_any_node() -> None:
    """Retrieved, listed, continued, cut and deleted on nodes that have not made it."""
    async with (
        nodes("a", "b", "c", script=SCRIPT, tick_seconds=0) as found,
        found.members[0].client(native=True) as one,
        found.members[2].client(native=True) as three,
        http(found.members[0]) as on_a,
        http(found.members[1]) as on_b,
        http(found.members[2]) as on_c,
    ):
        whole = await one.create("first")
        final = check(whole)
        response_id = final["id"]
        at_once = await three.create("second", previous_response_id=response_id)  # it may not be stored yet
        assert check(at_once)["previous_response_id"] == response_id
        assert at_once[-1]["response"]["usage"]["input_tokens"] > final["usage"]["input_tokens"]
        assert [json.loads(event) for event in await sse(on_b, response_id)][2:] == whole[2:]
        items = (await on_b.get(f"/responses/{response_id}/input_items")).json()["data"]
        assert items[0]["content"][0]["text"] == "first"
        listed = (await on_c.get("/responses", params={"limit": 10})).json()["data"]
        assert {one["id"] for one in listed} == {response_id, at_once[0]["response_id"]}
        answer = final["output"][0]["id"]
        cut = await on_b.post(f"/responses/{response_id}/truncate", json={"item_id": answer, "num_characters": 2})
        assert cut.json()["output"][0]["content"][0]["text"] == "w0"
        shorter = await one.create("third", previous_response_id=response_id)  # whose socket has the turn in memory
        assert shorter[-1]["response"]["usage"]["input_tokens"] < at_once[-1]["response"]["usage"]["input_tokens"]
        assert (await on_c.delete(f"/responses/{response_id}")).json()["deleted"]
        await found.settle()
        for client in (on_a, on_b, on_c):
            gone = await client.get(f"/responses/{response_id}")
            assert (gone.status_code, gone.json()["error"]["code"]) == (404, "response_not_found")
        [refused] = await one.create("fourth", previous_response_id=response_id)
        assert refused["error"]["code"] == "previous_response_not_found"


async def test_what_is_over_is_continued_elsewhere_before_the_store_has_heard_of_it() -> None:
    """The store has not even its beginning: the node that has it commits all of it first."""
    async with (
        nodes("a", "b", script=SCRIPT, tick_seconds=0) as found,
        found.members[0].client(native=True) as one,
        found.members[1].client(native=True) as two,
    ):
        waiting = found.members[0].opened.commits.on_commit
        with found.members[0].commits_held():
            response_id = await begin(one, "first")
            await until(lambda: not found.members[0].running, "the end of the first, which nobody is told yet")
            num_waiting = len(waiting)
            asking = asyncio.create_task(two.create("second", previous_response_id=response_id))
            await until(lambda: asking.done() or len(waiting) > num_waiting, "the other node's question")
            assert not asking.done()
        assert check(await asking)["previous_response_id"] == response_id


async def test_a_conversation_is_one_wherever_it_is_spoken_in() -> None:
    """What names it goes to the node that has it in memory; what comes of that is read where it was asked for."""
    async with (
        nodes("a", "b", "c", script=SCRIPT, tick_seconds=0) as found,
        found.members[1].client(native=True) as two,
        http(found.members[0]) as on_a,
        http(found.members[1]) as on_b,
        http(found.members[2]) as on_c,
    ):
        conversation = (await on_a.post("/conversations", json={"metadata": {"k": "v"}})).json()["id"]
        assert conversation.startswith("conv_a_")
        events = await two.create("one", conversation=conversation)
        first = check(events)
        assert first["id"].startswith("resp_a_")
        answer = await on_c.post("/responses", json={"input": "two", "conversation": conversation})
        assert answer.status_code == 200, answer.text
        items = (await on_b.get(f"/conversations/{conversation}/items", params={"order": "asc"})).json()["data"]
        assert [item["role"] for item in items] == ["user", "assistant"] * 2
        added = await on_c.post(
            f"/conversations/{conversation}/items", json={"items": [{"role": "user", "content": "noted"}]}
        )
        assert added.status_code == 200, added.text
        gone = await on_b.delete(f"/conversations/{conversation}/items/{items[0]['id']}")
        assert gone.json()["metadata"] == {"k": "v"}
        left = (await on_a.get(f"/conversations/{conversation}/items")).json()["data"]
        assert [item["id"] for item in left][1:] == [item["id"] for item in items[:0:-1]]
        error = await on_b.get(f"/conversations/{conversation}/items/{items[0]['id']}")
        assert (error.status_code, error.json()["error"]["code"]) == (404, "item_not_found")
        steered = await two.create("three", previous_response_id=first["id"])
        assert check(steered)["id"].startswith("resp_b_")


async def test_an_answer_is_cut_at_home_too_when_another_node_has_its_conversation() -> None:
    """Its home has had it in memory, and would show it whole for ever."""
    async with (
        nodes("a", "b", script=SCRIPT, tick_seconds=0) as found,
        http(found.members[0]) as on_a,
        http(found.members[1]) as on_b,
    ):
        a = found.members[0]
        conversation = (await on_a.post("/conversations", json={})).json()["id"]
        response = (await on_a.post("/responses", json={"input": "one", "conversation": conversation})).json()
        path, item = f"/responses/{response['id']}", response["output"][0]["id"]
        await found.settle()
        async with a.without_lease():
            assert (await on_b.get(f"/conversations/{conversation}/items")).status_code == 200  # b has it now
        await until(a.cluster.membership.holds, "a new lease")
        await found.know_each_other()
        assert (await on_a.get(path)).json() == response
        cut = await on_b.post(f"{path}/truncate", json={"item_id": item, "num_characters": 2})
        assert cut.status_code == 200, cut.text
        await found.settle()
        shown = [(await client.get(path)).json() for client in (on_a, on_b)]
        assert [one["output"][0]["content"][0]["text"] for one in shown] == ["w0", "w0"]


async def test_the_same_request_runs_once_whichever_nodes_it_comes_to() -> None:
    async with nodes("a", "b", "c", script=SCRIPT, tick_seconds=0) as found, contextlib.AsyncExitStack() as open_:
        clients = [await open_.enter_async_context(http(member)) for member in found]
        body = {"input": "once", "request_id": "r1", "max_output_tokens": 20}
        answers = await asyncio.gather(*(client.post("/responses", json=body) for client in clients * 2))
        assert [answer.status_code for answer in answers] == [200] * 6, [answer.text for answer in answers]
        assert len({answer.json()["id"] for answer in answers}) == 1
        conflicts = [await client.post("/responses", json={**body, "input": "twice"}) for client in clients]
        assert {answer.json()["error"]["code"] for answer in conflicts} == {"idempotency_conflict"}


async def test_an_answer_is_cut_where_its_user_stopped_listening_from_another_node() -> None:
    async with (
        nodes("a", "b", script=SCRIPT) as found,
        found.members[0].client(native=True) as one,
        found.members[1].client(native=True) as two,
    ):
        response_id = await begin(one)
        assert (await resume(two, response_id))["type"] == "response.resumed"
        await steps(found, 8)
        seen = [json.loads(event) for event in await take(two, 8)]
        await two.send("response.ack", response_id=response_id, through=6)
        await two.send("response.cancel", response_id=response_id)
        await until(lambda: not found.members[0].running or found.step(), "the stop")
        rest = await two.until_done(response_id)
        heard = text_of(seen[:7])
        assert rest[-1]["response"]["output"][0]["content"][0]["text"] == heard
        assert rest[-1]["response"]["cancel"]["through"] == 6
        await two.send("response.truncate", response_id=response_id, through=5)
        cut = await two.receive()
        assert cut["type"] == "response.truncated", cut
        assert cut["response"]["output"][0]["content"][0]["text"] == text_of(seen[:6])
        await two.send("response.interrupt", response_id=response_id)
        assert (await two.receive())["error"]["code"] == "response_already_completed"
        await two.send("response.resume", response_id="resp_a_" + "0" * 32)
        assert (await two.receive())["error"]["code"] == "response_not_found"


async def test_who_made_it_and_is_gone_is_missed_on_its_node() -> None:
    """The policy of a response counts the readers of all nodes; one that its last reader leaves lingers, or not."""
    async with (
        nodes("a", "b", script=SCRIPT) as found,
        http(found.members[0]) as on_a,
        http(found.members[1]) as on_b,
    ):
        conversation = (await on_a.post("/conversations", json={})).json()["id"]
        async with found.members[1].client() as two:
            response_id = await begin(two, conversation=conversation)
            assert found.members[0].running == [response_id]
        await until(lambda: not found.members[0].running or found.step(), "the stop")
        await found.settle()
        response = (await on_b.get(f"/responses/{response_id}")).json()
        assert response["incomplete_details"]["reason"] == "client_disconnected"


async def test_a_node_that_can_not_be_reached_is_said_to_be() -> None:
    async with (
        nodes("a", "b", script=SCRIPT, advertise="ws://127.0.0.1:9") as found,
        found.members[0].client(native=True) as one,
        found.members[1].client(native=True) as two,
        http(found.members[1]) as on_b,
    ):
        response_id = await begin(one, on_disconnect={"policy": "continue"})
        await found.settle()
        refused = await resume(two, response_id)
        assert refused["error"]["code"] == "node_unavailable"
        assert refused["error"]["retry"]
        assert refused["error"]["retry_after"] > 0
        answer = await on_b.post(f"/responses/{response_id}/cancel")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "node_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        await found.while_stepping(one.until_done())
