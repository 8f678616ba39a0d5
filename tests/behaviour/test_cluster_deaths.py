"""Nodes that die, are stopped, lose their lease or go down: what ran on them goes on elsewhere, and its readers see a
pause.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx2
import pytest

from realtime.engine.scripted import say
from realtime.server import cluster
from realtime.store.records import Unfinished
from tests.support.cluster import Member, Nodes, member, nodes
from tests.support.memory_backend import MemoryBackend
from tests.support.patience import SECONDS
from tests.support.restarts import timeless
from tests.support.steps import begin, resume, take, take_all, until
from tests.support.transcript import assert_error, check

WORDS = [f"w{n} " for n in range(40)]
SCRIPT = say(*WORDS)
ASKED: dict[str, Any] = {"seed": 1, "on_disconnect": {"policy": "linger", "seconds": 600}}


def readable(frames: list[str]) -> list[Any]:
    """What two runs of the same answer have in common."""
    found = []
    for frame in frames:
        event = timeless(frame.encode())
        text = json.dumps(event)
        for number, name in enumerate(_ids(event)):
            text = text.replace(name, f"id {number}")
        found.append(json.loads(text))
    return found


def _ids(value: Any) -> list[str]:
    """Ids that are other ones in each run, in their order."""
    if isinstance(value, dict):
        own = [one for name, one in value.items() if isinstance(one, str) and (name == "id" or name.endswith("_id"))]
        own += [value["epoch"]] if "epoch" in value else []
        return own + [one for inner in value.values() for one in _ids(inner)]
    return [one for inner in value for one in _ids(inner)] if isinstance(value, list) else []


async def uncut(found: Nodes) -> list[str]:
    """The same answer, whole."""
    async with found.members[-1].client(native=True) as client:
        await client.send("response.create", input="hi", **ASKED)
        return await found.while_stepping(take_all(client))


async def kill(member: Member) -> None:
    await member.kill()


async def lose(member: Member) -> None:
    await member.lose_lease()


async def drain(member: Member) -> None:
    member.draining = asyncio.create_task(member.gateway.drain())  # type: ignore[attr-defined]


@pytest.mark.parametrize("ends", [kill, lose, drain])
async def test_a_reader_on_another_node_sees_a_pause(ends: Any) -> None:
    """It is read on b and c; whichever of them goes on with it, both have the answer that it would have been."""
    async with nodes("a", "b", "c", script=SCRIPT) as found:
        a, b, c = found.members
        whole = await uncut(found)
        async with (
            a.client(native=True) as one, b.client(native=True) as two, c.client(native=True) as three,
            httpx2.AsyncClient(base_url=f"{b.http}/v1", timeout=SECONDS, trust_env=False) as on_b,
        ):  # fmt: skip
            response_id = await begin(one, **ASKED)
            for client in (two, three):
                assert (await resume(client, response_id))["type"] == "response.resumed"
            for _ in range(6):
                a.engine.step()
                await asyncio.sleep(0.001)
            frames = [await take(client, 6) for client in (two, three)]
            await ends(a)
            await one.connection.wait_closed()
            assert one.connection.close_code == (1006 if ends is kill else 1012)
            rests = [await found.while_stepping(take_all(client, response_id)) for client in (two, three)]
            texts = [frame + rest for frame, rest in zip(frames, rests, strict=True)]
            assert texts[0] == texts[1]
            assert [json.loads(event)["sequence_number"] for event in texts[0]] == list(range(len(texts[0])))
            final = check([json.loads(event) for event in texts[0]])
            assert final["output"][0]["content"][0]["text"] == "".join(WORDS)
            assert [event.get("delta") for event in readable(texts[0])] == [
                event.get("delta") for event in readable(whole)
            ]
            assert [event["type"] for event in readable(texts[0])] == [event["type"] for event in readable(whole)]
            kept = (await on_b.get(f"/responses/{response_id}")).json()
            assert kept["status"] == "completed"
            if ends is drain:
                await a.draining  # type: ignore[attr-defined]


async def test_who_resumes_before_the_lease_of_a_dead_node_is_over_waits_for_the_next_one() -> None:
    """Nobody is sent away to try again: with pauses that grow, that would take longer than the lease."""
    async with nodes("a", "b", script=SCRIPT) as found:
        a, b = found.members
        async with a.client(native=True) as one, b.client(native=True) as two:
            response_id = await begin(one, **ASKED)
            await found.settle()
            await a.kill(lease_ends=False)
            resumed = asyncio.create_task(resume(two, response_id))
            link = b.cluster.nodes.get("a")
            assert link is not None
            await until(lambda: link._link._not_before > 0, "an attempt to reach the dead node")
            assert "a" in b.cluster.membership.peers()
            await a.lose_lease()
            assert (await resumed)["type"] == "response.resumed"
            events = [json.loads(one) for one in await found.while_stepping(take_all(two, response_id))]
            assert check(events)["output"][0]["content"][0]["text"] == "".join(WORDS)


@pytest.mark.parametrize("asks", ["the new owner", "another"])
async def test_what_a_node_is_just_taking_over_is_not_unknown(asks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It owns all that it takes before the first of it runs; who asks meanwhile waits."""
    async with nodes("a", "b", "c", script=SCRIPT) as found:
        a, b, c = found.members
        monkeypatch.setattr(c.cluster, "_sweep", lambda: asyncio.sleep(0))  # b takes over
        take_over, owned, go_on = b.gateway.service.restart.take_over, asyncio.Event(), asyncio.Event()

        async def slowly(*arguments: Any) -> Any:
            owned.set()
            await go_on.wait()
            return await take_over(*arguments)

        async with (
            a.client(native=True) as one,
            (b if asks == "the new owner" else c).client(native=True) as two,
        ):
            response_id = await begin(one, **ASKED)
            await found.settle()
            monkeypatch.setattr(b.gateway.service.restart, "take_over", slowly)
            await a.kill()
            await owned.wait()
            resumed = asyncio.create_task(resume(two, response_id))
            await asyncio.sleep(0.2)  # it would be refused at once
            go_on.set()
            assert (await resumed)["type"] == "response.resumed"


