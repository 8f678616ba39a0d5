"""HTTP/1.0, as simple clients and old proxies speak it: no chunks, and the end of the connection is the end."""

from __future__ import annotations

import json

import pytest

from realtime.engine.scripted import say
from tests.support.raw import RawSocket
from tests.support.server import Running, running


async def exchange(server: Running, body: dict[str, object], *lines: str) -> tuple[str, dict[str, str], bytes]:
    """Send one request; the status line, the headers and the body, which ends where the connection does."""
    data = json.dumps(body).encode()
    head = ["POST /v1/responses HTTP/1.0", f"Content-Length: {len(data)}", *lines, "", ""]
    raw = await RawSocket.open(server.port)
    await raw.send("\r\n".join(head).encode() + data)
    answer = b""
    try:
        while True:
            answer += await raw.some()
    except EOFError:
        raw.close()
    first, *rest = answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
    return first, headers, answer.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    "lines", [[], ["Connection: keep-alive"], ["Expect: 100-continue"]], ids=["", "keep", "expect"]
)
async def test_a_stream_ends_with_its_connection(lines: list[str]) -> None:
    async with running(say(*["word "] * 200)) as server:
        first, headers, body = await exchange(server, {"input": "hi", "stream": True}, *lines)
    assert first == "HTTP/1.1 200 OK", "an answer may tell of the newer version"
    assert headers["connection"] == "close"
    assert not {"transfer-encoding", "content-length"} & headers.keys()
    events = body.decode().split("\n\n")
    assert [event.partition("\n")[0] for event in events[:-2]] == [f"id: {number}" for number in range(len(events) - 2)]
    assert events[-2:] == ["data: [DONE]", ""]
    assert '"word word ' in events[-3]


@pytest.mark.parametrize("lines", [[], ["Connection: keep-alive"]], ids=["", "keep"])
@pytest.mark.parametrize("body", [{"input": "hi"}, {"input": 1}], ids=["answer", "refusal"])
async def test_all_else_has_a_length(lines: list[str], body: dict[str, object]) -> None:
    async with running(say("x")) as server:
        _, headers, answer = await exchange(server, body, *lines)
    assert headers["connection"] == "close"
    assert "transfer-encoding" not in headers
    assert int(headers["content-length"]) == len(answer)
    json.loads(answer)
