"""The OpenAPI 3.1 document of the HTTP door, from the table of operations and the types of the wire."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import msgspec

from realtime.wire.errors import ErrorCode as E

from .call import Query
from .operations import Header, Operation
from .schemas import STREAM_EVENT, components, schema_of, stream_events

_EVERYWHERE = (E.ORIGIN_NOT_ALLOWED, E.SERVER_ERROR)
_WITH_KEY = (E.MISSING_API_KEY, E.INVALID_API_KEY, E.NOT_PERMITTED, E.TOO_MANY_QUEUED, E.SERVER_IS_OVERLOADED)
_INTRODUCTION = (
    "OpenAI's Responses API on a server of your own, and doors for Chat Completions and for Anthropic's Messages. The "
    "same responses can be created, followed and cancelled over "
    "the WebSocket at the same path. Every path below /v1 is also served without it."
)


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """See the module."""
    bodies = [one.body for one in operations if one.body is not None]
    answers = [one.answer for one in operations if one.answer is not None]
    answers += [one.error for one in operations]
    answers += [one.event for one in operations if one.event is not None]
    schemas = components(bodies, [*answers, stream_events()])
    schemas[STREAM_EVENT] = schema_of(stream_events())
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {"title": "realtime", "version": server_version(), "description": _INTRODUCTION},
        "paths": paths,
        "security": [{}, {"bearer": []}, {"apiKey": []}, {"xApiKey": []}],
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "api-key"},
                "xApiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    }


def _operation(one: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": f"{one.method.lower()}{''.join(part.strip('{}').title() for part in one.path.split('/'))}",
        "summary": one.summary,
        "parameters": [
            *[_parameter(name, "path", {"type": "string"}, text) for name, text in one.path_parameters.items()],
            *_query(one.query),
            *[_header(header) for header in one.headers],
        ],
        "responses": _answers(one),
    }
    if one.open:
        described["security"] = []
    if one.body is not None:
        content = {"application/json": {"schema": schema_of(one.body)}}
        described["requestBody"] = {"required": not one.body_optional, "content": content}
    return described


def _answers(one: Operation) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    if one.answer is not None:
        content: dict[str, Any] = {"application/json": {"schema": schema_of(one.answer)}}
        if one.streams:
            content["text/event-stream"] = {"schema": {"type": "string", "description": one.streams}}
        answers["200"] = {"description": one.summary, "headers": _HEADERS, "content": content}
    codes: dict[int, list[str]] = {}
    for error in (*one.errors, *_EVERYWHERE, *(() if one.open else _WITH_KEY)):
        codes.setdefault(error.value.status, []).append(error.value.code)
    for status, names in sorted(codes.items()):
        headers = _HEADERS | {"x-should-retry": _text("whether the same request may succeed when it is sent again")}
        if any(E.SERVER_IS_OVERLOADED.value.status == status for _ in names):
            headers = headers | {"retry-after": _text("seconds to wait before")}
        if status == 401:
            headers = headers | {"www-authenticate": _text("the scheme of the key, `Bearer`")}
        answers[str(status)] = {
            "description": "`error.code`: " + ", ".join(f"`{name}`" for name in dict.fromkeys(names)),
            "headers": headers,
            "content": {"application/json": {"schema": schema_of(one.error)}},
        }
    return answers


_HEADERS = {"x-request-id": {"description": "a name for this request", "schema": {"type": "string"}}}


def _text(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}


def _query(kind: type[Query] | None) -> list[dict[str, Any]]:
    if kind is None:
        return []
    schema = msgspec.json.schema(kind)["$defs"][kind.__name__]
    return [_parameter(name, "query", member) for name, member in schema["properties"].items()]


def _header(header: Header) -> dict[str, Any]:
    return _parameter(header.name, "header", msgspec.json.schema(header.kind), header.description)


def _parameter(name: str, where: str, schema: dict[str, Any], description: str | None = None) -> dict[str, Any]:
    told: dict[str, Any] = {"description": description} if description else {}
    if any(one.get("type") == "object" for one in (schema, *schema.get("anyOf", ()))):
        told |= {"style": "deepObject", "explode": True}
    return {"name": name, "in": where, "required": where == "path", "schema": schema, **told}


def server_version() -> str:
    """Return the version of the installed package."""
    try:
        return version("realtime-llm")
    except PackageNotFoundError:  # run from a folder that is not installed
        return "0"
