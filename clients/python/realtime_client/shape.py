"""The shape of a server's events, checked once on arrival: no later code meets another type. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from .errors import ProtocolError

MAX_NUMBER = 2**53 - 1  # JSON's largest whole number that every reader agrees on
_ABSENT = object()
_Is = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _objects(value: Any) -> bool:
    return isinstance(value, list) and all(map(_object, value))


def _number(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_NUMBER


def _amount(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= MAX_NUMBER  # not so: NaN, infinity


def _or_null(is_right: _Is) -> _Is:
    return lambda value: value is None or is_right(value)


_Path = tuple[str, ...]
_OPTIONAL: Mapping[_Path, _Is] = {  # may be absent or null
    ("event_id",): _text,
    ("stream_id",): _text,
    ("epoch",): _text,
    ("response",): _object,
    ("response", "id"): _text,
    ("response", "previous_response_id"): _text,
    ("response", "status"): _text,
    ("response", "output"): _objects,
    ("response", "error"): _object,
    ("response", "incomplete_details"): _object,
    ("response", "truncated"): _object,
    ("response", "truncated", "through"): lambda value: type(value) is int,
    ("error",): _object,
    ("error", "code"): _text,
    ("error", "response_id"): _text,
    ("error", "retry_after"): _amount,
    ("session",): _object,
    ("session", "limits"): _object,
    ("session", "limits", "max_message_bytes"): _amount,
    ("session", "heartbeat_seconds"): _amount,
    ("heartbeat",): _object,
    ("required_input",): _objects,
    ("steer",): _object,
    ("steer", "id"): _text,
}
_REQUIRED: Mapping[str, Mapping[_Path, _Is]] = {
    "response.output_text.delta": {("delta",): _text, ("item_id",): _text},
    "response.resumed": {("resumed",): _object, ("resumed", "response_id"): _text, ("resumed", "epoch"): _text},
    "response.steer.accepted": {("steer", "previous_response_id"): _text, ("steer", "id"): _text},
    "response.steer.pending": {("steer", "id"): _text},
    "response.steer.failed": {("steer",): _object, ("steer", "previous_response_id"): _text, ("error",): _object},
    "response.inject.created": {("response_id",): _text},
    "response.inject.failed": {("response_id",): _text, ("error",): _object},
}
_OF_A_RESPONSE: Mapping[_Path, _Is] = {
    ("response_id",): _text,
    ("sequence_number",): _number,
    ("first_sequence_number",): lambda value: value is _ABSENT or _number(value),
}


def read(data: str) -> dict[str, Any]:
    """Return the event in a message. Raises ProtocolError for what a server of this protocol never sends."""
    try:
        event = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"not an event: {data[:80]!r}") from error
    kind = event.get("type") if isinstance(event, dict) else None
    if not isinstance(kind, str):
        raise ProtocolError(f"not an event: {data[:80]!r}")
    for path, is_right in _OPTIONAL.items():
        if path[0] in event:
            _check(event, path, _or_null(_or_absent(is_right)))
    for path, is_right in _REQUIRED.get(kind, {}).items():
        _check(event, path, is_right)
    if "response_id" in event and not kind.startswith("response.inject."):
        for path, is_right in _OF_A_RESPONSE.items():
            _check(event, path, is_right)
        if event.get("first_sequence_number", 0) > event["sequence_number"]:
            raise ProtocolError(f"{kind} ends before it begins")
    return event  # type: ignore[no-any-return]


def _or_absent(is_right: _Is) -> _Is:
    return lambda value: value is _ABSENT or is_right(value)


def _check(event: Mapping[str, Any], path: _Path, is_right: _Is) -> None:
    value: Any = event
    for name in path:
        value = value.get(name, _ABSENT) if isinstance(value, dict) else _ABSENT
    if not is_right(value):
        raise ProtocolError(f"{str(event['type'])[:80]} with a malformed `{'.'.join(path)}`")
