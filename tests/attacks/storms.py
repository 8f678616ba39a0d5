"""Storms of ordinary requests: sockets that are lost, answers that are cancelled, readers that do not read.

Every client's transcript goes to the oracle, and each response that is over is read once more through another door.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from typing import Any

from websockets.exceptions import ConnectionClosed

from tests.support.raw import TEXT, RawSocket, frame
from tests.support.server import Client

from .arena import ANSWER_SECONDS, Arena, Enough, cut, hear
from .oracle import Reader

KEEP: dict[str, Any] = {"on_disconnect": {"policy": "continue"}}
DOORS = ("sse", "socket")


def story(rng: random.Random, lengths: tuple[int, ...] = (5, 30, 90, 300)) -> dict[str, Any]:
    """A request for an answer of exactly so many tokens."""
    number = rng.randrange(10**6)
    return {"input": f"tell me a long story number {number}", "max_output_tokens": rng.choice(lengths),
            "ignore_eos": True, "include": ["reasoning.content"], "temperature": rng.choice([0, 1])}  # fmt: skip


class Refused(Exception):
    """A create was answered by an error; its code."""


async def begin(arena: Arena, client: Client, who: str, **members: Any) -> Reader:
    """Send a create and read its first event. Raises Refused."""
    await client.send("response.create", **members)
    while True:
        raw = await client.receive_raw(ANSWER_SECONDS)
        event = json.loads(raw)
        if event["type"] == "error" and "response_id" not in event["error"]:  # else it is about an earlier one
            arena.tally.refused("create", event["error"]["code"])
            raise Refused(event["error"]["code"])
        if event["type"] == "response.created":
            reader = arena.oracle.reader(event["response_id"], who=who)
            reader.hear(raw.encode())
            return reader


async def check_over(arena: Arena, reader: Reader, rng: random.Random, *, audit: float = 0.5) -> None:
    """A client has heard the terminal event: have some read again through another door, and all of them checked."""
    if rng.random() < audit:
        await arena.audit(reader.response_id, door=rng.choice(DOORS))
    arena.oracle.close(reader.response_id)


# -- cuts


async def cut_storm(arena: Arena, enough: Enough, *, clients: int = 40) -> None:
    """Clients that lose their sockets again and again, in the middle of handshakes, creates, resumes and answers; and
    now and then all of them at once.
    """
    all_at_once = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(_cut_again_and_again(arena, enough, number, all_at_once))
                   for number in range(clients)]  # fmt: skip
        waves = group.create_task(_waves(arena, all_at_once))
        await asyncio.wait(running)
        waves.cancel()
    await arena.quiet()


async def _waves(arena: Arena, all_at_once: asyncio.Event) -> None:
    rng = arena.rng("waves")
    while True:
        await asyncio.sleep(rng.uniform(0.2, 2))  # a moment that no client chose
        all_at_once.set()
        await asyncio.sleep(0)
        all_at_once.clear()
        arena.tally.add("waves")


async def _cut_again_and_again(arena: Arena, enough: Enough, number: int, all_at_once: asyncio.Event) -> None:
    rng = arena.rng("cuts", number)
    while not enough():
        arena.tally.add("answers begun")
        try:
            reader = await _answer_over_many_sockets(arena, rng, f"cut client {number}", all_at_once)
        except Refused:
            arena.tally.add("answers refused")
            await asyncio.sleep(0.1)  # it was told to come back later
            continue
        arena.tally.add("answers recovered")
        await check_over(arena, reader, rng)


async def _answer_over_many_sockets(arena: Arena, rng: random.Random, who: str, all_at_once: asyncio.Event) -> Reader:
    create = {**story(rng), **KEEP, "request_id": f"{arena.seed} {arena.round} {who} {rng.random()}"}
    reader: Reader | None = None
    while True:
        lost_at = time.perf_counter()
        async with arena.dial(native=rng.random() < 0.5) as client:
            if reader is None:
                reader = await _first(arena, client, who, create, rng)
            else:
                await _resume(arena, client, reader)
                if not reader.over:
                    await hear(client, reader)
                arena.tally.resumes.append(time.perf_counter() - lost_at)
            if reader is not None:
                await _read_until_cut(client, reader, rng, all_at_once)
                if reader.over:
                    return reader
            arena.tally.add("cuts")
            await (cut(client) if rng.random() < 0.7 else client.connection.close())


async def _first(arena: Arena, client: Client, who: str, create: dict[str, Any], rng: random.Random) -> Reader | None:
    """Create, or create again after the answer to the first try was lost. None: lost again."""
    if rng.random() < 0.15:
        await client.send("response.create", **create)
        arena.tally.add("creates whose answer was lost")
        return None
    return await begin(arena, client, who, **create)


async def _resume(arena: Arena, client: Client, reader: Reader) -> None:
    await client.send("response.resume", response_id=reader.response_id, starting_after=reader.cursor)
    answer = await client.receive(ANSWER_SECONDS)
    if answer["type"] != "response.resumed":
        code = answer.get("error", {}).get("code", answer["type"])
        arena.tally.refused("resume", code)
        raise Refused(code)


async def _read_until_cut(client: Client, reader: Reader, rng: random.Random, all_at_once: asyncio.Event) -> None:
    """Read so many events, or until everybody is cut, or to the end."""
    wave = asyncio.create_task(all_at_once.wait())
    try:
        for _ in range(rng.choice([0, 1, 2, 5, rng.randrange(60), 1000])):
            if reader.over or wave.done():
                return
            await hear(client, reader)
    finally:
        wave.cancel()


# -- cancels


async def cancel_storm(arena: Arena, enough: Enough, *, clients: int = 32) -> None:
    """Cancels at every moment of an answer and after it, by the one who asked, by another socket and over HTTP; every
    one gets one end, and its receipt adds up.
    """
    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(_cancel_again_and_again(arena, enough, number))
    await arena.quiet()


async def _cancel_again_and_again(arena: Arena, enough: Enough, number: int) -> None:
    rng = arena.rng("cancels", number)
    async with arena.dial() as client:
        while not enough():
            with contextlib.suppress(Refused):
                await _cancel_one(arena, client, rng, f"cancelling client {number}")


async def _cancel_one(arena: Arena, client: Client, rng: random.Random, who: str) -> None:
    how = rng.choice(["bare, at once", "by id", "by id", "by another", "over HTTP", "twice", "late"])
    create = story(rng)
    if how == "bare, at once":
        await client.send("response.create", **create)
        await client.send("response.cancel")
        reader = await _created_or_cancelled(arena, client, who)
        if reader is None:
            return
    else:
        reader = await begin(arena, client, who, **create)
        for _ in range(10**6 if how == "late" else rng.choice([0, 1, 3, rng.randrange(40)])):
            if not reader.over:
                await hear(client, reader)
    arena.tally.add("cancels")
    await _say_cancel(arena, client, reader, how)
    while not reader.over:
        event = await hear(client, reader)
        if event["type"] == "error":
            arena.tally.refused("cancel", event["error"]["code"])
    await _nothing_else(arena, client)
    await check_over(arena, reader, rng, audit=0.1)


async def _created_or_cancelled(arena: Arena, client: Client, who: str) -> Reader | None:
    """The first event of a create that was cancelled in the same breath, before or after it became a response."""
    while True:
        raw = await client.receive_raw(ANSWER_SECONDS)
        event = json.loads(raw)
        if event["type"] == "error":
            arena.tally.refused("cancel at once", event["error"]["code"])
            if event["error"]["code"] == "response_not_found":
                continue  # the cancel came before there was anything to cancel
            return None
        if event["type"] == "response.created":
            reader = arena.oracle.reader(event["response_id"], who=who)
            reader.hear(raw.encode())
            return reader


async def _say_cancel(arena: Arena, client: Client, reader: Reader, how: str) -> None:
    named = {"response_id": reader.response_id}
    if how in ("by id", "twice", "late"):
        for _ in range(2 if how == "twice" else 1):
            await client.send("response.cancel", **named)
    elif how == "by another":
        async with arena.dial(native=False) as other:
            await other.send("response.cancel", **named)
            told = await other.receive(ANSWER_SECONDS)
            if told["type"] == "error":
                arena.tally.refused("cancel", told["error"]["code"])
    elif how == "over HTTP":
        async with arena.http() as http:
            answer = await http.post(f"/v1/responses/{reader.response_id}/cancel")
        if answer.status_code != 200:
            arena.tally.refused("cancel", answer.json()["error"]["code"])


async def _nothing_else(arena: Arena, client: Client) -> None:
    """After the end nothing may come on this socket but that a cancel came too late: asked by what must be refused."""
    await client.send("response.cancel", response_id="resp_fence")
    while True:
        told = await client.receive(ANSWER_SECONDS)
        error = told.get("error", {})
        if error.get("response_id") == "resp_fence":
            return
        if told["type"] != "session.heartbeat":
            arena.tally.refused("late cancel", error.get("code", told["type"]))
            if error.get("code") != "response_already_completed":
                arena.tally.wrong.append(f"after the end of a response came {told}")


# -- slow readers


async def slow_readers(arena: Arena, enough: Enough, *, clients: int = 24) -> None:
    """Sockets with small buffers that read in fits and starts, or never. A reader that falls behind what is kept is
    told so, and what it is told instead is never a part of an answer.
    """
    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(_read_slowly_again_and_again(arena, enough, number))
    await arena.quiet()


async def _read_slowly_again_and_again(arena: Arena, enough: Enough, number: int) -> None:
    rng = arena.rng("slow", number)
    headers = [f"Authorization: Bearer {arena.key}"] if arena.key else []
    while not enough():
        sock = await RawSocket.upgraded(arena.port, *headers, receive_buffer=4096)
        create = {"type": "response.create", **story(rng, (300, 1500)), **KEEP}
        await sock.send(frame(TEXT, json.dumps(create).encode()))
        arena.tally.add("slow readers")
        try:
            await _read_slowly(arena, sock, rng, f"slow reader {number}")
        except (EOFError, ConnectionError, ConnectionClosed):
            arena.tally.add("slow readers that were cut off")
        finally:
            sock.close()


async def _read_slowly(arena: Arena, sock: RawSocket, rng: random.Random, who: str) -> None:
    reader = await _read_some_slowly(arena, sock, rng, who)
    if reader is None or reader.over:
        return
    try:
        async with arena.dial() as client:  # the first socket goes with all that is in it
            await _resume(arena, client, reader)
            while not reader.over:
                event = await hear(client, reader)
                if event["type"] == "error":
                    raise Refused(event["error"]["code"])
        arena.oracle.close(reader.response_id)
    except Refused as refused:
        await _fetch(arena, reader, str(refused))


async def _read_some_slowly(arena: Arena, sock: RawSocket, rng: random.Random, who: str) -> Reader | None:
    """Up to the end, where the reader gives up, or where the server does. None: there is nothing to read on."""
    gives_up = rng.random() < 0.3
    reader: Reader | None = None
    while reader is None or not reader.over:
        opcode, payload = await sock.frame()
        if opcode != TEXT:
            continue
        event = json.loads(payload)
        if event["type"] == "error":
            arena.tally.refused("slow reader", event["error"]["code"])
            if reader is not None:
                await _fetch(arena, reader, event["error"]["code"])
            return None
        reader = reader or arena.oracle.reader(event["response_id"], who=who)
        reader.hear(payload)
        if gives_up and reader.cursor > 3:
            await asyncio.sleep(0.3)  # nobody reads meanwhile, which is the point
            return reader
        if rng.random() < 0.02:
            await asyncio.sleep(rng.uniform(0, 0.2))  # a reader that has something else to do
    await check_over(arena, reader, rng, audit=0)
    return reader


async def _fetch(arena: Arena, reader: Reader, code: str) -> None:
    """What it had not read is gone, and it was told so; the finished response can still be had as a whole."""
    if code not in ("slow_reader", "cursor_too_old"):
        arena.tally.wrong.append(f"a slow reader was told {code}")
    arena.oracle.books.pop(reader.response_id)
    async with arena.http() as client:
        path = f"/v1/responses/{reader.response_id}"
        while (answer := (await client.get(path)).json())["status"] == "in_progress":  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # between two polls of another process
    arena.tally.add("answers fetched whole")
    if answer["status"] not in ("completed", "incomplete"):
        arena.tally.wrong.append(f"a slow reader's answer is {answer['status']}")