async def test_a_node_that_lost_its_lease_begins_again() -> None:
    async with nodes("a", "b", script=SCRIPT) as found:
        a = found.members[0]
        async with httpx2.AsyncClient(base_url=a.http, trust_env=False, timeout=SECONDS) as http:
            ready = (await http.get("/ready")).json()["node"]
            assert (ready["name"], ready["lease"], ready["others"]) == ("a", True, 1)
            assert (await http.get("/health")).json() == {"status": "ok", "lease": True}
            async with a.client(native=True) as client:
                response_id = await begin(client, **ASKED)
                await found.settle()  # what was not committed is lost
                await a.lose_lease()
                await client.connection.wait_closed()
                assert client.connection.close_code == 1012
            await until(a.cluster.membership.holds, "a new lease")
            again = (await http.get("/ready")).json()["node"]
            assert again["epoch"] > ready["epoch"]
            await found.know_each_other()
            await found.owner(response_id)
            async with a.client(native=True) as client:  # the answer may be on any node now
                assert (await resume(client, response_id))["type"] == "response.resumed"
                events = await found.while_stepping(client.until_done(response_id))
                assert check(events)["status"] == "completed"
                new = await found.while_stepping(client.create("new"))
                assert check(new)["id"].startswith("resp_a_")


async def test_a_lease_that_is_lost_at_once_is_asked_for_again_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the node has heard that it has one. Two that begin again would each take the other's lease away."""
    async with nodes("a", "b", script=SCRIPT) as found:
        a = found.members[0]
        node, begins = a.opened.node, list[int]()
        acquire, begin_again = node._acquire, a.cluster._begin_again

        async def acquire_in_vain() -> Any:
            monkeypatch.setattr(node, "_acquire", acquire)
            reset, lease = await acquire(), node._lease
            assert lease is not None
            await a.backend.release(lease)
            node._lose(lease)
            return reset

        def count() -> Any:
            begins.append(node.epoch)
            return begin_again()

        monkeypatch.setattr(node, "_acquire", acquire_in_vain)
        monkeypatch.setattr(a.cluster, "_begin_again", count)
        before = node.epoch
        await a.lose_lease()
        await until(lambda: a.cluster.membership.holds() and node.epoch > before, "a new lease")
        assert begins == [before]
        await found.know_each_other()
        async with a.client(native=True) as client:
            assert check(await found.while_stepping(client.create("new")))["id"].startswith("resp_a_")


