"""WebSockets that fail as a script says. Only the scripted engine has them: for tests of clients."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import Any

from .script_file import ConnectionFaults, Refusal
from .websocket_transport import FrameProtocol

_NONE = ConnectionFaults()


class Faults:
    """The faults of all connections to one server."""

    def __init__(self, connections: Sequence[ConnectionFaults]) -> None:
        self.hole_until = 0.0  # of the event loop's clock: until then nothing passes
        self._next: Iterator[ConnectionFaults] = iter(connections)

    def protocol(self, **given: Any) -> FaultyProtocol:
        """Return the protocol class that uvicorn instantiates for each socket."""
        return FaultyProtocol(self, next(self._next, _NONE), **given)


class FaultyProtocol(FrameProtocol):
    """One socket and its faults."""

    def __init__(self, shared: Faults, faults: ConnectionFaults, **given: Any) -> None:
        super().__init__(**given)
        self._shared = shared
        self._faults = faults
        self._num_messages = 0
        self._swallows = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._swallows = self.loop.time() < self._shared.hole_until

    def data_received(self, data: bytes) -> None:
        if self._swallows:
            return
        if self._faults.refuse is not None and not self.handshake_initiated:
            self.handshake_initiated = self.handshake_complete = self.close_sent = True
            self.transport.write(_refusal(self._faults.refuse))
            self.transport.close()
            return
        super().data_received(data)

    def write_text(self, payloads: Iterable[bytes]) -> None:
        for payload in payloads:
            self.write_one(payload)

    def write_one(self, payload: bytes) -> None:
        number, self._num_messages = self._num_messages, self._num_messages + 1
        if number == self._faults.hole_after:
            self._shared.hole_until = self.loop.time() + self._faults.hole_seconds
            self._swallows = True
        if number == self._faults.cut_after:
            self._later(self._cut)
        if not self._is_lost(number):
            self._later(lambda: super(FaultyProtocol, self).write_text([payload]))

    def _is_lost(self, number: int) -> bool:
        cut_after = self._faults.cut_after
        return self._swallows or number in self._faults.lose or (cut_after is not None and number >= cut_after)

    def _later(self, act: Any) -> None:
        if self._faults.delay_seconds:
            self.loop.call_later(self._faults.delay_seconds, act)
        else:
            act()

    def _cut(self) -> None:
        if self._faults.close_code is not None:
            self.close_after_write(self._faults.close_code, "")
        else:
            self.transport.abort()


def _refusal(refuse: Refusal) -> bytes:
    body = refuse.content()
    lines = [f"HTTP/1.1 {refuse.status} {_phrase(refuse.status)}", f"content-length: {len(body)}", "connection: close"]
    if refuse.retry_after is not None:
        lines.append(f"retry-after: {refuse.retry_after}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Refused"
