"""A server of the wire that cuts where it is told: each connection is killed after so many messages."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from clients.conformance.case import RECORDING, encode, recorded


class FakeServer:
    """`cuts`: for each connection in turn, after how many messages it is aborted; when they run out, never.

    `close_code`: cut with a close frame instead. `hold_at`: a response stops there until it is cancelled.
    `lose`: the event that is not sent, once. `refusals`: answers to the next handshakes.
    `beat_seconds`: what it says about heartbeats; it sends none. `frames`: what clients sent.
    `num_runs`: responses started.
    """

    def __init__(
        self,
        cuts: Iterable[int] = (),
        *,
        close_code: int | None = None,
        hold_at: int | None = None,
        refusals: Iterable[HTTPStatus] = (),
        padding: int = 0,
        lose: int | None = None,
        beat_seconds: float = 0,
    ) -> None:
        self._cuts: Iterator[int] = iter(cuts)
        self._close_code = close_code
        self._hold_at = hold_at
        self._refusals = iter(refusals)
        self._padding = padding
        self.lose = lose
        self.beat_seconds = beat_seconds
        self.logs: dict[str, list[str]] = {}
        self.frames: list[dict[str, Any]] = []
        self.num_runs = 0
        self.keys: list[str | None] = []
        self._by_request: dict[str, str] = {}
        self.grown = asyncio.Event()  # some log
        self.port = 0
        self.sockets: set[ServerConnection] = set()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/responses"

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[FakeServer]:
        options: Any = {"subprotocols": [Subprotocol("realtime.v1")], "process_request": self._handshake}
        async with serve(self._serve, "127.0.0.1", self.port, compression=None, **options) as server:
            self.port = _port(server)
            yield self

    def _handshake(self, connection: ServerConnection, request: Request) -> Response | None:
        self.keys.append(request.headers.get("Authorization"))
        status = next(self._refusals, None)
        return None if status is None else connection.respond(status, "")

    async def _serve(self, socket: ServerConnection) -> None:
        self.sockets.add(socket)
        connection = _Connection(self, socket, next(self._cuts, None), self._close_code)
        try:
            await connection.send(encode({"type": "session.created", "sequence_number": 0, "done": True}))
            async for message in socket:
                frame = json.loads(message)
                self.frames.append(frame)
                await connection.obey(frame)
        except ConnectionClosed:
            pass
        finally:
            self.sockets.discard(socket)
            await connection.end()

    def log(self, frame: dict[str, Any]) -> str:
        """The response of this create, new or from an earlier try."""
        request_id = frame["request_id"]
        if request_id not in self._by_request:
            response_id = self._by_request[request_id] = f"r{len(self._by_request)}"
            self.num_runs += 1
            count = len(RECORDING) if self._hold_at is None else self._hold_at
            self.logs[response_id] = [self._event(n, response_id, frame["stream_id"]) for n in range(count)]
        return self._by_request[request_id]

    def cancel(self, response_id: str) -> None:
        log = self.logs[response_id]
        body = {"id": response_id, "status": "cancelled", "output": [], "cancel": {"tokens_generated": len(log)}}
        numbered = {"response_id": response_id, "sequence_number": len(log), "done": True}
        log.append(encode({"type": "response.incomplete", "response": body} | numbered))
        self.grown.set()

    def _event(self, number: int, response_id: str, lane: str) -> str:
        event = json.loads(recorded(number, response_id, lane))
        return encode(event | ({"padding": "x" * self._padding} if self._padding else {}))


class _Connection:
    """One socket: a pump for each response that it follows."""

    def __init__(self, server: FakeServer, socket: ServerConnection, cut: int | None, close_code: int | None) -> None:
        self._server = server
        self._socket = socket
        self._left = cut
        self._close_code = close_code
        self._pumps: dict[str, asyncio.Task[None]] = {}

    async def obey(self, frame: dict[str, Any]) -> None:
        match frame["type"]:
            case "response.create":
                if frame.get("input") == "refuse":
                    await self._error(frame, "invalid_request")
                    return
                self._follow(self._server.log(frame), 0)
            case "response.resume" if frame["response_id"] in self._server.logs:
                await self._resume(frame["response_id"], frame["starting_after"])
            case "session.update":
                state = {"heartbeat_seconds": self._server.beat_seconds}
                await self.send(
                    encode({"type": "session.updated", "sequence_number": 0, "done": False, "session": state})
                )
            case "response.cancel":
                self._server.cancel(frame["response_id"])
            case "response.detach":
                if pump := self._pumps.pop(frame["response_id"], None):
                    pump.cancel()
            case _:
                await self._error(frame, "response_not_found")

    async def send(self, message: str) -> None:
        if self._left == 0:
            await self._cut()
        if self._left is not None:
            self._left -= 1
        await self._socket.send(message)

    async def end(self) -> None:
        for pump in self._pumps.values():
            pump.cancel()
        await asyncio.gather(*self._pumps.values(), return_exceptions=True)

    async def _cut(self) -> None:
        if self._close_code is not None:
            await self._socket.close(self._close_code)
        else:
            self._socket.transport.abort()
        raise ConnectionClosed(None, None)

    async def _resume(self, response_id: str, starting_after: int) -> None:
        tip = len(self._server.logs[response_id])
        resumed = {"response_id": response_id, "epoch": "e1", "starting_after": starting_after, "tip": tip}
        await self.send(encode({"type": "response.resumed", "resumed": resumed | {"status": "in_progress"}}))
        self._follow(response_id, starting_after + 1)

    def _follow(self, response_id: str, start: int) -> None:
        if pump := self._pumps.pop(response_id, None):
            pump.cancel()
        self._pumps[response_id] = asyncio.create_task(self._pump(self._server.logs[response_id], start))

    async def _pump(self, log: list[str], position: int) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                while position < len(log):
                    if position == self._server.lose:
                        self._server.lose = None
                    else:
                        await self.send(log[position])
                    position += 1
                self._server.grown.clear()
                await self._server.grown.wait()

    async def _error(self, frame: dict[str, Any], code: str) -> None:
        body = {"type": "invalid_request_error", "code": code, "message": "no", "param": None, "retry": False}
        await self._socket.send(encode({"type": "error", "status": 400, "event_id": frame["event_id"], "error": body}))


def _port(server: Server) -> int:
    port: int = next(iter(server.sockets)).getsockname()[1]
    return port
