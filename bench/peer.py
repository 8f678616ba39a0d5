"""One connection to a server, with as little work per token as possible, and the requests that are sent on it.

It parses neither frames nor JSON: the protocols carry the same event names, so a stream is bytes in which two markers
are searched, and the same code reads all of them.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Sequence
from typing import Any, ClassVar

END = b'"total_tokens":'  # once in the terminal event, near its end: nothing else has a usage
_TAIL = len(END) - 1  # equally long, so that this much of the last read never holds a whole marker
STALL_SECONDS = 60  # without a byte
_HOST = "127.0.0.1"
_PATH = "/v1/responses"


class Peer(asyncio.Protocol):
    """One connection to a server."""

    delta: ClassVar[bytes] = b'put_text.delta"'  # once in each text delta; as long as END
    output_tokens: ClassVar[re.Pattern[bytes]] = re.compile(rb'"output_tokens":(\d+)')

    def __init__(self) -> None:
        self.transport: Any = None
        self.num_bytes = 0
        self.num_tokens = 0  # of what has ended
        self.num_ended = 0
        self.is_lost = False
        self.stamps: list[float] = []  # when each delta came
        self.window = b""  # the last read, and the end of the one before
        self._wanted = (0, 0, 0)
        self._met: asyncio.Future[None] | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self.num_bytes += len(data)
        self.window = window = self.window[-_TAIL:] + data
        num_deltas = window.count(self.delta)
        if num_deltas == 1:
            self.stamps.append(now)
        elif num_deltas:
            self.stamps += [now] * num_deltas
        if END in window:
            self.num_ended += window.count(END)
            self.num_tokens += sum(map(int, self.output_tokens.findall(window)))
        self._check()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        if self._met is not None and not self._met.done():
            self._met.set_exception(ConnectionError(f"the server closed the connection: {self.window[-800:]!r}"))

    def until(self, *, deltas: int = 0, ends: int = 0, num_bytes: int = 0) -> asyncio.Future[None]:
        """Wait until so much has come in all."""
        self._wanted = (deltas, ends, num_bytes)
        self._met = asyncio.get_running_loop().create_future()
        self._check()
        return self._met

    def _check(self) -> None:
        if self._met is None or self._met.done():
            return
        deltas, ends, num_bytes = self._wanted
        if len(self.stamps) >= deltas and self.num_ended >= ends and self.num_bytes >= num_bytes:
            self._met.set_result(None)


class ChatPeer(Peer):
    """A peer that reads chat completions."""

    delta = b'ta":{"content":'  # as long as END
    output_tokens = re.compile(rb'"completion_tokens":(\d+)')


class ThinkingPeer(Peer):
    """A peer that counts deltas of reasoning instead of those of text."""

    delta = b'oning_text.delta"'[-len(END) :]


PEERS: dict[str, type[Peer]] = {  # by protocol
    "websocket": Peer,
    "sse": Peer,
    "vllm sse": Peer,
    "chat": ChatPeer,
    "our chat": ChatPeer,
    "thinking": ThinkingPeer,
}


async def connect(
    protocol: str, port: int, count: int, *, native: bool = False, peer_class: type[Peer] | None = None
) -> list[Any]:
    """Open connections of the protocol's class or of `peer_class`, for WebSocket with the handshake done."""
    make: Any = peer_class or PEERS[protocol]
    loop = asyncio.get_running_loop()
    peers = []
    for _ in range(count):
        _, peer = await loop.create_connection(make, _HOST, port)
        if protocol in ("websocket", "thinking"):
            peer.transport.write(_handshake(port, native))
            await peer.until(num_bytes=1)
            if not peer.window.startswith(b"HTTP/1.1 101"):
                raise ConnectionError(f"no WebSocket: {peer.window[:800]!r}")
        peers.append(peer)
    for peer in peers:
        peer.num_bytes = 0
    return peers


async def all_ended(peers: Sequence[Peer], ends: int) -> None:
    """Wait until each has had so many ends, as long as something comes. Raises TimeoutError with the data of the first
    straggler.
    """
    waiting, before = asyncio.gather(*(peer.until(ends=ends) for peer in peers)), -1
    while not (await asyncio.wait([waiting], timeout=STALL_SECONDS))[0]:
        num_bytes = sum(peer.num_bytes for peer in peers)
        if num_bytes > before:
            before = num_bytes
            continue
        waiting.cancel()
        late = [peer for peer in peers if peer.num_ended < ends]
        text = f"{len(late)} of {len(peers)} do not end; the first has {len(late[0].stamps)} deltas"
        raise TimeoutError(f"{text}, last {late[0].window[-800:]!r}")
    await waiting


async def disconnect(peers: Sequence[Peer]) -> None:
    """Close all, and give the server time to notice."""
    for peer in peers:
        peer.transport.close()
    await asyncio.sleep(0.2)  # the server's clean-up belongs to this job, not to the next


def _handshake(port: int, native: bool) -> bytes:
    protocol = "Sec-WebSocket-Protocol: realtime.v1\r\n" if native else ""
    return (
        f"GET {_PATH} HTTP/1.1\r\nHost: {_HOST}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OTAxMjM0NQ==\r\n{protocol}\r\n"
    ).encode()


def request(protocol: str, model: str, text: str, tokens: int | None, lanes: int = 1, **members: Any) -> bytes:
    """Return a request for exactly `tokens` tokens, or for as many as the window holds. `members`: more of a create."""
    common = {"model": model, "temperature": 0, "seed": 0, "ignore_eos": True}
    if protocol in ("chat", "our chat"):
        if protocol == "our chat":  # as below
            common |= {"reasoning_effort": "none", "store": False}
        chat = {"messages": [{"role": "user", "content": text}], "max_tokens": tokens, "stream": True}
        return post("/v1/chat/completions", common | chat | {"stream_options": {"include_usage": True}})
    body: dict[str, Any] = common | {"input": text, "store": False}
    if tokens is not None:
        body["max_output_tokens"] = tokens
    if protocol == "vllm sse":
        return post(_PATH, body | {"stream": True})
    if protocol == "thinking":
        body["include"] = ["reasoning.content"]
    else:  # only text deltas are counted, so nothing may be thought; vLLM's server is told so when it starts
        body["reasoning"] = {"effort": "none"}
    body |= members
    if protocol == "sse":
        return post(_PATH, body | {"stream": True})
    create = {"type": "response.create", **body}
    return b"".join(frame(create | ({"stream_id": f"s{lane}"} if lanes > 1 else {})) for lane in range(lanes))


def post(path: str, body: dict[str, Any]) -> bytes:
    """Return an HTTP request with a JSON body, on a connection that stays open."""
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: {_HOST}\r\nContent-Type: application/json\r\nContent-Length: {len(data)}"
    return head.encode() + b"\r\n\r\n" + data


def frame(event: dict[str, Any]) -> bytes:
    """Return a text frame as clients send them: masked, with the key 0, which leaves the payload unchanged."""
    data = json.dumps(event).encode()
    size = len(data)
    if size < 126:
        length = bytes((0x80 | size,))
    else:
        length = b"\xfe" + size.to_bytes(2, "big") if size < 1 << 16 else b"\xff" + size.to_bytes(8, "big")
    return b"\x81" + length + bytes(4) + data
