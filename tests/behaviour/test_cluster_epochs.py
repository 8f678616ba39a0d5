"""An answer without a seed whose node dies: the rest is another sample, so it has another epoch. Whoever follows it
on a third node can go on from there after a cut of its own, and no reader mixes two samples.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2

from realtime.engine.scripted import say
from tests.support.cluster import Nodes, nodes
from tests.support.patience import SECONDS
from tests.support.server import Client
from tests.support.steps import begin, cut, resume, take, take_all, until
from tests.support.transcript import check

WORDS = [f"w{n} " for n in range(40)]
UNSEEDED: dict[str, Any] = {"on_disconnect": {"policy": "linger", "seconds": 600}}


async def step(found: Nodes, ticks: int) -> None:
    for _ in range(ticks):
        found.step()
        await asyncio.sleep(0.001)
    await found.settle()


async def next_resumed(client: Client) -> dict[str, Any]:
    """Read up to the event that tells an epoch."""
    while (event := await client.receive())["type"] != "response.resumed":
        assert event["type"] != "error", event
    return event["resumed"]  # type: ignore[no-any-return]


async def test_whoever_follows_an_answer_is_told_the_epoch_in_which_it_goes_on() -> None:
    async with nodes("a", "b", "c", script=say(*WORDS), seeds_are_free=False) as found:
        a, b, c = found.members
        async with a.client(native=True) as one, b.client(native=True) as two, c.client(native=True) as three:
            response_id = await begin(one, **UNSEEDED)
            before = [(await resume(client, response_id))["resumed"]["epoch"] for client in (two, three)]
            await step(found, 6)
            frames = [await take(client, 6) for client in (two, three)]
            await a.kill()
            await found.owner(response_id)
            for client, read, epoch, member in zip((two, three), frames, before, (b, c), strict=True):
                told = await found.while_stepping(next_resumed(client))
                assert told["epoch"] != epoch
                first = await client.receive_raw()
                event = json.loads(first)
                assert event["sequence_number"] == told["starting_after"] + 1 >= len(read)
                await cut(client)
                async with member.client(native=True) as again:
                    refused = await resume(again, response_id, event["sequence_number"], epoch=epoch)
                    assert refused["error"]["code"] == "epoch_mismatch", "that epoch has no such event"
                    accepted = await resume(again, response_id, event["sequence_number"], epoch=told["epoch"])
                    assert accepted["type"] == "response.resumed", accepted
                    rest = await found.while_stepping(take_all(again, response_id))
                    assert json.loads(rest[0])["sequence_number"] == event["sequence_number"] + 1
                    final = json.loads(rest[-1])["response"]
                    assert final["recovery"] == {"kind": "prefix_exact", "attempts": 2}


async def test_a_reader_over_http_reads_on_and_never_mixes_two_samples() -> None:
    """It is told no epoch, so what it has behind the place where the other sample began can't be told from the first
    one's: it is refused to go on from there, and from before it is not.
    """
    async with nodes("a", "b", "c", script=say(*WORDS), seeds_are_free=False) as found:
        a, b, c = found.members
        async with a.client(native=True) as one:
            response_id = await begin(one, **UNSEEDED)
            await step(found, 6)
            tip = next(iter(a.gateway.service.registry.running.values())).log.tip
            await a.kill()
            new = await found.owner(response_id)
            third = c if new is b else b
            async with httpx2.AsyncClient(base_url=f"{third.http}/v1", timeout=SECONDS, trust_env=False) as http:

                async def follow(after: int) -> Any:
                    place: dict[str, Any] = {"stream": "true", "starting_after": after}
                    return await found.while_stepping(http.get(f"/responses/{response_id}", params=place))

                whole = (await follow(-1)).text
                events = [json.loads(line[6:]) for line in whole.splitlines() if line.startswith("data: {")]
                assert check(events)["recovery"]["kind"] == "prefix_exact"
                assert (await follow(tip - 1)).status_code == 200
                refused = await follow(tip)
                assert (refused.status_code, refused.json()["error"]["code"]) == (409, "epoch_mismatch")


async def test_a_reader_that_has_more_than_comes_again_is_told_and_does_not_wait() -> None:
    """An exact answer is cancelled before it has come as far again as a reader on another node had it."""
    async with nodes("a", "b", "c", script=say(*WORDS)) as found:
        a, b, c = found.members
        async with a.client(native=True) as one, b.client(native=True) as two, c.client(native=True) as three:
            response_id = await begin(one, seed=1, **UNSEEDED)
            await found.settle()
            for client in (two, three):
                assert (await resume(client, response_id))["type"] == "response.resumed"
            a.opened.node.submit = lambda batch, done: None  # type: ignore[method-assign] # nothing more is stored
            for _ in range(6):
                a.engine.step()
                await asyncio.sleep(0.001)
            for client in (two, three):
                await take(client, 6)
            await a.kill()
            await found.owner(response_id)
            async with b.client(native=True) as other:
                await other.send("response.cancel", response_id=response_id)
                async with asyncio.timeout(60):  # guards against hanging only
                    told = [await _error(client) for client in (two, three)]
            assert [(error["code"], error["response_id"]) for error in told] == 2 * [("epoch_mismatch", response_id)]
            await until(lambda: not any(member.cluster.nodes.copies for member in (b, c)), "no copy that waits")


async def _error(client: Client) -> dict[str, Any]:
    while (event := await client.receive())["type"] != "error":
        pass
    assert "event_id" not in event, "nobody asked"
    return event["error"]  # type: ignore[no-any-return]
