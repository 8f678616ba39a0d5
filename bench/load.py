"""The client process: many streams with as little work per token as possible, for WebSocket and SSE alike.

Its jobs (see `worker`) are `streams`, `cancels` and `idle`. It parses neither frames nor JSON: both protocols carry the
same event names, so a stream is bytes in which two markers are looked for, and the same code reads both.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import time
from collections.abc import Sequence
from typing import Any

import uvloop

from .measure import CpuMeter, p50_p99, rss_bytes
from .worker import work

DELTA = b'put_text.delta"'  # once in each text delta
END = b'"total_tokens":'  # once in the terminal event, near its end: nothing else has a usage
_TAIL = len(END) - 1  # equally long, so that this much of the last read never holds a whole marker
_OUTPUT_TOKENS = re.compile(rb'"output_tokens":(\d+)')
_ABORT_MS = re.compile(rb'"abort_ms":([\d.e-]+)')
STALL_SECONDS = 120
_HOST = "127.0.0.1"
_PATH = "/v1/responses"
assert len(DELTA) == len(END)


class Peer(asyncio.Protocol):
    """One connection to a server."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.num_bytes = 0
        self.num_tokens = 0  # of what has ended
        self.num_ended = 0
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
        num_deltas = window.count(DELTA)
        if num_deltas == 1:
            self.stamps.append(now)
        elif num_deltas:
            self.stamps += [now] * num_deltas
        if END in window:
            self.num_ended += window.count(END)
            self.num_tokens += sum(map(int, _OUTPUT_TOKENS.findall(window)))
        self._check()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._met is not None and not self._met.done():
            self._met.set_exception(ConnectionError(f"the server closed the connection: {self.window[-800:]!r}"))

    def until(self, *, deltas: int = 0, ends: int = 0, num_bytes: int = 0) -> asyncio.Future[None]:
        """Done when so much has come in all."""
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


async def streams(
    protocol: str, port: int, pid: int, model: str, num_streams: int, rounds: int, tokens: int, lanes: int = 1
) -> dict[str, Any]:
    """`rounds` times `num_streams` responses at once, each on a connection of its own or `lanes` of them on one.

    Measures from the first request to the last end; connections are made before. CPU is per generated token.
    """
    peers = await _connect(protocol, port, num_streams)
    requests = [
        [_request(protocol, model, prompt(number * rounds + round_), tokens, lanes) for number in range(num_streams)]
        for round_ in range(rounds)
    ]
    ttft: list[float] = []
    itl: list[float] = []
    meter, client, began = CpuMeter(pid), time.process_time(), time.perf_counter()
    for round_ in range(rounds):
        first, started = [len(peer.stamps) for peer in peers], []
        for peer, request in zip(peers, requests[round_], strict=True):
            started.append(time.perf_counter())
            peer.transport.write(request)
        await _all(peers, ends=lanes * (round_ + 1))
        for peer, start, asked in zip(peers, first, started, strict=True):
            if start == len(peer.stamps):
                raise RuntimeError(f"a stream ended without a text delta: {peer.window[-800:]!r}")
            ttft.append(peer.stamps[start] - asked)
            itl += (later - earlier for earlier, later in itertools.pairwise(peer.stamps[start:]))
    wall, client = time.perf_counter() - began, time.process_time() - client
    cpu = meter.spent() | {"client": client}
    result = summary(ttft, itl, wall, sum(peer.num_tokens for peer in peers), cpu)
    num_bytes = sum(peer.num_bytes for peer in peers)
    await _disconnect(peers)
    return result | {
        "bytes_per_token": num_bytes / (num_streams * rounds * lanes * tokens),
        "events": sum(len(peer.stamps) for peer in peers),
    }


def summary(ttft: list[float], itl: list[float], wall: float, tokens: int, cpu: dict[str, float]) -> dict[str, Any]:
    """What every way to run many streams reports."""
    return {
        "ttft": p50_p99(ttft),
        "itl": p50_p99(itl),
        "tokens": tokens,
        "tokens_per_second": tokens / wall,
        "cpu_us_per_token": {name: seconds / tokens * 1e6 for name, seconds in cpu.items()},
    }


