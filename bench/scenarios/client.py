"""The readers of scenarios: peers that know how late a token is, and native sockets that know what they have read."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar

import websockets
from websockets.asyncio.client import ClientConnection, connect

from ..peer import Peer, request
from ..servers import MODEL_NAME, Server

_STAMP = re.compile(rb'"delta":" (\d+\.\d{6})"')
_LONGEST = 40  # bytes of what _STAMP finds, at most
_PATIENCE = 0.01  # seconds: half of a step


class Listener(Peer):
    """A peer that measures time. `delays` has how long each token took to come."""

    def __init__(self) -> None:
        super().__init__()
        self.delays: list[float] = []
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        self.take(time.monotonic(), data)

    def take(self, now: float, data: bytes) -> None:
        """Take what has come at this moment."""
        text, end = self._rest + data, 0
        for found in _STAMP.finditer(text):
            self.delays.append(now - float(found[1]))
            end = found.end()
        self._rest = text[max(end, len(text) - _LONGEST) :]
        super().data_received(data)


class PatientListener(Listener):
    """A listener for many sessions that have their tokens in the same moment: it notes when each has come, and looks
    at them once all are there. Otherwise the work on the first ones would count as a delay of the others.
    """

    _come: ClassVar[list[tuple[PatientListener, float, bytes]]] = []  # of all sessions

    def data_received(self, data: bytes) -> None:
        self._come.append((self, time.monotonic(), data))
        if len(self._come) == 1:
            asyncio.get_running_loop().call_later(_PATIENCE, self._take_all)

    def _take_all(self) -> None:
        come = self._come[:]
        self._come.clear()
        for listener, now, data in come:
            listener.take(now, data)


def ask(peers: Sequence[Peer], tokens: int, **members: Any) -> None:
    """Send one create on each."""
    for number, peer in enumerate(peers):
        peer.transport.write(request("websocket", MODEL_NAME, f"story {number}", tokens, **members))


def body(text: str, tokens: int, **members: Any) -> dict[str, Any]:
    """Return a create for exactly so many tokens, which is stored."""
    return {"input": text, "max_output_tokens": tokens, "ignore_eos": True, "reasoning": {"effort": "none"}, **members}


class Reader:
    """A native socket and the one response that it follows."""

    def __init__(self, port: int) -> None:
        self.go_to(port)
        self._socket: ClientConnection | None = None
        self.response_id = ""
        self.last = -1  # the number of the last event
        self.text: list[str] = []
        self.gaps = 0  # events that came out of order
        self.terminal: dict[str, Any] | None = None

    def go_to(self, port: int) -> None:
        """Dial this server from now on."""
        self._url = f"ws://127.0.0.1:{port}/v1/responses"

    async def open(self) -> None:
        """Dial."""
        self._socket = await connect(
            self._url, subprotocols=[websockets.Subprotocol("realtime.v1")], compression=None, max_size=None,
            ping_interval=None, open_timeout=600,
        )  # fmt: skip

    async def send(self, event_type: str, **members: Any) -> None:
        """Send an event."""
        assert self._socket is not None
        await self._socket.send(json.dumps({"type": event_type, **members}))

    async def event(self) -> dict[str, Any]:
        """Return the next event, and count it. Raises RuntimeError for an error."""
        assert self._socket is not None
        event: dict[str, Any] = json.loads(await self._socket.recv())
        if event["type"] == "error":
            raise RuntimeError(f"the server refused: {event['error']}")
        if "response_id" in event:
            self._note(event)
        return event

    def _note(self, event: dict[str, Any]) -> None:
        self.response_id = event["response_id"]
        self.gaps += event["sequence_number"] != self.last + 1
        self.last = event["sequence_number"]
        if event["type"] == "response.output_text.delta":
            self.text.append(event["delta"])
        if event["done"]:
            self.terminal = event

    async def read(self, deltas: int | None = None) -> None:
        """Read until there are so many deltas in all, or to the end."""
        while self.terminal is None and (deltas is None or len(self.text) < deltas):
            await self.event()

    async def begin(self, **members: Any) -> None:
        """Create, and read the first event."""
        self.last, self.text, self.terminal, self.response_id = -1, [], None, ""
        await self.send("response.create", **members)
        while not self.response_id:
            await self.event()

    async def resume(self) -> None:
        """Resume where it was cut, on a socket of its own, and read the first event."""
        await self.open()
        await self.send("response.resume", response_id=self.response_id, starting_after=self.last)
        before = self.last
        while self.last == before and self.terminal is None:
            event = await self.event()
            if event["type"] == "response.resumed" and event["resumed"]["tip"] == before + 1:
                return  # nothing has come meanwhile

    def cut(self) -> None:
        """Drop the socket without a close."""
        assert self._socket is not None
        self._socket.transport.abort()

    async def close(self) -> None:
        """Close the socket if it is still there."""
        if self._socket is not None:
            await self._socket.close()


@contextlib.asynccontextmanager
async def readers(server: Server, count: int) -> AsyncIterator[list[Reader]]:
    """Return so many sockets."""
    found = [Reader(server.port) for _ in range(count)]
    try:
        for start in range(0, count, 64):
            await asyncio.gather(*(reader.open() for reader in found[start : start + 64]))
        yield found
    finally:
        await asyncio.gather(*(reader.close() for reader in found), return_exceptions=True)
