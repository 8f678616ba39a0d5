"""Much of what costs a client little: control frames, texts beyond any window, and both at once."""

from __future__ import annotations

import asyncio
import json
import time

import httpx2

from tests.support.raw import CLOSE, PING, PONG, RawSocket, frame

from .arena import ANSWER_SECONDS, Arena, Enough
from .bombs import HUGE, HUGE_WORD, throw

BURST = 1000
CLIENTS = 8
SMALL = json.dumps({"input": "word " * 2000, "max_output_tokens": 5, "temperature": 0}).encode()


async def pings(arena: Arena, enough: Enough, *, sockets: int = 2) -> None:
    """Pings as fast as they are taken, with every pong read; a server may close such a socket."""
    async with asyncio.TaskGroup() as group:
        for _ in range(sockets):
            group.create_task(_ping(arena, enough))


async def _ping(arena: Arena, enough: Enough) -> None:
    headers = [f"Authorization: Bearer {arena.key}"] if arena.key else []
    sock = await RawSocket.upgraded(arena.port, *headers)
    burst = frame(PING, b"x") * BURST
    try:
        while not enough():
            async with asyncio.TaskGroup() as group:
                group.create_task(sock.send(burst))
                group.create_task(_pongs(arena, sock))
            arena.tally.add("pings", BURST)
    except* EOFError:
        arena.tally.add("ping floods that were ended")
    finally:
        sock.close()


async def _pongs(arena: Arena, sock: RawSocket) -> None:
    """As many as were sent. Raises EOFError where the server has had enough."""
    for _ in range(BURST):
        opcode, payload = await sock.frame()
        if opcode == CLOSE:
            arena.tally.refused("pings", f"close {int.from_bytes(payload[:2])}")
            raise EOFError
        if opcode not in (PING, PONG):
            arena.tally.refused("pings", json.loads(payload).get("error", {}).get("code", payload.decode()[:99]))


async def huge_prompts(arena: Arena, enough: Enough) -> None:
    """Prompts of 15 MB from eight clients at once, of words and of one word, and a small one beside them."""
    while True:
        for bomb in (HUGE, HUGE_WORD):
            data = bomb.body()
            alone, beside = await _small(arena), [0.0]
            async with asyncio.TaskGroup() as group:
                throwing = [group.create_task(throw(arena, bomb, door, data)) for door in ("http", "socket")
                            for _ in range(CLIENTS // 2)]  # fmt: skip
                while not all(task.done() for task in throwing):
                    await asyncio.sleep(0.2)  # let them be under way
                    beside.append(await _small(arena))
            arena.tally.measured[f"small prompt alone, {bomb.name}"] = alone
            arena.tally.measured[f"small prompt beside, {bomb.name}"] = max(beside)
        if enough():
            return


async def _small(arena: Arena) -> float:
    """Seconds that a prompt of a few KB takes."""
    asked = time.perf_counter()
    async with arena.http(arena.others_key) as client:
        try:
            answer = await client.post("/v1/responses", content=SMALL)
        except httpx2.TimeoutException:
            arena.tally.wrong.append(f"a small prompt was not answered in {ANSWER_SECONDS} s")
            return float(ANSWER_SECONDS)
    if answer.status_code != 200:
        arena.tally.wrong.append(f"a small prompt was answered {answer.text[:200]}")
    return time.perf_counter() - asked
