"""The AsyncAPI 3 document of the WebSocket, from the types of the wire and the schemas of the OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterable
from inspect import getdoc
from typing import Any

import msgspec

from realtime.wire.requests import ResponseCreate

from .openapi import server_version
from .schemas import REF, CreateResponse, client_events, components, schema_of, socket_events

_INTRODUCTION = (
    "OpenAI's Responses API in its WebSocket mode, and a superset of it. The sub-protocol `realtime.v1` asks for the "
    "native profile, which has the `session.*` events as well and lets a response outlive its socket. An event of a "
    "response has `response_id`, and a `sequence_number` without a gap; any other belongs to the connection. "
    "Each message is one JSON object in one text frame. Browsers give a key as the sub-protocol "
    "`openai-insecure-api-key.KEY`."
)
_CREATE = "ResponseCreateEvent"
_CHANNEL = "responses"
_OF_THE_SOCKET = ("event_id", "stream_id", "catch_up")  # what a create has here and not over HTTP


def asyncapi_document() -> dict[str, Any]:
    """Return the document. The server receives what a client sends."""
    asked, told = client_events(), socket_events()
    schemas = components([CreateResponse, *(kind for kind in asked if kind is not ResponseCreate)], told)
    schemas[_CREATE] = _create()
    messages = {kind.__name__: _message(kind) for kind in (*asked, *told)}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "realtime", "version": server_version(), "description": _INTRODUCTION},
        "defaultContentType": "application/json",
        "servers": {
            "this": {
                "host": "{address}",
                "protocol": "ws",
                "variables": {"address": {"default": "127.0.0.1:8000"}},
                "security": [_reference("securitySchemes", "bearer"), _reference("securitySchemes", "apiKey")],
            }
        },
        "channels": {_CHANNEL: _channel(messages)},
        "operations": {
            "receiveClientEvent": _operation("receive", "What a client sends.", asked),
            "sendServerEvent": _operation("send", "What the server sends.", told),
        },
        "components": {
            "messages": messages,
            "schemas": {name: _without_discriminators(schema) for name, schema in sorted(schemas.items())},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A key, or a ticket for one response."},
                "apiKey": {"type": "httpApiKey", "in": "header", "name": "api-key"},
            },
        },
    }


def _channel(messages: Iterable[str]) -> dict[str, Any]:
    query = {"type": "object", "properties": {"model": {"type": "string"}}}
    return {
        "address": "/v1/responses",
        "messages": {name: _reference("messages", name) for name in messages},
        "bindings": {"ws": {"method": "GET", "query": query, "bindingVersion": "0.1.0"}},
    }


def _operation(action: str, summary: str, kinds: Iterable[type[msgspec.Struct]]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{_CHANNEL}"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/{_CHANNEL}/messages/{kind.__name__}"} for kind in kinds],
    }


def _message(kind: type[msgspec.Struct]) -> dict[str, Any]:
    name = _CREATE if kind is ResponseCreate else kind.__name__
    message = {"name": kind.__struct_config__.tag, "payload": {"$ref": REF.format(name=name)}}
    text = getdoc(kind) if "__doc__" in vars(kind) else None
    return message | ({"summary": text.partition("\n")[0]} if text else {})


def _create() -> dict[str, Any]:
    """Return the schema of a create on a socket: the HTTP body, and where its answer goes."""
    fields = msgspec.structs.fields(ResponseCreate)
    own = {field.encode_name: schema_of(field.type) for field in fields if field.name in _OF_THE_SOCKET}
    properties = {"type": {"enum": [ResponseCreate.__struct_config__.tag]}, **own}
    return {
        "allOf": [
            {"$ref": REF.format(name=CreateResponse.__name__)},
            {"type": "object", "properties": properties, "required": ["type"]},
        ]
    }


def _reference(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}


def _without_discriminators(schema: Any) -> Any:
    """Remove discriminators: OpenAPI's `discriminator` is an object, AsyncAPI's a string. The alternatives differ in
    `type` anyhow.
    """
    if isinstance(schema, dict):
        is_schema = "anyOf" in schema
        return {
            name: _without_discriminators(value)
            for name, value in schema.items()
            if not (is_schema and name == "discriminator")
        }
    if isinstance(schema, list):
        return [_without_discriminators(value) for value in schema]
    return schema