async def test_a_fault_of_ours_ends_no_nodes_part_in_its_cluster(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It would live, and take over nothing, or have no lease for ever."""
    failed = Counter[str]()

    async def fail(what: str) -> None:
        failed[what] += 1
        raise KeyError(what)

    async with nodes("a", "b", script=SCRIPT) as found:
        a, b = found.members
        monkeypatch.setattr(cluster, "_AGAIN_SECONDS", 0.01)
        monkeypatch.setattr(b.cluster._shared, "exchange", lambda: fail("look"))
        await until(lambda: failed["look"] > 1, "looks that fail")
        with monkeypatch.context() as patch:
            patch.setattr(b.opened.node, "join", lambda: fail("join"))
            await b.lose_lease()
            await until(lambda: failed["join"] > 1, "no new lease")
        await until(b.cluster.membership.holds, "a new lease")
        await found.know_each_other()
        async with a.client(native=True) as client:
            response_id = await begin(client, **ASKED)
            await found.settle()
            await a.kill()
        assert await found.owner(response_id) is b
    caplog.clear()


async def test_what_can_not_be_taken_over_does_not_keep_the_rest_lying(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_MAX_AT_ONCE", 1)
    async with nodes("a", "b", script=SCRIPT) as found:
        a, b = found.members
        async with a.client(native=True) as one, a.client(native=True) as two:
            stuck, free = sorted([await begin(one, **ASKED), await begin(two, **ASKED)])
            await found.settle()
            adopt = b.opened.node.adopt

            async def but_one(response_ids: Sequence[str], **how: Any) -> AsyncIterator[Unfinished]:
                async for taken in adopt([one for one in response_ids if one != stuck], **how):
                    yield taken

            monkeypatch.setattr(b.opened.node, "adopt", but_one)
            await a.kill()
            assert await found.owner(free) is b
            await until(lambda: b.gateway.observer.cluster.orphans == 1, "the one that is left is seen")
            assert b.running == [free]


async def test_a_conversation_goes_on_where_its_answer_does() -> None:
    async with nodes("a", "b", script=SCRIPT) as found:
        a, b = found.members
        async with (
            httpx2.AsyncClient(base_url=f"{a.http}/v1", timeout=SECONDS, trust_env=False) as on_a,
            httpx2.AsyncClient(base_url=f"{b.http}/v1", timeout=SECONDS, trust_env=False) as on_b,
            b.client(native=True) as two,
        ):
            conversation = (await on_a.post("/conversations", json={})).json()["id"]
            response_id = await begin(two, conversation=conversation, **ASKED)
            assert a.running == [response_id]
            await found.settle()
            await a.kill()
            await found.owner(response_id)
            events = await found.while_stepping(two.until_done(response_id))
            assert events[-1]["type"] == "response.completed"
            items = (await on_b.get(f"/conversations/{conversation}/items")).json()["data"]
            assert [item["role"] for item in items] == ["assistant", "user"]


@pytest.mark.parametrize("stored", ["what it said", "that it has begun"])
async def test_a_reader_is_told_if_what_it_had_of_an_answer_does_not_come_again(stored: str) -> None:
    """No node has a model like that of the dead one, so the answer fails; a reader had more of it than the store."""
    backend = MemoryBackend()
    async with contextlib.AsyncExitStack() as stack:
        models = {"a": "another", "b": "starter", "c": "starter"}
        found = Nodes([
            await stack.enter_async_context(member(backend, name, SCRIPT, model=model))
            for name, model in models.items()
        ])  # fmt: skip
        await found.know_each_other()
        a, b, c = found.members
        async with a.client(native=True) as one, b.client(native=True) as two, c.client(native=True) as three:
            response_id = await begin(one, **ASKED)
            if stored == "what it said":
                a.engine.step(3)
                await take(one, 4)
            await found.settle()
            for client in (two, three):
                assert (await resume(client, response_id))["type"] == "response.resumed"
            a.opened.node.submit = lambda batch, done: None  # type: ignore[method-assign]
            a.engine.step(3)
            for client in (two, three):
                while (await client.receive()).get("delta") != ("w5 " if stored == "what it said" else "w2 "):
                    pass
            await a.kill()
            for client in (two, three):
                assert_error(await client.receive(), "epoch_mismatch", response_id=response_id)
                assert (await resume(client, response_id))["type"] == "response.resumed"
                events = await client.until_done(response_id)
                assert [event["sequence_number"] for event in events] == list(range(len(events)))
                last = events[-1]["response"]
                assert (last["error"]["code"], last["recovery"]["reason"]) == ("server_restarted", "model_changed")
