"""An engine elsewhere without a model: the token-in, token-out endpoint, well-behaved or as wrong as a test wants it.

Its tokens follow from the prompt, the seed and the position alone, so one of these goes on where another has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

VOCAB = 1000
KEY = "sesame"

Send = Callable[[bytes], Awaitable[None]]
Play = Callable[["TokenEngine", dict[str, Any], asyncio.StreamWriter], Awaitable[None]]


def token(prompt: list[int], seed: int | None, position: int) -> int:
    return zlib.crc32(json.dumps([prompt, seed, position]).encode()) % VOCAB


def answer(prompt: list[int], num: int, seed: int | None = None) -> list[int]:
    return [token(prompt, seed, position) for position in range(num)]


def event(ids: list[int], finish: str | None = None, **members: Any) -> bytes:
    choice = {"index": 0, "token_ids": ids, "finish_reason": finish, "stop_reason": None, "logprobs": None, **members}
    return b"data: " + json.dumps({"request_id": "x", "choices": [choice], "usage": None}).encode() + b"\n\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class TokenEngine:
    """One. `play`: what to do with the next generations, in order, in place of what is right; None: what is right."""

    def __init__(self) -> None:
        self.port = 0
        self.health = 200
        self.model = "model"
        self.version = "1"
        self.max_model_len = 500
        self.reads: list[int] | None = None  # as which tokens it reads every text; None: it does not tell
        self.generates = True
        self.goes_on = True
        self.takes_priority = True
        self.honours_aborts = True
        self.answers_aborts = True
        self.aborting = 0  # requests to abort that it has not answered
        self.play: list[Play | None] = []
        self.asked: list[tuple[str, dict[str, str], Any]] = []  # path, headers, body, of all but introductions
        self.aborted: dict[str, asyncio.Event] = {}
        self.running = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def num_open(self) -> int:
        """Its connections."""
        return len(self._writers)

    @property
    def generations(self) -> list[dict[str, Any]]:
        return [body for path, _, body in self.asked if path == "/inference/v1/generate"]

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def vanish(self) -> None:
        """As after `kill -9`."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while not writer.is_closing():
                    await self._one(reader, writer)
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        data = await reader.readexactly(int(headers.get("content-length", 0)))
        path = first.split()[1]
        body: Any = json.loads(data) if data else None
        match path:
            case "/health":
                await self._reply(writer, self.health, {})
            case "/v1/models":
                await self._reply(writer, 200, {"data": [{"id": self.model, "max_model_len": self.max_model_len}]})
            case "/version":
                await self._reply(writer, 200, {"version": self.version})
            case "/tokenize" if self.reads is not None:
                await self._reply(writer, 200, {"tokens": self.reads})
            case "/inference/v1/generate" if not self.generates:
                await self._reply(writer, 404, {})
            case "/inference/v1/abort_requests":
                self.asked.append((path, headers, body))
                if not self.answers_aborts:
                    self.aborting += 1
                    await reader.read()
                    self.aborting -= 1
                await self._reply(writer, 200, {})
                for name in body["request_ids"] if self.honours_aborts else ():
                    if (known := self.aborted.get(name.removeprefix("generate-tokens-"))) is not None:
                        known.set()
            case "/inference/v1/generate" if body["request_id"] == "probe":
                await self._generate(body, writer)
            case "/inference/v1/generate":
                self.asked.append((path, headers, body))
                play = self.play.pop(0) if self.play else None
                self.running += 1
                try:
                    await _while_open(reader, play(self, body, writer) if play else self._generate(body, writer))
                finally:
                    self.running -= 1
            case _:
                await self._reply(writer, 404, {})

    async def _generate(self, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        if body["priority"] and not self.takes_priority:
            await self._reply(writer, 400, {"error": {"message": "no priority", "code": 400}})
            return
        sampling, stop = body["sampling_params"], self.aborted.setdefault(body["request_id"], asyncio.Event())
        begun = begun_of(body) if self.goes_on else 0
        writer.write(STREAM)
        ids = answer(body["token_ids"], sampling["max_tokens"], sampling.get("seed"))[begun:]
        for number, one in enumerate(ids):
            await asyncio.sleep(0)
            if stop.is_set():
                writer.write(chunk(event([], "abort")))
                break
            writer.write(chunk(event([one], "length" if number == len(ids) - 1 else None)))
            await writer.drain()
        usage = {"prompt_tokens": len(body["token_ids"]), "prompt_tokens_details": {"cached_tokens": 2}}
        writer.write(chunk(b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n"))
        writer.write(chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        await writer.drain()

    async def _reply(self, writer: asyncio.StreamWriter, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%s" % (status, len(data), data))
        await writer.drain()


def begun_of(body: dict[str, Any]) -> int:
    """How many tokens another engine has generated."""
    return len((body["sampling_params"].get("extra_args") or {}).get("realtime_generated", ()))


async def _while_open(reader: asyncio.StreamReader, work: Any) -> None:
    """Do it, until the other side closes the connection."""
    over, closed = asyncio.ensure_future(work), asyncio.ensure_future(reader.read(1))
    await asyncio.wait((over, closed), return_when=asyncio.FIRST_COMPLETED)
    closed.cancel()
    await asyncio.wait((closed,))  # two can't read at once
    if not over.done():
        over.cancel()
        raise ConnectionError
    over.result()


def tokens_then(num: int, *rest: bytes, hang: bool = False) -> Play:
    """Say some right tokens, then these bytes, then nothing more, or close."""

    async def play(engine: TokenEngine, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        begun = begun_of(body)
        ids = answer(body["token_ids"], begun + num, body["sampling_params"].get("seed"))[begun:]
        writer.write(STREAM + b"".join(chunk(event([one])) for one in ids) + b"".join(rest))
        await writer.drain()
        if hang:
            await asyncio.Event().wait()
        writer.transport.abort()

    return play


def raw(data: bytes) -> Play:
    """Say these bytes in place of an HTTP answer, and close."""

    async def play(engine: TokenEngine, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        writer.close()

    return play


def drip(data: bytes, seconds: float = 0.01) -> Play:
    """Say these bytes again and again."""

    async def play(engine: TokenEngine, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM)
        while True:
            writer.write(chunk(data))
            await writer.drain()
            await asyncio.sleep(seconds)

    return play


@contextlib.asynccontextmanager
async def token_engines(number: int) -> AsyncIterator[list[TokenEngine]]:
    engines = [TokenEngine() for _ in range(number)]
    for engine in engines:
        await engine.start()
    try:
        yield engines
    finally:
        for engine in engines:
            await engine.vanish()
