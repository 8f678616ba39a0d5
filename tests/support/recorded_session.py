"""A server, its clients and the model's words in lock-step, everything that passes between them recorded.

The order of a recording is that in which the session reads, not that in which things happen: between a client's sending
and the next thing read, nothing else is noted. The engine ticks by `step` only, or while an answer is read to its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import httpx2
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from tests.support.http import Reader, SseEvent, http, parse
from tests.support.recording import Recording
from tests.support.server import NATIVE, Running, changed, running
from tests.support.steps import beat, engine_holds, until

RESPONSES = "/v1/responses"
_HEADERS = (
    "content-type", "cache-control", "x-accel-buffering", "allow", "retry-after", "x-should-retry", "connection",
    "x-request-id",
)  # fmt: skip

Event = dict[str, Any]


class Socket:
    """One WebSocket."""

    def __init__(self, stage: Stage, name: str, connection: ClientConnection) -> None:
        self._stage = stage
        self._name = name
        self._connection = connection

    async def send(self, type: str, **members: Any) -> None:
        """One client event."""
        await self.send_text(_encoded({"type": type, **members}))

    async def send_text(self, text: str) -> None:
        """A message as it is; what is no JSON is recorded as a string."""
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        self._stage.note(f"{self._name} >", value)
        await self._connection.send(text)

    async def receive(self) -> Event:
        """The next event."""
        event = await self._next()
        self._stage.note(f"{self._name} <", event)
        return event

    async def until(self, kind: str) -> Event:
        """Read up to and with the next event of this type; that event."""
        while (event := await self.receive())["type"] != kind:
            pass
        return event

    async def until_done(self) -> Event:
        """Read up to and with the next event that is done; that event."""
        while not (event := await self.receive())["done"]:
            pass
        return event

    async def answer(self, count: int = 1) -> Event:
        """As `until_done`, while the engine ticks: `count` times. What the engine was given is noted before it."""
        events = []
        async with self._stage.ticking():
            while count:
                events.append(await self._next())
                count -= events[-1]["done"]
        self._stage.note_engine()
        for event in events:
            self._stage.note(f"{self._name} <", event)
        return events[-1]

    async def create(self, input: Any = "hi", **members: Any) -> Event:
        """Create a response and read it to its end; the last event."""
        await self.send("response.create", input=input, **members)
        return await self.answer()

    async def begin(self, input: Any = "hi", *, holds: int = 1, **members: Any) -> str:
        """Create a response and read until it is in progress and the engine `holds` so many; its id."""
        await self.send("response.create", input=input, **members)
        response_id: str = (await self.until("response.in_progress"))["response_id"]
        await self._stage.engine(holds)
        return response_id

    async def follow(self, last: Event, input: Any, **members: Any) -> Event:
        """Create what continues the response of this event."""
        return await self.create(input, previous_response_id=last["response_id"], **members)

    async def cut(self) -> None:
        """Lose the connection, as when a cable is pulled."""
        self._stage.note(f"{self._name} >", {"cut": True})
        self._connection.transport.abort()
        await self._connection.wait_closed()

    async def closed(self) -> None:
        """Wait for the server's close."""
        async with asyncio.timeout(120):
            await self._connection.wait_closed()
        self._stage.note(
            f"{self._name} <", {"close": self._connection.close_code, "reason": self._connection.close_reason}
        )

    async def _next(self) -> Event:
        async with asyncio.timeout(120):
            text = await self._connection.recv()
        assert isinstance(text, str), "the server must send text messages only"
        event: Event = _decoded(text)
        return event


