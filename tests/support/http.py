"""A client of the HTTP door that holds every answer against the document that the server gives of itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

import httpx2
import jsonschema
import msgspec
from jsonschema.protocols import Validator

from realtime.server.app import build_document
from tests.support.raw import RawSocket

from .server import Running

DOCUMENT: dict[str, Any] = msgspec.json.decode(build_document())


class SseEvent(msgspec.Struct, frozen=True):
    """One event of a stream as it came; `id` and `name` are None where a line was missing."""

    id: str | None
    name: str | None
    data: str

    @property
    def json(self) -> dict[str, Any]:
        """What it carries."""
        event: dict[str, Any] = json.loads(self.data)
        return event


DESCRIPTIONS = ("/openapi.json", "/asyncapi.json")


@contextlib.asynccontextmanager
async def http(server: Running, key: str | None = None, **options: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """A client whose every JSON answer is checked."""
    headers = {"authorization": f"Bearer {key}"} if key else {}

    async def checked(response: httpx2.Response) -> None:
        path = response.request.url.path
        if response.headers.get("content-type") == "application/json" and path not in DESCRIPTIONS:
            await response.aread()
            check_answer(response.request.method, path, response.status_code, response.content)
        assert response.headers["x-request-id"].startswith("req_")

    hooks = {"response": [checked]}
    options = {"timeout": 120, "trust_env": False, "headers": headers, **options}
    async with httpx2.AsyncClient(base_url=server.http, event_hooks=hooks, **options) as client:
        yield client


def check_answer(method: str, path: str, status: int, body: bytes) -> None:
    """An answer is one of those that the document says this operation has."""
    operation = _operation(method, path)
    if operation is None:  # there is nothing at that path, or not with that method
        assert status in (404, 405)
        schema = {"$ref": "#/components/schemas/ErrorReply"}
    elif status == 503 and path == "/ready":
        schema = {"$ref": "#/components/schemas/Readiness"}
    else:
        described = operation["responses"].get(str(status))
        assert described, f"{method} {path} is not said to answer {status}: {body.decode()}"
        schema = described["content"]["application/json"]["schema"]
    if body:
        value = json.loads(body)
        _validate(schema, value)
        if "error" in value and operation is not None and value["error"]:
            code = value["error"]["code"]
            assert status < 400 or f"`{code}`" in operation["responses"][str(status)]["description"], (path, code)


def check_event(event: dict[str, Any]) -> None:
    """An event is one of those that the document says a stream has."""
    _validate({"$ref": f"#/components/schemas/{_events()[event['type']]}"}, event)


def parse(text: str) -> tuple[list[SseEvent], str]:
    """The whole events of a stream, comments left out, and what is left over."""
    events = []
    *blocks, rest = text.split("\n\n")
    for block in blocks:
        fields: dict[str, str] = {}
        for line in block.split("\n"):
            name, colon, value = line.partition(": ")
            assert colon, line
            if name:
                assert name not in fields
                fields[name] = value
            else:
                assert line == ": keep-alive"
        if fields:
            assert fields.keys() <= {"id", "event", "data"}
            events.append(SseEvent(fields.get("id"), fields.get("event"), fields["data"]))
    return events, rest


def events_of(text: str, *, start: int = 0) -> list[dict[str, Any]]:
    """The events of a whole stream that begins with the number `start`, each checked."""
    parsed, rest = parse(text)
    assert rest == ""
    assert parsed[-1] == SseEvent(None, None, "[DONE]")
    events = [one.json for one in parsed[:-1]]
    for one, event in zip(parsed, events, strict=False):
        check_event(event)
        assert one.name == event["type"]
        assert one.id == (None if event["type"] == "error" else str(event["sequence_number"]))
    assert [event["sequence_number"] for event in events] == list(range(start, start + len(events)))
    return events


class Reader:
    """A stream that is read event by event, over a connection that can be cut."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self._chunks = response.aiter_text()
        self._text = ""
        self._parsed: list[SseEvent] = []

    async def next(self) -> SseEvent:
        """The next event; a test that waits for one that does not come fails."""
        while not self._parsed:
            async with asyncio.timeout(120):
                self._text += await anext(self._chunks)
            self._parsed, self._text = parse(self._text)
        return self._parsed.pop(0)

    async def until(self, kind: str) -> list[dict[str, Any]]:
        """Events up to and with the next one of this type."""
        events = []
        while True:
            one = await self.next()
            events.append(one.json)
            if one.name == kind:
                return events

    async def rest(self) -> list[SseEvent]:
        """Everything up to `[DONE]`, and nothing after it."""
        events = [await self.next()]
        while events[-1].data != "[DONE]":
            events.append(await self.next())
        async with asyncio.timeout(120):
            assert [chunk async for chunk in self._chunks] == []
        assert self._text == ""
        return events


@contextlib.asynccontextmanager
async def streaming(
    client: httpx2.AsyncClient, method: str = "POST", path: str = "/v1/responses", **options: Any
) -> AsyncIterator[Reader]:
    """A stream; leaving early drops the connection."""
    if method == "POST" and "json" in options:
        options["json"] = {"stream": True, **options["json"]}
    async with client.stream(method, path, **options) as response:
        assert response.status_code == 200, await response.aread()
        yield Reader(response)


async def raw_request(server: Running, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Bytes as they are, and what is answered."""
    sock = await RawSocket.open(server.port)
    try:
        await sock.send(request)
        return await sock.response()
    finally:
        sock.close()


def assert_refused(response: httpx2.Response, code: str, status: int, param: str | None = None) -> dict[str, Any]:
    """A refusal in OpenAI's form."""
    assert (response.status_code, response.headers["content-type"]) == (status, "application/json"), response.text
    error: dict[str, Any] = response.json()["error"]
    assert (error["code"], error["param"]) == (code, param), error
    assert response.headers["x-should-retry"] == ("true" if error["retry"] else "false")
    return error


def _operation(method: str, path: str) -> dict[str, Any] | None:
    path = path if path in DOCUMENT["paths"] or path.startswith("/v1/") else f"/v1{path}"
    for template, operations in DOCUMENT["paths"].items():
        pattern = re.sub(r"{model}", r".+", template)
        if re.fullmatch(re.sub(r"{\w+}", r"[^/]+", pattern), path):
            operation: dict[str, Any] | None = operations.get("get" if method == "HEAD" else method.lower())
            return operation
    return None


@cache
def _events() -> dict[str, str]:
    """Type of an event -> the schema's name."""
    schemas = DOCUMENT["components"]["schemas"]
    return {
        kind: ref.rpartition("/")[2] for kind, ref in schemas["ResponseStreamEvent"]["discriminator"]["mapping"].items()
    }


@cache
def _validator(schema: str) -> Validator:
    return jsonschema.Draft202012Validator({**json.loads(schema), "components": DOCUMENT["components"]})


def _validate(schema: dict[str, Any], value: Any) -> None:
    _validator(json.dumps(schema)).validate(value)
