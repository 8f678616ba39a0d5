"""The HTTP half of the Python client against servers that answer wrongly, slowly or never to an end."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from realtime_client import ConnectionLost, Policy, ProtocolError, ResponseNotFound, ServerError
from realtime_client.client import Client
from realtime_client.http import pages
from tests.support.tls import contexts

from .test_python_client import connect

QUICK: dict[str, Any] = {"initial_delay_seconds": 0.001, "max_retry_seconds": 5.0}
BUSY = {"error": {"code": "server_is_overloaded", "message": "busy", "retry": True, "retry_after": 0}}


class Answers:
    """A server that gives these answers, in turn; None is a path that is cut."""

    def __init__(self, *answers: tuple[int, Any] | None) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer."""
        asked = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(asked.partition(" HTTP/")[0])
        if (answer := self._answers.pop(0)) is not None:
            status, said = answer
            body = said if isinstance(said, bytes) else json.dumps(said).encode()
            head = f"HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
        writer.close()


@contextlib.asynccontextmanager
async def client_of(serve: Any, **policy: Any) -> AsyncIterator[Client]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield connect(f"ws://127.0.0.1:{port}/v1/responses", policy=Policy(**QUICK | policy))


async def test_what_is_refused_for_now_is_sent_again() -> None:
    answers = Answers((503, BUSY), (503, BUSY), (200, {"id": "conv_1"}))
    async with client_of(answers.serve) as rt:
        assert (await rt.conversations.create())["id"] == "conv_1"
    assert answers.asked == ["POST /v1/conversations"] * 3


async def test_what_may_have_been_done_is_not_sent_again_unless_twice_is_once() -> None:
    answers = Answers(None, None, (502, b"<html>"), (200, {"deleted": True}))
    async with client_of(answers.serve) as rt:
        with pytest.raises(ConnectionLost) as lost:
            await rt.conversations.create()
        assert not lost.value.retry
        assert (await rt.conversations.delete("conv_1"))["deleted"]
    assert len(answers.asked) == 4


@pytest.mark.parametrize("said", [b"<html>", b"[]", b'{"error": 1}', b'{"error": {"code": 1}}', b"[" * 100_000])
async def test_a_refusal_of_somebody_else_has_its_status(said: bytes) -> None:
    async with client_of(Answers((403, said)).serve) as rt:
        with pytest.raises(ServerError, match="HTTP 403") as caught:
            await rt.responses.retrieve("resp_x")
        assert (caught.value.code, caught.value.status) == (None, 403)


async def test_a_time_to_wait_that_is_none_is_not_waited_for() -> None:
    error = {"code": "response_not_found", "message": "no", "retry_after": "soon"}
    async with client_of(Answers((404, {"error": error})).serve) as rt:
        with pytest.raises(ResponseNotFound) as caught:
            await rt.responses.retrieve("resp_x")
        assert caught.value.retry_after is None


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nx: ", b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n"])
async def test_a_server_that_drips_does_not_hold_the_caller_nor_a_thread(start: bytes) -> None:
    gone = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        with contextlib.suppress(ConnectionError):
            while not writer.transport.is_closing() and not reader.at_eof():
                writer.write(b" ")
                await writer.drain()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.005):  # drips
                        await reader.read()
        writer.close()
        gone.set()

    async with client_of(drip, request_timeout_seconds=0.1, max_retry_seconds=0.0) as rt:
        with pytest.raises(ConnectionLost, match=r"within 0\.1 s"):
            await rt.responses.retrieve("resp_x")
        async with asyncio.timeout(120):
            await gone.wait()  # the thread has let go of its socket


@pytest.mark.parametrize("url", ["ws://127.0.0.1:99999/v1/responses", "ws://[::1/v1", "ws://", "ws://127.0.0.1:1/"])
async def test_what_can_not_be_asked_is_an_error_of_ours_which_does_not_show_the_key(url: str) -> None:
    with pytest.raises(ConnectionLost) as lost:
        await connect(url, policy=Policy(max_retry_seconds=0), api_key="secret\r\nsecret").responses.retrieve("resp_x")
    assert "secret" not in str(lost.value)
    assert not lost.value.retry


async def test_a_certificate_that_is_not_trusted_is_not_tried_again(tmp_path: Path) -> None:
    own, trusting = contexts(tmp_path)
    server = await asyncio.start_server(Answers((200, {"id": "resp_x"})).serve, "127.0.0.1", 0, ssl=own)
    async with server:
        url = f"wss://localhost:{server.sockets[0].getsockname()[1]}/v1/responses"
        assert (await connect(url, ssl=trusting).responses.retrieve("resp_x"))["id"] == "resp_x"
        with pytest.raises(ConnectionLost, match="self-signed") as asked:
            await connect(url).responses.retrieve("resp_x")
        with pytest.raises(ConnectionLost, match="self-signed") as dialled:
            await connect(url).__aenter__()
        assert not asked.value.retry
        assert not dialled.value.retry


def listing(*answers: Mapping[str, Any]) -> Any:
    left = list(answers)

    async def fetch(_: Mapping[str, Any]) -> Mapping[str, Any]:
        return left.pop(0) if len(left) > 1 else left[0]

    return fetch


A, B = ({"data": [name], "last_id": name, "has_more": True} for name in "ab")


@pytest.mark.parametrize("answers", [[A], [A, B, A], [{**A, "last_id": None}], [{**A, "last_id": 3}]])
async def test_a_list_that_does_not_get_on_is_an_error(answers: list[Mapping[str, Any]]) -> None:
    with pytest.raises(ProtocolError, match="again"):
        async for _ in pages(listing(*answers), {}):
            pass


async def test_a_list_ends_with_a_page_that_has_nothing() -> None:
    empty = {"data": [], "last_id": "x", "has_more": True}
    assert [entry async for entry in pages(listing(A, empty), {"limit": 1})] == ["a"]
