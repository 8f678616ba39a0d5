"""Three servers that are one: real vLLM on `a`, the scripted engine on `b` and `c`. They are killed and stopped.

The long form has PostgreSQL beside Redis, and nodes that all have real vLLM, where a real answer goes on elsewhere.
"""

from __future__ import annotations

import contextlib
import signal
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.support.cut_answers import Answers, Events, check_order, outcome, whole_again
from tests.support.long import LONG
from tests.support.node_processes import SCRIPTED, Node, processes, receive, rest_of, stored, watch
from tests.support.server import Client
from tests.support.steps import begin, resume
from tests.support.store_servers import StoreServer, StoreServers
from tests.support.transcript import text_of

from .test_real_restart import LASTING, check, uncut

pytestmark = pytest.mark.vllm

KINDS = ("redis", pytest.param("postgres", marks=pytest.mark.skipif(not LONG, reason="Redis shows the same")))
REAL: dict[str, Any] = {"text": "Tell me a long story about a fox.", "temperature": 0, "ignore_eos": True}
PLAYED: dict[str, Any] = {"text": "go on", "seed": 1, "ignore_eos": True, "max_output_tokens": 1500}


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest, store_servers: StoreServers) -> StoreServer:
    return store_servers[request.param]


async def read_and_stopped_elsewhere(a: Node, b: Node, c: Node) -> None:
    """Made on a, read on b, watched there with a ticket, and stopped on c, which is told what of it."""
    async with a.client() as one, b.client() as two, c.client() as three:
        response_id = await begin(one, **REAL, max_output_tokens=4000)
        ticket = (await b.post(f"/v1/responses/{response_id}/tickets", {"role": "viewer"}))["ticket"]
        async with b.client(ticket) as viewer:
            seen, shown = await watch(two, response_id), await watch(viewer, response_id)
            stopping = await watch(three, response_id)
            await three.send("response.cancel", response_id=response_id)
            whole = await rest_of(three, response_id, stopping)
            assert whole == await rest_of(two, response_id, seen) == await rest_of(viewer, response_id, shown)
        own = await one.until_done(response_id)
        assert whole[-len(own) :] == own
    last = whole[-1]["response"]
    assert last["status"] == "cancelled"
    receipt = last["cancel"]
    assert 0 < receipt["tokens_generated"] == last["usage"]["output_tokens"] < 4000
    assert text_of(whole) == last["output"][-1]["content"][0]["text"]
    for node in (a, b, c):
        assert await node.get(f"/v1/responses/{response_id}") == last


async def killed(url: str, victim: Node, reader: Client, asked: dict[str, Any]) -> Events:
    """Kill a node in the middle of an answer. Return what a reader elsewhere has in the end: if it had more than was
    stored and does not come again it is told so, and finds the rest.
    """
    async with victim.client() as client:
        response_id = await begin(client, **asked)
        events = await watch(reader, response_id)
        await stored(url, response_id)
        victim.process.send(signal.SIGKILL)
        await victim.process.end()
    while not events[-1]["done"]:
        events.append(await receive(reader, response_id))
    if events[-1]["type"] == "error":
        assert events.pop()["error"]["code"] == "epoch_mismatch"
        had, events = events, await whole_again(reader, response_id)
        kept = events[-1]["response"]["output"]
        assert text_of(had).startswith(
            "".join(item["content"][0]["text"] for item in kept if item["type"] == "message")
        )
    check_order(events)
    return events


async def stopped_beyond_its_lease(url: str, victim: Node, other: Node, reader: Client, others: int) -> Events:
    """Stop a node in the middle of an answer until another one has that, and let it wake up: it has nothing to say any
    more, its reader is sent away and finds the rest, and it begins again. Return the answer.
    """
    before = await victim.until(True, others)
    async with victim.client() as client:
        response_id = await begin(client, **PLAYED)
        seen, own = await watch(reader, response_id), [await receive(client, response_id)]
        await stored(url, response_id)
        victim.process.send(signal.SIGSTOP)
        await other.until(True, others - 1)
        whole = await rest_of(reader, response_id, seen)
        victim.process.send(signal.SIGCONT)
        await victim.process.says("the lease of node=. is lost")
        own += [event for event in await drained(client) if event.get("response_id") == response_id]
    assert (await victim.until(True, others))["epoch"] > before["epoch"]
    begins, ends = own[0]["sequence_number"], own[-1]["sequence_number"] + 1
    assert own == whole[begins:ends], "what was sent before it stopped, and nothing of its own afterwards"
    async with victim.client() as client:
        place = {"starting_after": ends - 1, "epoch": whole[0]["epoch"]}
        resumed = await resume(client, response_id, **place)
        assert resumed["type"] == "response.resumed", resumed
        assert await rest_of(client, response_id, whole[:ends]) == whole
        again = await client.create("more", seed=2, max_output_tokens=5)
        assert again[-1]["type"] in ("response.completed", "response.incomplete"), "it serves as before"
    kept = [await node.get(f"/v1/responses/{response_id}") for node in (victim, other)]
    assert kept[0] == kept[1] == whole[-1]["response"]
    return whole


async def drained(client: Client) -> Events:
    """What is on its way from a node that hangs up."""
    events: Events = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            events.append(await client.receive())
    assert client.connection.close_code == 1012
    return events


async def test_three_nodes_are_one_and_outlive_each_other(server: StoreServer) -> None:
    """The real answer of a killed node fails, since no other one has such an engine. All others go on."""
    url = server.url()
    async with processes(url, {"a": (), "b": SCRIPTED, "c": SCRIPTED}) as (a, b, c):
        await read_and_stopped_elsewhere(a, b, c)
        async with b.client() as client:
            whole = text_of(await client.create(**PLAYED))
        async with c.client() as reader:
            last = (await killed(url, a, reader, REAL))[-1]["response"]
            assert (last["status"], last["error"]["code"]) == ("failed", "server_restarted")
            assert last["recovery"] == {"kind": "failed", "attempts": 2, "reason": "model_changed"}
            await b.until(True, 1)
            answer = await stopped_beyond_its_lease(url, b, c, reader, 1)
            assert (text_of(answer), answer[-1]["response"]["recovery"]["kind"]) == (whole, "exact")
            answer = await killed(url, b, reader, PLAYED)
            assert (text_of(answer), answer[-1]["response"]["recovery"]["kind"]) == (whole, "exact")
            assert (await c.get(f"/v1/responses/{answer[0]['response_id']}")) == answer[-1]["response"]


@pytest.mark.long
@pytest.mark.parametrize("kind", ["redis", "postgres"])
async def test_real_answers_go_on_at_another_node(kind: str, store_servers: StoreServers) -> None:
    """a is killed while it has several, and b goes on with all of them."""
    async with processes(store_servers[kind].url(), {"a": (), "b": ()}) as (a, b), b.client() as reader:
        whole = await uncut(reader, LASTING)
        async with a.client() as client:
            answers = Answers(client)
            await answers.ask(LASTING)
            await answers.until(lambda: answers.begun == set(LASTING) and answers.num_events > 40 * len(LASTING))
            a.process.send(signal.SIGKILL)
            await answers.drain()
            await a.process.end()
        cut = answers.running
        assert cut
        await answers.resume(reader)
        await answers.until(lambda: not answers.running)
        for name in cut:
            assert check(name, answers, whole) == 2
        print(f"{kind}: {len(cut)} real answers went on at another node, equal to the uncut ones")
        outcomes = [outcome(answers.events[name][-1]["response"]) for name in cut]
        assert outcomes == [outcome(whole.events[name][-1]["response"]) for name in cut]
