"""A tenant who knows all of another's ids, and tries them through every door while the other is at work.

For everything the answer must be the one for an id that never was, and no answer to the tenant's own requests may
differ by what the other has sent.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2

from tests.behaviour.test_tenants import MORE, SOCKET, TABLE, filled, plain
from tests.support.raw import RawSocket, text

from .arena import ANSWER_SECONDS, Arena, Enough
from .storms import story

SECRET = "the code of the door is " + " ".join(str(number * 37 % 1000) for number in range(300))
NEVER = "the code of the door is " + " ".join(str(number * 41 % 1000) for number in range(300))
SCHEMA = {"type": "object", "properties": {"secret_member": {"type": "boolean"}}, "required": ["secret_member"],
          "additionalProperties": False}  # fmt: skip


async def spy(arena: Arena, enough: Enough) -> None:
    """The arena's key is the spy's; the victim has `others_key`."""
    async with arena.http(arena.others_key) as victim, arena.http() as eve:
        while True:
            await _what_the_answers_tell(arena, victim, eve)
            await _ids(arena, victim, eve)
            if enough():
                return


def _without_words(answer: dict[str, Any]) -> Any:
    """The shape of an answer but for what the model said, which differs from prompt to prompt."""
    said = ("output", "status", "incomplete_details")
    return shape({name: value for name, value in answer.items() if name not in said})


async def _what_the_answers_tell(arena: Arena, victim: httpx2.AsyncClient, eve: httpx2.AsyncClient) -> None:
    """Answers to what the victim has sent, and to what nobody has: the same in all but their words."""
    form = {"text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}}
    for members in ({}, form):
        request = {"max_output_tokens": 16, "temperature": 0, "request_id": f"r{arena.seed}", **members}
        await victim.post("/v1/responses", json={"input": SECRET, **request})
        known = (await eve.post("/v1/responses", json={"input": SECRET, **request})).json()
        await eve.delete(f"/v1/responses/{known['id']}")  # so that the request_id is free again
        other = (await eve.post("/v1/responses", json={"input": NEVER, **request})).json()
        await eve.delete(f"/v1/responses/{other['id']}")
        if known["usage"]["input_tokens_details"]["cached_tokens"] and not arena.tally["spied"]:
            arena.tally.wrong.append(f"usage tells what another tenant has sent: {known['usage']}")
        told, untold = _without_words(known), _without_words(other)
        if told != untold:
            arena.tally.wrong.append(f"answers differ by what another has sent: {told}, {untold}")
        arena.tally.add("spied")


def shape(answer: Any) -> Any:
    """Names, kinds and lengths of lists of an answer, without its values: what a spy could see of its making."""
    if isinstance(answer, dict):
        return {name: shape(value) for name, value in answer.items()}
    if isinstance(answer, list):
        return [shape(value) for value in answer[:1]]
    return type(answer).__name__


async def _ids(arena: Arena, victim: httpx2.AsyncClient, eve: httpx2.AsyncClient) -> None:
    """Ids of what runs, of what is over and of what is deleted."""
    conversation = (await victim.post("/v1/conversations", json={"items": [{"role": "user", "content": "x"}]})).json()
    page = (await victim.get(f"/v1/conversations/{conversation['id']}/items")).json()
    background = {**story(arena.rng("spied"), (1000,)), "background": True}
    names = []
    for state in ("running", "over", "deleted"):
        response = (await victim.post("/v1/responses", json=background)).json()
        path = f"/v1/responses/{response['id']}"
        if state != "running":
            await victim.post(f"{path}/cancel")
        if state == "deleted":
            await victim.delete(path)
        names.append({"response_id": response["id"], "conversation_id": conversation["id"],
                      "item_id": page["first_id"]})  # fmt: skip
    for foreign in names:
        await _try_all(arena, eve, foreign)
    for foreign in names:
        await victim.post(f"/v1/responses/{foreign['response_id']}/cancel")
    if (await victim.get(f"/v1/conversations/{conversation['id']}/items")).json() != page:
        arena.tally.wrong.append("another tenant has changed a conversation")


async def _try_all(arena: Arena, eve: httpx2.AsyncClient, foreign: dict[str, str]) -> None:
    unknown = {name: f"{value[:6]}{'0' * 32}" for name, value in foreign.items()}
    for method, path, body in [*TABLE, *MORE]:
        told = []
        for names in (foreign, unknown):
            answer = await eve.request(method, path.format(**names), json=filled(body, names) if body else None)
            told.append((answer.status_code, plain(answer.text, names)))
        _compare(arena, f"{method} {path}", *told)
    async with arena.dial(native=False) as socket:
        for event in SOCKET:
            answers = []
            for names in (foreign, unknown):
                await socket.connection.send(json.dumps(filled(event, names)))
                answers.append(plain(await socket.receive_raw(ANSWER_SECONDS), names))
            _compare(arena, str(event["type"]), *answers)


def _compare(arena: Arena, what: str, foreign: Any, unknown: Any) -> None:
    arena.tally.add("foreign ids tried")
    if foreign != unknown:
        arena.tally.wrong.append(f"{what} tells that it exists: {foreign}, not {unknown}")


async def hoard(arena: Arena, enough: Enough, *, sockets: int = 80, lanes: int = 32) -> None:
    """One tenant asks for all the places that there are, and reads nothing; another asks for one again and again."""
    headers = [f"Authorization: Bearer {arena.key}"] if arena.key else []
    create = {**story(arena.rng("hoard"), (1000,)), "type": "response.create"}
    hoarders = [await RawSocket.upgraded(arena.port, *headers, receive_buffer=4096) for _ in range(sockets)]
    for sock in hoarders:
        await sock.send(b"".join(text(**create, stream_id=f"s{lane}") for lane in range(lanes)))
    arena.tally.add("places asked for", sockets * lanes)
    await _ask_for_one(arena, enough)
    for sock in hoarders:
        sock.close()
    await arena.quiet()


async def _ask_for_one(arena: Arena, enough: Enough) -> None:
    async with arena.http(arena.others_key) as client:
        while True:
            answer = await client.post("/v1/responses", json={"input": "count to 3", "max_output_tokens": 5})
            arena.tally.add("asked beside a hoarder")
            if answer.status_code != 200:
                code = answer.json()["error"]["code"]
                arena.tally.refused("beside a hoarder", code)
                arena.tally.wrong.append(f"a tenant beside a hoarder was refused: {code}")
            if enough():
                return
            await asyncio.sleep(0.1)  # asks as a person does
