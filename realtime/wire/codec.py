"""The codec: bytes to client events, events to bytes; and the limits that keep a hostile message cheap.

Every malformed message becomes a `WireError` that names the member and what is wrong with it. Nothing else leaves
`decode`, whatever the input.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import reduce
from operator import or_
from typing import Any, NoReturn, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from .errors import ErrorCode, WireError
from .items import ITEM_TYPES, InputItem, Message
from .requests import (
    AnyClientEvent,
    ResponseAck,
    ResponseCancel,
    ResponseCreate,
    ResponseDetach,
    ResponseInject,
    ResponseInterrupt,
    ResponseProcessed,
    ResponseResume,
    ResponseSteer,
    ResponseTruncate,
    SessionUpdate,
)  # fmt: skip
from .unknown_members import MAX_TOLD, unknown_members

T = TypeVar("T")

_CLIENT_EVENTS: dict[str, type[AnyClientEvent]] = {
    "response.create": ResponseCreate,
    "response.cancel": ResponseCancel,
    "response.resume": ResponseResume,
    "response.detach": ResponseDetach,
    "response.steer": ResponseSteer,
    "response.inject": ResponseInject,
    "response.interrupt": ResponseInterrupt,
    "response.ack": ResponseAck,
    "response.truncate": ResponseTruncate,
    "response.processed": ResponseProcessed,
    "session.update": SessionUpdate,
}
# Possessive, and the closing quote is optional: a string is scanned once, and without memory, whatever is in it.
_STRUCTURE = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+|[\[{]|[\]}]', re.DOTALL)
_AT_PATH = re.compile(r" - at (?:`key` in )?`\$\.?([^`]*)`$")
_MISSING = re.compile(r"Object missing required field `([^`]+)`")

_OF_PROGRAMS = ("program", "program_output")  # for a JavaScript runtime that is not here
_MAX_REASON = 300  # characters
_TYPE_AT = len(b'{"type":"')


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one message. `max_values` bounds brackets plus quotes, and so the time that checking the
    depth takes.
    """

    max_depth: int = 64
    max_values: int = 1_000_000
    max_items: int = 10_000


class _Head(msgspec.Struct):
    """The members of a message that its answer needs, however wrong the rest is. Each may have any JSON type."""

    type: Any = None
    stream_id: Any = None
    event_id: Any = None
    previous_response_id: Any = None


class _ItemHead(msgspec.Struct):
    """The members that tell an item's type. `type` may be left out, or null, in a message and in a reference, which is
    an item without a role.
    """

    type: str | UnsetType | None = UNSET
    role: Any = None
    id: Any = None


_decode_head = msgspec.json.Decoder(_Head).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_item_head = msgspec.json.Decoder(_ItemHead).decode
_decode_create = msgspec.json.Decoder(ResponseCreate).decode
_item_decoders = {name: msgspec.json.Decoder(kind).decode for name, kind in ITEM_TYPES.items()}
_event_decoders = {name: msgspec.json.Decoder(kind).decode for name, kind in _CLIENT_EVENTS.items()}
# What is right is decoded in one go; only what isn't is looked at again, to say what is wrong with it.
_decode_any_event: Callable[[bytes], AnyClientEvent]
_decode_any_event = msgspec.json.Decoder(reduce(or_, _CLIENT_EVENTS.values())).decode
_decode_any_item: Callable[[msgspec.Raw], InputItem]
_decode_any_item = msgspec.json.Decoder(reduce(or_, ITEM_TYPES.values())).decode
_WRONG = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # ValidationError is a DecodeError

encode = msgspec.json.Encoder().encode
encode_into = msgspec.json.Encoder().encode_into


def encode_line(value: object) -> bytes:
    """Return JSON that is one line for every reader."""
    return escape_line_ends(encode(value))


def escape_line_ends(data: bytes) -> bytes:
    """Escape U+2028, U+2029 and U+0085 in JSON: JSON allows them, but Python's `splitlines` and others end lines there.

    Looks for their first bytes first, because that is fast. Don't call it for ASCII.
    """
    if 0xE2 in data:
        data = data.replace(b"\xe2\x80\xa8", rb"\u2028").replace(b"\xe2\x80\xa9", rb"\u2029")
    if 0xC2 in data:
        data = data.replace(b"\xc2\x85", rb"\u0085")
    return data


def type_of(entry: bytes) -> bytes:
    """Return the type of an encoded event; every event begins with its type."""
    return entry[_TYPE_AT : entry.index(b'"', _TYPE_AT)]


