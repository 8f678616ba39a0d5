"""The AsyncAPI document keeps to AsyncAPI's own schema, and what is said on sockets keeps to the document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
from jsonschema.protocols import Validator

from realtime.engine.scripted import say
from realtime.server.app import build_socket_document
from tests.server.test_openapi import references
from tests.support.http import http
from tests.support.node import find_node
from tests.support.server import running

TESTS = Path(__file__).parents[1]
JS = TESTS / "acceptance" / "js"  # has AsyncAPI's schemas among its packages
RECORDED = TESTS / "behaviour" / "recorded"


@cache
def document() -> dict[str, Any]:
    """The document. Made when it is needed: that takes long, and every worker imports this file."""
    made: dict[str, Any] = json.loads(build_socket_document())
    return made


def messages() -> dict[str, Any]:
    """Its messages, each by its type."""
    return {one["name"]: one for one in document()["components"]["messages"].values()}


def test_it_is_an_asyncapi_document() -> None:
    find_node(JS)
    schema = JS / "node_modules/@asyncapi/specs/schemas/3.0.0-without-$id.json"
    validator = jsonschema.Draft7Validator(json.loads(schema.read_text("utf-8")))
    validator.validate(document())
    assert not validator.is_valid(document() | {"operations": {"x": {"action": "reply"}}})


def test_every_reference_leads_somewhere() -> None:
    for reference in references(document()):
        found: Any = document()
        for name in reference.removeprefix("#/").split("/"):
            found = found[name]


def test_every_type_that_was_ever_recorded_is_in_it() -> None:
    received = {name for name, one in messages().items() if _is_of(one, "receive")}
    sent = {name for name, one in messages().items() if _is_of(one, "send")}
    for file in RECORDED.glob("*.jsonl"):
        for direction, message in map(json.loads, file.read_text("utf-8").splitlines()):
            type = message.get("type") if isinstance(message, dict) else None
            assert direction != "ws <" or type is None or type in sent, (file.name, type)
    assert {"response.create", "response.cancel", "response.resume", "session.update"} <= received
    assert not received & sent


async def test_what_a_native_socket_is_sent_keeps_to_it() -> None:
    async with running(say(*"abcdefgh")) as server, server.client(native=True) as client:
        async with http(server) as outside:
            assert (await outside.get("/asyncapi.json")).json() == document()
        events = await client.create("hi", catch_up="merged", event_id="create.1")
        for type, members in (
            ("session.update", {"heartbeat_seconds": 30}),
            ("response.resume", {"response_id": events[-1]["response_id"]}),
            ("response.cancel", {"response_id": "nothing", "event_id": "cancel.1"}),
        ):
            asked = {"type": type, **members}
            _validate(asked)
            await client.send(**asked)
        _validate({"type": "response.create", "input": "hi", "catch_up": "merged", "event_id": "create.1"})
        while events[-1]["type"] != "error":
            events.append(await client.receive())
    assert {"response.completed", "response.output_text.delta", "response.resumed"} <= {one["type"] for one in events}
    for event in events:
        _validate(event)


def _is_of(message: dict[str, Any], action: str) -> bool:
    name = next(key for key, one in document()["components"]["messages"].items() if one is message)
    return any(one["$ref"].endswith(f"/{name}") for one in _messages(action))


def _messages(action: str) -> Iterator[dict[str, str]]:
    for operation in document()["operations"].values():
        if operation["action"] == action:
            yield from operation["messages"]


def _validate(message: dict[str, Any]) -> None:
    _validator(message["type"]).validate(message)


@cache
def _validator(kind: str) -> Validator:
    schema = document() | messages()[kind]["payload"]
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)