class Http:
    """The HTTP door; each answer is held against the server's own document as well."""

    def __init__(self, stage: Stage, client: httpx2.AsyncClient, name: str = "http") -> None:
        self._stage = stage
        self._client = client
        self._name = name

    async def ask(
        self, method: str, path: str, body: Any = None, *,
        text: str | None = None, headers: dict[str, str] | None = None, ticks: bool = True,
    ) -> Any:  # fmt: skip
        """One request and its whole answer, while the engine `ticks`; what the body of the answer holds, if it is JSON.
        `text` is a body as it is.
        """
        self._request(method, path, text if body is None else body, headers)
        content: dict[str, Any] = {"content": text} if body is None else {"json": body}
        async with self._stage.ticking() if ticks else contextlib.nullcontext():
            answer = await self._client.request(method, path, headers=headers, **content)
        if ticks:
            self._stage.note_engine()
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            self._head(answer)
            events, rest = parse(answer.text)
            assert rest == ""
            return [self._event(event) for event in events]
        value = _decoded(answer.text) if answer.text else None
        self._stage.note(f"{self._name} <", {**_head(answer), "body": value})
        return value

    async def create(self, input: Any = "hi", **members: Any) -> Any:
        """Create a response."""
        return await self.ask("POST", RESPONSES, {"input": input, **members})

    @contextlib.asynccontextmanager
    async def stream(self, method: str = "POST", path: str = RESPONSES, body: Any = None) -> AsyncIterator[Stream]:
        """A stream that is read step by step; leaving early drops the connection."""
        self._request(method, path, body)
        async with self._client.stream(method, path, json=body) as answer:
            self._head(answer)
            yield Stream(self, Reader(answer))

    def _request(self, method: str, path: str, body: Any, headers: dict[str, str] | None = None) -> None:
        shown = {"request": f"{method} {path}", "headers": headers, "body": body}
        self._stage.note(f"{self._name} >", {name: value for name, value in shown.items() if value is not None})

    def _head(self, answer: httpx2.Response) -> None:
        self._stage.note(f"{self._name} <", _head(answer))

    def _event(self, event: SseEvent) -> Event:
        data = event.data if event.data == "[DONE]" else _decoded(event.data)
        shown = {"id": event.id, "event": event.name, "data": data}
        self._stage.note(f"{self._name} <", {name: value for name, value in shown.items() if value is not None})
        return data if isinstance(data, dict) else {"type": data, "done": True}


class Stream:
    """A stream of events that is open."""

    def __init__(self, door: Http, reader: Reader) -> None:
        self._door = door
        self._reader = reader

    async def until(self, kind: str) -> Event:
        """Read up to and with the next event of this type; that event."""
        while (event := self._door._event(await self._reader.next()))["type"] != kind:
            pass
        return event

    async def rest(self) -> None:
        """Everything that is left, and the end of it."""
        for event in await self._reader.rest():
            self._door._event(event)


class Stage:
    """A session in progress."""

    def __init__(self, recording: Recording, decode: Callable[[Sequence[int]], str] | None) -> None:
        self.server: Running  # since it listens
        self._recording = recording
        self._decode = decode
        self._given: list[tuple[str, Any]] = []  # to the engine and its parsers, not noted yet

    def note(self, who: str, value: Any) -> None:
        """Append a line."""
        self._recording.add(who, value)

    def note_engine(self) -> None:
        """Append what the engine has been given since the last time."""
        for who, what in self._given:
            self.note(who, self._prompted(what) if who == "engine #" else _told(what))
        self._given.clear()

    def give(self, who: str, what: Any) -> None:
        """Keep what the engine is given until it is noted, where the session says so."""
        self._given.append((who, what))

    async def engine(self, holds: int = 1) -> None:
        """Wait until the engine holds so many requests, and note what it was given."""
        await until(lambda: engine_holds(self.server) == holds, f"{holds} requests in the engine")
        self.note_engine()

    async def step(self, ticks: int = 1, holds: int = 1) -> None:
        """Tick, when the engine holds so many requests."""
        await self.engine(holds)
        self.server.engine.step(ticks)

    async def idle(self) -> None:
        """Wait until no response runs."""
        await until(lambda: not self.server.gateway.service.num_running, "the end of all responses")

    async def alone(self, sockets: int = 0) -> None:
        """Wait until so many sockets are open and no request is being answered."""
        gateway = self.server.gateway
        await until(
            lambda: gateway.admission.num_connections == sockets and not gateway.admission.num_requests,
            "clients to be gone",
        )

    def beat(self) -> None:
        """Send heartbeats, as a timer does."""
        for shell in self.server.gateway.sockets.shells:
            beat(shell)

    @contextlib.asynccontextmanager
    async def ticking(self) -> AsyncIterator[None]:
        """Let the engine tick meanwhile."""
        task = asyncio.create_task(self._tick())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _tick(self) -> None:
        while True:
            self.server.engine.step()
            await asyncio.sleep(0)

    @contextlib.asynccontextmanager
    async def socket(self, name: str = "", *, native: bool = False, query: str = "") -> AsyncIterator[Socket]:
        """A socket; a native one has read its `session.created`."""
        name = name or ("native" if native else "ws")
        protocols: Any = [NATIVE] if native else None
        asked = {"connect": RESPONSES + query, **({"subprotocols": protocols} if native else {})}
        self.note(f"{name} >", asked)
        async with connect(
            self.server.url + query, subprotocols=protocols, max_size=None, max_queue=None, compression=None, proxy=None
        ) as connection:
            assert connection.response is not None
            greeting = {"status": connection.response.status_code, "subprotocol": connection.subprotocol}
            self.note(f"{name} <", {**greeting, "x-request-id": connection.response.headers["x-request-id"]})
            socket = Socket(self, name, connection)
            if native:
                await socket.receive()
            yield socket

    async def refused_socket(self, name: str = "ws", headers: dict[str, str] | None = None) -> None:
        """A handshake that is refused."""
        self.note(f"{name} >", {"connect": RESPONSES, "headers": headers or {}})
        try:
            async with connect(self.server.url, additional_headers=headers, proxy=None):
                raise AssertionError("the server took the connection")
        except InvalidStatus as refusal:
            answer = refusal.response
            shown = {header: answer.headers[header] for header in _HEADERS if header in answer.headers}
            self.note(
                f"{name} <",
                {"status": answer.status_code, "headers": shown, "body": _decoded((answer.body or b"").decode())},
            )

    @contextlib.asynccontextmanager
    async def http(self, name: str = "http") -> AsyncIterator[Http]:
        """The HTTP door."""
        async with http(self.server) as client:
            yield Http(self, client, name)

    def _prompted(self, request: Any) -> Any:
        """What the engine was asked for, the prompt as text. Who asked is the same in all sessions."""
        token_ids = request.prompt_token_ids if request.seen is None else request.seen.token_ids
        decode = self._decode or self.server.engine.tokenizer.decode
        seen = {} if request.seen is None else {"seen": request.seen.inputs}
        return {"prompt": decode(list(token_ids)), **_told(request, "prompt_token_ids", "seen", "tenant"), **seen}


