"""An answer that a node hands on when it goes down waits long for the clients that were sent away, but not for ever."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from realtime.engine.scripted import say
from realtime.runs import audience as audiences
from realtime.service.principal import LOCAL
from tests.support.cluster import Member, Nodes, nodes
from tests.support.server import Client
from tests.support.steps import begin, resume, take_all, until
from tests.support.transcript import check

WORDS = [f"w{n} " for n in range(40)]
BRIEF, LONG = 0.001, 600.0


async def begun(client: Client, seconds: float) -> str:
    """Begin an answer whose followers may be away for so long."""
    return await begin(client, seed=1, on_disconnect={"policy": "linger", "seconds": seconds})


async def go_down(found: Nodes, number: int, response_id: str) -> Member:
    """Have a node go down in order; return the one that has the response then, made again as far as it had come."""
    await found.members[number].gateway.drain()
    await found.members[number].kill()
    heir = await found.owner(response_id)
    run = heir.gateway.service.registry.running[response_id]
    await until(lambda: run.response.recovery is not None or run.over, "an answer that goes on")
    return heir


async def rest_of(found: Nodes, heir: Member, response_id: str) -> Any:
    """Return the Response of the end, for a client that comes at last."""
    async with heir.client(native=True) as client:
        assert (await resume(client, response_id))["type"] == "response.resumed"
        events = [json.loads(one) for one in await found.while_stepping(take_all(client, response_id))]
    return check(events)


@pytest.mark.parametrize("twice", [False, True])
async def test_whoever_a_node_has_sent_away_finds_the_answer_going_on(twice: bool) -> None:
    """Nodes that are upgraded one after the other send away also who has not come back yet."""
    async with nodes("a", "b", "c", script=say(*WORDS)) as found:
        async with found.members[0].client(native=True) as client:
            response_id = await begun(client, BRIEF)
            heir = await go_down(found, 0, response_id)
        if twice:
            heir = await go_down(found, found.members.index(heir), response_id)
        await asyncio.sleep(20 * BRIEF)  # longer than the policy waits for whoever has left by himself
        final = await rest_of(found, heir, response_id)
        assert (final["status"], final["output"][0]["content"][0]["text"]) == ("completed", "".join(WORDS))


async def test_an_answer_whose_clients_never_come_back_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audiences, "RETURN_SECONDS", BRIEF)
    async with nodes("a", "b", script=say(*WORDS)) as found:
        async with found.members[0].client(native=True) as client:
            response_id = await begun(client, BRIEF)
            heir = await go_down(found, 0, response_id)
        await until(lambda: response_id not in heir.running, "the end of an answer for nobody")
        shown = await heir.gateway.service.show(LOCAL, response_id)
        assert shown.status == "cancelled"


async def test_what_was_to_go_on_without_a_reader_still_does(monkeypatch: pytest.MonkeyPatch) -> None:
    async with nodes("a", "b", script=say(*WORDS)) as found:
        async with found.members[0].client(native=True) as client:
            response_id = await begun(client, BRIEF)
            await client.send("response.detach", response_id=response_id)
            run = found.members[0].gateway.service.registry.running[response_id]
            await until(lambda: not run.audience.watchers, "a detach")
        monkeypatch.setattr(audiences, "RETURN_SECONDS", BRIEF)
        heir = await go_down(found, 0, response_id)
        await asyncio.sleep(20 * BRIEF)  # as above
        assert (await rest_of(found, heir, response_id))["status"] == "completed"


async def test_whoever_was_away_already_is_waited_for_as_long_as_the_policy_says() -> None:
    async with nodes("a", "b", script=say(*WORDS)) as found:
        async with found.members[0].client(native=True) as client:
            response_id = await begun(client, LONG)
        run = found.members[0].gateway.service.registry.running[response_id]
        await until(lambda: run.audience.lonely is not None, "a client that is gone")
        heir = await go_down(found, 0, response_id)
        audience = heir.gateway.service.registry.running[response_id].audience
        await until(lambda: audience.lonely is not None, "a wait for its return")