class Rejected(Exception):
    """An error: a client event can't be carried out, with what an `error` event needs to say where it belongs."""

    def __init__(
        self, error: WireError, *, type: str, stream_id: Any = None, event_id: str | None = None, previous: Any = None
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.type = type
        self.stream_id = stream_id  # as it came, not validated; so is `previous`, its `previous_response_id`
        self.event_id = event_id
        self.previous = previous


def decode(data: bytes, limits: Limits) -> AnyClientEvent:
    """Decode one message to one client event. Raises Rejected, and nothing else."""
    bounded = False
    try:
        _check_structure(data, limits)
        bounded = True
        return _event(data, limits)
    except WireError as error:
        head = _head_or_none(data) if bounded else _Head()
        event_id = head.event_id if isinstance(head.event_id, str) and len(head.event_id) <= 256 else None
        type_ = head.type if isinstance(head.type, str) else ""
        previous = head.previous_response_id
        raise Rejected(error, type=type_, stream_id=head.stream_id, event_id=event_id, previous=previous) from None


def decode_create(data: bytes, limits: Limits) -> ResponseCreate:
    """Decode the body of an HTTP request that creates: `response.create` whose `type` may be absent.
    Raises WireError.
    """
    _check_structure(data, limits)
    head = _head(data)
    if head.type not in (None, "response.create"):
        text = f"`type` is {_quote(head.type)}; a request body has none, or 'response.create'."
        raise WireError(ErrorCode.INVALID_REQUEST, text, param="type")
    return _complete(_strictly(_decode_create, data, ""), data, limits)


def _complete(create: ResponseCreate, data: bytes, limits: Limits) -> ResponseCreate:
    """Decode the members that a create leaves raw."""
    event = _flatten(create, unknown_members(_strictly(_decode_fields, data, "")))
    if event.prompt_cache_options is not None and event.prompt_cache_options.prewarm:
        event.generate = False
    event.items = decode_input(event.input, limits)
    event.input = msgspec.Raw()
    event.num_before = 0
    return event


def _head(data: bytes) -> _Head:
    try:
        return _decode_head(data)
    except msgspec.ValidationError:
        raise WireError(ErrorCode.INVALID_JSON, "A message must be one JSON object.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(ErrorCode.INVALID_JSON, f"The message is not valid JSON: {error}") from None


def _head_or_none(data: bytes) -> _Head:
    """Return the head of a message that is wrong, if it can be read."""
    try:
        return _head(data)
    except WireError:
        return _Head()


def _event(data: bytes, limits: Limits) -> AnyClientEvent:
    try:
        event = _decode_any_event(data)
    except _WRONG:
        event = _decode_event(data, _head(data))
    return _complete(event, data, limits) if isinstance(event, ResponseCreate) else event


def _decode_event(data: bytes, head: _Head) -> AnyClientEvent:
    decoder = _event_decoders.get(head.type) if isinstance(head.type, str) else None
    if decoder is None:
        known = ", ".join(_CLIENT_EVENTS)
        message = f"`type` must be one of: {known}." if head.type is None else f"Unknown type {_quote(head.type)}."
        if head.type == "response.append":  # of a beta that is over
            message = "`response.append` is no more: send `response.create` with `previous_response_id`."
        raise WireError(ErrorCode.UNSUPPORTED_EVENT_TYPE, message, param="type")
    return _strictly(decoder, data, "")


def _flatten(event: ResponseCreate, unknown: tuple[str, ...]) -> ResponseCreate:
    """Convert the nested form `{"type": "response.create", "response": {...}}` to the flat one. `unknown`: its own
    members.
    """
    if isinstance(event.response, UnsetType):
        event.unknown = unknown
        return event
    fields = _strictly(_decode_fields, bytes(event.response), "response")
    fields["type"] = msgspec.Raw(b'"response.create"')
    inner = _strictly(_decode_create, encode(fields), "response")
    inner.stream_id = event.stream_id if inner.stream_id is None else inner.stream_id
    inner.event_id = event.event_id
    inner.unknown = (*unknown, *unknown_members(fields, "response."))[:MAX_TOLD]
    return inner


def decode_body(data: bytes, kind: type[T], limits: Limits) -> T:
    """Decode the body of any other HTTP request. Raises WireError."""
    _check_structure(data, limits)
    return _strictly(msgspec.json.Decoder(kind).decode, data, "")


def decode_input(data: bytes | msgspec.Raw, limits: Limits) -> list[InputItem]:
    """Decode the member `input`: a string, or a list of items; absent or null is no items. Raises WireError."""
    match _first_byte(data):
        case b"":
            return []
        case b"n" if bytes(data).strip() == b"null":
            return []
        case b'"':
            return [Message(role="user", content=_strictly(_decode_text, data, "input"))]
        case b"[":
            return decode_items(data, "input", limits.max_items)
        case _:
            raise WireError(ErrorCode.INVALID_REQUEST, "`input` must be a string or a list of items.", param="input")


def _first_byte(data: bytes | msgspec.Raw) -> bytes:
    """Return the first byte that is not white space, without copying what may be large."""
    return bytes(memoryview(data)[:16]).lstrip()[:1] or bytes(data).lstrip()[:1]


def decode_items(data: bytes | msgspec.Raw, path: str, max_items: int) -> list[InputItem]:
    """Decode a list of items, which is the member `path` of a body. Raises WireError."""
    raws = _strictly(_decode_list, data, path)
    if len(raws) > max_items:
        text = f"`{path}` has {len(raws)} items; at most {max_items} are accepted."
        raise WireError(ErrorCode.MESSAGE_TOO_COMPLEX, text, param=path)
    return [_decode_item(raw, path, index) for index, raw in enumerate(raws)]


def _decode_item(raw: msgspec.Raw, path: str, index: int) -> InputItem:
    try:
        return _decode_any_item(raw)
    except _WRONG:
        return _decode_untyped(bytes(raw), f"{path}[{index}]")


def _decode_untyped(data: bytes, path: str) -> InputItem:
    """Decode an item that may leave its type out, or say what is wrong with it."""
    head = _strictly(_decode_item_head, data, path)
    kind = head.type if isinstance(head.type, str) else _implied(head)
    decoder = _item_decoders.get(kind)
    if decoder is None:
        raise _unknown_item(kind, path)
    if head.type is UNSET and head.role is not None and data[:1] == b"{":
        data = b'{"type":"message",' + data[1:]
    elif not isinstance(head.type, str):
        fields = _strictly(_decode_fields, data, path)
        data = encode({**fields, "type": kind})
    return _strictly(decoder, data, path)


def _implied(head: _ItemHead) -> str:
    return "item_reference" if head.role is None and head.id is not None else "message"


def _unknown_item(kind: str, path: str) -> WireError:
    text = f"Items of type {_quote(kind)} are not supported: leave them out of `input`."
    if kind in _OF_PROGRAMS:
        text = f"Items of type '{kind}' belong to programmatic tool calling, which is not supported: leave them out."
    return WireError(ErrorCode.INVALID_REQUEST, text, param=f"{path}.type")


def _strictly(decoder: Callable[[Any], T], data: bytes | msgspec.Raw, path: str) -> T:
    """Decode, or raise a WireError whose `param` is the path of the member at fault, below `path`."""
    try:
        return decoder(data)
    except msgspec.ValidationError as error:
        _refuse(str(error), path)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(ErrorCode.INVALID_JSON, f"The message is not valid JSON: {error}") from None


def _refuse(text: str, path: str) -> NoReturn:
    """Convert msgspec's `Expected ..., got ... - at `$.a.b`` to our error: the reason, and `a.b` as the param."""
    found = _AT_PATH.search(text)
    reason = text[: found.start()] if found else text
    if len(reason) > _MAX_REASON:  # msgspec quotes wrong enum values whole
        reason = reason[:_MAX_REASON] + "..."
    path = _join(path, found.group(1) if found else "")
    if missing := _MISSING.match(reason):
        path = _join(path, missing.group(1))
        raise WireError(ErrorCode.INVALID_REQUEST, f"`{path}` is required.", param=path)
    where = f"`{path}`: " if path else ""
    raise WireError(ErrorCode.INVALID_REQUEST, f"{where}{reason}.", param=path or None)


def _join(path: str, member: str) -> str:
    return f"{path}.{member}" if path and member and not member.startswith("[") else path + member


def _check_structure(data: bytes, limits: Limits) -> None:
    """Refuse a message that nests deeper or holds more values than allowed. Costs two counts for an ordinary one."""
    brackets = data.count(b"[") + data.count(b"{")
    if brackets <= limits.max_depth:
        return
    if brackets + data.count(b'"') > limits.max_values:
        raise WireError(ErrorCode.MESSAGE_TOO_COMPLEX, "The message holds too many values: send less at once.")
    depth = 0
    for token in _STRUCTURE.finditer(data):
        first = data[token.start()]
        if first in b"[{":
            depth += 1
            if depth > limits.max_depth:
                text = f"The message nests deeper than {limits.max_depth} levels."
                raise WireError(ErrorCode.MESSAGE_TOO_COMPLEX, text)
        elif first in b"]}":
            depth -= 1


def _quote(value: Any) -> str:
    """Return a client's value for use in a message: short, and unmistakably a quotation."""
    text = value if isinstance(value, str) else type(value).__name__
    return f"'{text[:64]}'"
