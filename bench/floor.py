"""The floor: a raw uvloop writer of the very frames that our server sends, recorded from it once.

It does only what every server must: for every token of every stream a write to a socket. It reads no JSON, keeps
nothing and knows no model, so it is as fast as Python and uvloop are. It is told to be as fast as the server that it is
compared with, and no faster: a reader that can't keep up never sleeps, and writing to one that sleeps costs more.
"""

from __future__ import annotations

import argparse
import asyncio
import re
from collections.abc import Iterator
from typing import Any

import uvloop

from .peer import Peer, all_ended, connect, disconnect, request

_LIMIT = re.compile(rb'"max_output_tokens": (\d+)')
_CREATE = b'"response.create"'
_DONE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_DELTA = b'"response.output_text.delta"'
_COUNT = re.compile(rb'"output_tokens":\d+')  # blanks behind it leave the frame as long as it was
_PACE = re.compile(rb"GET /pace\?seconds=([\d.e-]+) ")


class Recorder(Peer):
    """A connection that keeps what it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.data = bytearray()

    def data_received(self, data: bytes) -> None:
        self.data += data
        super().data_received(data)


class Recording:
    """The frames of one answer: those before the deltas, the deltas, those after them."""

    def __init__(self, frames: list[bytes]) -> None:
        places = [place for place, frame in enumerate(frames) if _DELTA in frame]
        first, last = places[0], places[-1] + 1
        self._opening, self._deltas, self._closing = frames[:first], frames[first:last], frames[last:]

    def play(self, tokens: int) -> Iterator[bytes]:
        """Yield the writes for one response, one for each step. The first and the last hold several frames; the last
        says how many tokens were played. tokens: not more than were recorded.
        """
        yield b"".join(self._opening)
        yield from self._deltas[:tokens]
        yield _COUNT.sub(lambda found: (b'"output_tokens":%d' % tokens).ljust(len(found[0])), b"".join(self._closing))


class Writer:
    """A writer of one frame of each running stream in every step. pace: seconds between two steps; 0: a step in every
    turn of the event loop.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._running: list[tuple[Door, Iterator[bytes]]] = []
        self._awake = False
        self._due = 0.0
        self.pace = 0.0

    def start(self, door: Door, tokens: int) -> None:
        """Play the recording to one connection."""
        self._running.append((door, self._recording.play(tokens)))
        self.wake()

    def wake(self) -> None:
        """Continue, if it had stopped because no connection could take anything."""
        if not self._awake:
            self._awake = True
            loop = asyncio.get_running_loop()
            self._due = max(loop.time(), self._due + self.pace)
            loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        self._awake = False
        over, wrote = [], False
        for stream in self._running:
            door, frames = stream
            if door.full:
                continue
            wrote = True
            frame = next(frames, None)
            if frame is None:
                over.append(stream)
            else:
                door.transport.write(frame)
        for stream in over:
            self._running.remove(stream)
        if wrote:
            self.wake()


class Door(asyncio.Protocol):
    """One connection: a handshake that is always accepted, then a recording for each create.

    Nothing more is written while a frame waits for the client: otherwise frames would share a write, which ours do not.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.full = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.set_write_buffer_limits(high=0)

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        self._writer.wake()

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"GET /ready"):
            self.transport.write(_DONE)
        elif found := _PACE.match(data):
            self._writer.pace = float(found[1])
            self.transport.write(_DONE)
        elif data.startswith(b"GET "):
            self.transport.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        else:
            limit = _LIMIT.search(data)
            for _ in range(data.count(_CREATE)):
                self._writer.start(self, int(limit[1]) if limit else 1 << 30)


def split_frames(data: bytes) -> list[bytes]:
    """Return the frames of a server, including headers."""
    frames, start = [], 0
    while start < len(data):
        size, header = data[start + 1], 2
        if size == 126:
            size, header = int.from_bytes(data[start + 2 : start + 4], "big"), 4
        elif size == 127:
            size, header = int.from_bytes(data[start + 2 : start + 10], "big"), 10
        frames.append(data[start : start + header + size])
        start += header + size
    return frames


async def record(port: int, tokens: int) -> Recording:
    """Record one answer of a server."""
    (peer,) = await connect("websocket", port, 1, peer_class=Recorder)
    peer.data.clear()
    peer.transport.write(request("websocket", "starter", "tell me a long story", tokens))
    await all_ended([peer], ends=1)
    await asyncio.sleep(0.2)  # the rest of the last frame
    await disconnect([peer])
    return Recording(split_frames(bytes(peer.data)))


async def serve(port: int, source: int, tokens: int) -> None:
    """Record from `source`, then serve until a signal ends it."""
    writer = Writer(await record(source, tokens))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Door(writer), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--source", type=int, required=True, help="the port of the server whose frames are recorded")
    parser.add_argument("--tokens", type=int, required=True)
    given = parser.parse_args()
    uvloop.run(serve(given.port, given.source, given.tokens))