async def cancels(port: int, model: str, others: int, count: int, after: int) -> dict[str, Any]:
    """Cancel `count` responses, each after `after` deltas, while `others` more run. From the send to the terminal."""
    noise = [asyncio.create_task(_endless(port, model, number)) for number in range(others)]
    (peer,) = await _connect("websocket", port, 1)
    latencies: list[float] = []
    aborts: list[float] = []
    cancel = _frame({"type": "response.cancel"})
    for number in range(count):
        peer.transport.write(_request("websocket", model, prompt(others + number), None))
        await peer.until(deltas=len(peer.stamps) + after)
        asked = time.perf_counter()
        peer.transport.write(cancel)
        await peer.until(ends=number + 1)
        latencies.append(time.perf_counter() - asked)
        aborts += (float(found) / 1e3 for found in _ABORT_MS.findall(peer.window))
    for task in noise:
        task.cancel()
    await asyncio.gather(*noise, return_exceptions=True)
    await _disconnect([peer])
    return {"cancel_to_terminal": p50_p99(latencies), "abort": p50_p99(aborts), "max_ms": max(latencies) * 1e3}


async def idle(port: int, pid: int, count: int, seconds: float, native: bool) -> dict[str, float]:
    """Open sockets, wait, and see what the server's memory has grown by, per socket."""
    before = rss_bytes(pid)
    peers = await _connect("websocket", port, count, native=native)
    await asyncio.sleep(seconds)  # for what the server still does after the handshakes
    grown = rss_bytes(pid) - before
    await _disconnect(peers)
    return {"kib_per_session": grown / count / 1024}


def prompt(number: int) -> str:
    """Prompts differ, so that no answer is another one's, and are the same for everything that is compared."""
    return f"tell me a long story number {number}"


async def _endless(port: int, model: str, number: int) -> None:
    """One stream after another until cancelled."""
    (peer,) = await _connect("websocket", port, 1)
    try:
        for ended in itertools.count(1):
            peer.transport.write(_request("websocket", model, prompt(number), None))
            await peer.until(ends=ended)
    finally:
        peer.transport.close()


async def _connect(protocol: str, port: int, count: int, *, native: bool = False) -> list[Peer]:
    """Open connections, for WebSocket with the handshake done."""
    loop = asyncio.get_running_loop()
    peers = []
    for _ in range(count):
        _, peer = await loop.create_connection(Peer, _HOST, port)
        if protocol == "websocket":
            peer.transport.write(_handshake(port, native))
            await peer.until(num_bytes=1)
            if not peer.window.startswith(b"HTTP/1.1 101"):
                raise ConnectionError(f"no WebSocket: {peer.window[:800]!r}")
        peers.append(peer)
    for peer in peers:
        peer.num_bytes = 0
    return peers


async def _all(peers: Sequence[Peer], ends: int) -> None:
    """Wait until each has had so many ends. Raises TimeoutError with what the first straggler has had."""
    try:
        async with asyncio.timeout(STALL_SECONDS):
            await asyncio.gather(*(peer.until(ends=ends) for peer in peers))
    except TimeoutError:
        late = [peer for peer in peers if peer.num_ended < ends]
        text = f"{len(late)} of {len(peers)} do not end; the first has {len(late[0].stamps)} deltas"
        raise TimeoutError(f"{text}, last {late[0].window[-800:]!r}") from None


async def _disconnect(peers: Sequence[Peer]) -> None:
    for peer in peers:
        peer.transport.close()
    await asyncio.sleep(0.2)  # the server's clean-up belongs to this job, not to the next


def _handshake(port: int, native: bool) -> bytes:
    protocol = "Sec-WebSocket-Protocol: realtime.v1\r\n" if native else ""
    return (
        f"GET {_PATH} HTTP/1.1\r\nHost: {_HOST}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OTAxMjM0NQ==\r\n{protocol}\r\n"
    ).encode()


def _request(protocol: str, model: str, text: str, tokens: int | None, lanes: int = 1) -> bytes:
    """A request for exactly `tokens` tokens, or for as many as the context window holds."""
    body = {"model": model, "input": text, "temperature": 0, "seed": 0, "ignore_eos": True, "store": False}
    if tokens is not None:
        body["max_output_tokens"] = tokens
    if protocol == "sse":
        return _post(body | {"stream": True})
    # Only text deltas are counted, so nothing may be thought; vLLM's server is told so when it starts.
    create = {"type": "response.create", "reasoning": {"effort": "none"}, **body}
    return b"".join(_frame(create | ({"stream_id": f"s{lane}"} if lanes > 1 else {})) for lane in range(lanes))


def _post(body: dict[str, Any]) -> bytes:
    data = json.dumps(body).encode()
    head = f"POST {_PATH} HTTP/1.1\r\nHost: {_HOST}\r\nContent-Type: application/json\r\nContent-Length: {len(data)}"
    return head.encode() + b"\r\n\r\n" + data


def _frame(event: dict[str, Any]) -> bytes:
    """A text frame as clients send them: masked, with the key 0, which leaves the payload as it is."""
    data = json.dumps(event).encode()
    size = len(data)
    length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return b"\x81" + length + bytes(4) + data


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        work(runner, {"streams": streams, "cancels": cancels, "idle": idle})
