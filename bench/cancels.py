"""The client process of `cancel`: it cancels responses in each phase of their lives, while others run."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import uvloop

from .load import prompt
from .measure import p50_p99
from .peer import END, Peer, connect, disconnect, frame, request
from .worker import work

_CANCEL = frame({"type": "response.cancel"})
_ABORT_MS = re.compile(rb'"abort_ms":([\d.e-]+)')
_GENERATED = re.compile(rb'"tokens_generated":(\d+)')
_LONG = 100  # times a few words: a prompt that takes the engine a while to read
_A_WHILE = 0.02  # seconds: a prompt is rendered by then, and a long one is not read
_TOOL = {
    "type": "function",
    "name": "note",
    "description": "Write a note.",
    "parameters": {
        "type": "object",
        "properties": {"text": {"type": "string", "minLength": 400}},
        "required": ["text"],
    },
}
_CALL = {"tools": [_TOOL], "tool_choice": "required"}


class CallPeer(Peer):
    """A peer that counts deltas of arguments instead of those of text."""

    delta = b'arguments.delta"'[-len(END) :]


class Phase(msgspec.Struct, frozen=True):
    """A phase to cancel in: when the response has so many deltas, or so long after its first event.

    tokens: the least and the most that there may be then; a cancel with another number was not in the phase.
    """

    deltas: int = 0
    wait: float = 0.0
    words: int = 0  # of the prompt, beside the usual ones
    members: dict[str, Any] = {}
    peer: type[Peer] = Peer
    tokens: tuple[int, float] = (0, 0)


PHASES = {
    "rendering": Phase(words=_LONG),
    "prefill": Phase(words=_LONG, wait=_A_WHILE),
    "first token": Phase(deltas=1, tokens=(1, 8)),
    "text": Phase(deltas=10, tokens=(10, float("inf"))),
    "arguments": Phase(deltas=10, members=_CALL, peer=CallPeer, tokens=(10, float("inf"))),
}
WAITING = Phase(wait=_A_WHILE)


async def cancels(port: int, model: str, others: int, count: int, phases: list[str]) -> dict[str, Any]:
    """Cancel `count` responses in each of these phases while `others` more run. Return figures by phase."""
    async with _running(port, model, others):
        return {name: await _in_phase(port, model, name, count) for name in phases}


async def _in_phase(port: int, model: str, name: str, count: int) -> dict[str, Any]:
    phase = PHASES.get(name, WAITING)
    took: list[float] = []
    aborts: list[float] = []
    in_phase = 0
    (peer,) = await connect("websocket", port, 1, peer_class=phase.peer)
    for number in range(count):
        words = f"{name} {time.time_ns()} " * phase.words  # none that the prefix cache knows
        text = f"{words}{prompt(number)}"
        peer.transport.write(request("websocket", model, text, None, **phase.members))
        if phase.deltas:
            await peer.until(deltas=len(peer.stamps) + phase.deltas)
        else:
            await peer.until(num_bytes=peer.num_bytes + 1)
        await asyncio.sleep(phase.wait)
        asked = time.perf_counter()
        peer.transport.write(_CANCEL)
        await peer.until(ends=number + 1)
        took.append(time.perf_counter() - asked)
        aborts += (float(found) / 1e3 for found in _ABORT_MS.findall(peer.window))
        least, most = phase.tokens
        in_phase += any(least <= int(found) <= most for found in _GENERATED.findall(peer.window))
    await disconnect([peer])
    return {
        "cancel_to_terminal": p50_p99(took),
        "abort": p50_p99(aborts),
        "in_phase": in_phase / count,
        "without a receipt": count - len(aborts),
    }


@asynccontextmanager
async def _running(port: int, model: str, others: int) -> AsyncIterator[None]:
    """Run so many other streams, from their first token on."""
    begun = [asyncio.Event() for _ in range(others)]
    noise = [asyncio.create_task(_endless(port, model, number, event)) for number, event in enumerate(begun)]
    try:
        await asyncio.gather(*(event.wait() for event in begun))
        yield
    finally:
        for task in noise:
            task.cancel()
        await asyncio.gather(*noise, return_exceptions=True)


async def _endless(port: int, model: str, number: int, begun: asyncio.Event) -> None:
    """Run one stream after another until cancelled."""
    (peer,) = await connect("websocket", port, 1)
    try:
        for ended in itertools.count(1):
            peer.transport.write(request("websocket", model, prompt(number), None))
            await peer.until(deltas=len(peer.stamps) + 1)
            begun.set()
            await peer.until(ends=ended)
    finally:
        peer.transport.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        work(runner, {"cancels": cancels})
