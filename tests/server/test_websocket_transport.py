"""What a socket is written to: frames of any size, and that it takes nothing once it is closing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from realtime.engine.scripted import say
from realtime.server.websocket_transport import HEADERS, FrameProtocol
from tests.support.raw import CLOSE, PING, TEXT, RawSocket, frame, text
from tests.support.server import running, sink_of
from tests.support.steps import until


@pytest.mark.parametrize("headers", [HEADERS, ()])
def test_one_payload_is_framed_like_one_of_many(headers: tuple[bytes, ...]) -> None:
    written: list[bytes] = []
    sink: Any = SimpleNamespace(
        conn=SimpleNamespace(extensions=()), transport=SimpleNamespace(write=written.append), _headers=headers
    )
    sink.write_text = lambda payloads: FrameProtocol.write_text(sink, payloads)
    for size in (0, 1, 125, 126, 1023, 1024, 65535, 65536):
        written.clear()
        FrameProtocol.write_one(sink, b"x" * size)
        FrameProtocol.write_text(sink, [b"x" * size, b""])
        assert written[1] == written[0] + b"\x81\x00"
        assert written[0] == frame(TEXT, b"x" * size, masked=False)


ENDS: dict[str, Callable[[RawSocket, FrameProtocol], Any]] = {
    "the client closes": lambda raw, sink: raw.send(frame(CLOSE, b"\x03\xe8")),
    "the client is gone": lambda raw, sink: raw.close(),
    "bytes that are no frame": lambda raw, sink: raw.send(b"\xff" * 64),
    "text that is none": lambda raw, sink: raw.send(frame(TEXT, b"\xff")),
    "we close": lambda raw, sink: sink.close_after_write(1000, ""),
    "no pong": lambda raw, sink: sink.keepalive_timeout(),
    "the server stops": lambda raw, sink: sink.shutdown(),
}


@pytest.mark.parametrize("end", ENDS)
async def test_it_says_that_it_takes_more_as_long_as_it_does(end: str) -> None:
    async with running(say(*"ab" * 400)) as server:
        raw = await RawSocket.upgraded(server.port)
        await until(lambda: len(server.gateway.sockets.shells) == 1, "the socket")
        (shell,) = server.gateway.sockets.shells
        sink = sink_of(shell)
        assert sink.can_write
        await raw.send(text(type="response.create", input="hi"))
        await raw.send(frame(PING, b"x"))
        sink.pause_writing()
        assert not sink.can_write
        sink.resume_writing()
        assert sink.can_write
        done = ENDS[end](raw, sink)
        if done is not None:
            await done
        for _ in range(100):
            takes = sink.conn.state.name == "OPEN" and not sink.transport.is_closing()
            assert sink.can_write == takes
            await asyncio.sleep(0)
        await until(lambda: not sink.can_write, "the end")
        raw.close()