class _TellingParsers:
    """Parsers that tell what each one is opened for."""

    def __init__(self, parsers: Any, tell: Callable[[str, Any], None]) -> None:
        self._parsers = parsers
        self._tell = tell

    def open(self, spec: Any, prompt_token_ids: Sequence[int]) -> Any:
        """See Parsers."""
        self._tell("parser #", spec)
        return self._parsers.open(spec, prompt_token_ids)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parsers, name)


@contextlib.asynccontextmanager
async def playing(
    recording: Recording,
    *answers: Sequence[Any],
    settings: dict[str, Any] | None = None,
    parsers: Any = None,
    decode: Callable[[Sequence[int]], str] | None = None,
    **engine_options: Any,
) -> AsyncIterator[Stage]:
    """A server whose model answers its n-th request with the n-th of `answers`, and further ones with `ok`.
    `decode` makes text of a prompt that is not the scripted tokenizer's.
    """
    stage = Stage(recording, decode)
    left = iter(answers)

    def script(request: Any) -> Sequence[Any]:
        stage.give("engine #", request)
        return next(left, ("ok",))

    if parsers is not None:
        engine_options["parsers"] = _TellingParsers(parsers, stage.give)
    engine_options["seeds_are_free"] = False  # else each request has another one
    async with running(script, changed(**settings or {}), tick_seconds=None, **engine_options) as stage.server:
        yield stage
        stage.note_engine()


def _told(what: Any, *hidden: str) -> dict[str, Any]:
    """The members of a struct that have another value than their default."""
    told = {}
    for field in msgspec.structs.fields(what):
        value = getattr(what, field.name)
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        if field.name not in hidden and value != default:
            told[field.name] = _told(value) if isinstance(value, msgspec.Struct) else msgspec.to_builtins(value)
    return told


def _head(answer: httpx2.Response) -> dict[str, Any]:
    shown = {name: answer.headers[name] for name in _HEADERS if name in answer.headers}
    return {"status": answer.status_code, "headers": shown}


def _decoded(text: str) -> Any:
    """A value of the server's; JSON has many forms, and it writes one of them."""
    value = json.loads(text)
    assert _encoded(value) == text, f"not compact: {text}"
    return value


def _encoded(value: Any) -> str:
    """As the server writes it, which gives some of a client's members back as they came."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
