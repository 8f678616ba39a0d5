"""Heads and records as bytes, without what must not be stored. Pure."""

from __future__ import annotations

import msgspec

from realtime.context.turns import Turn
from realtime.store.records import Head, Record
from realtime.wire.requests import OnDisconnect, ResponseCreate
from realtime.wire.response import Response

from .items import PackedItems, pack_items, tools_without_secrets, unpack_items
from .packing import pack, unpack


class _Head(msgspec.Struct, array_like=True):
    response_id: str
    owner: str
    epoch: str
    stream_id: str | None
    stored: bool
    begun_at: int
    request: bytes  # JSON, without its items
    items: PackedItems
    num_before: int = 0
    on_disconnect: OnDisconnect | None = None
    lacks_secrets: bool = False


class _Record(msgspec.Struct, array_like=True):
    """A record as it is written. `input`: None if it is the turn's. `same_output`: the response is written without its
    output, which is the turn's.
    """

    owner: str
    response: bytes  # JSON
    epoch: str
    expires_at: float
    begun_at: int
    input: PackedItems | None
    same_output: bool = False


_encode = msgspec.msgpack.Encoder().encode
_decode_head = msgspec.msgpack.Decoder(_Head).decode
_decode_record = msgspec.msgpack.Decoder(_Record).decode
_encode_json = msgspec.json.Encoder().encode
_decode_request = msgspec.json.Decoder(ResponseCreate).decode
_decode_response = msgspec.json.Decoder(Response).decode
_NULL = msgspec.Raw(b"null")


def encode_head(head: Head) -> bytes:
    """Encode a head. For a response that is not to be stored, leave out everything that its client said."""
    request = head.request if head.stored else ResponseCreate(store=False)
    tools = tools_without_secrets(request.tools) if request.tools is not None else None
    bare = msgspec.structs.replace(request, input=_NULL, items=[], tools=tools)
    items = pack_items(request.items)
    members = (head.response_id, head.owner, head.epoch, head.stream_id if head.stored else None)
    lacks = tools != request.tools
    bare_json = _encode_json(bare)
    kept = _Head(*members, head.stored, head.begun_at, bare_json, items, request.num_before, head.on_disconnect, lacks)
    return pack(_encode(kept))


def decode_head(blob: bytes) -> Head:
    """Decode a head. Raises ValueError."""
    kept = _decode_head(unpack(blob))
    request = _decode_request(kept.request)
    request.input, request.items, request.num_before = msgspec.Raw(), unpack_items(kept.items), kept.num_before
    return Head(
        response_id=kept.response_id,
        owner=kept.owner,
        epoch=kept.epoch,
        stream_id=kept.stream_id,
        stored=kept.stored,
        begun_at=kept.begun_at,
        request=request,
        on_disconnect=kept.on_disconnect,
        lacks_secrets=kept.lacks_secrets,
    )


def encode_record(record: Record) -> bytes:
    """Encode a record, without its turn."""
    turn, response = record.turn, record.response
    input = None if turn is not None and turn.input == record.input else pack_items(record.input)
    same_output = turn is not None and [*turn.output] == response.output
    if same_output:
        response = msgspec.structs.replace(response, output=[])
    members = (record.owner, _encode_json(response), record.epoch, record.expires_at, record.begun_at)
    return pack(_encode(_Record(*members, input, same_output)))


def decode_record(blob: bytes, turn: Turn | None) -> Record:
    """Decode a record. Raises ValueError."""
    kept = _decode_record(unpack(blob))
    own = turn.input if turn is not None else ()
    response = _decode_response(kept.response)
    if kept.same_output and turn is not None:
        response.output = list(turn.output)
    return Record(
        owner=kept.owner,
        response=response,
        epoch=kept.epoch,
        turn=turn,
        continuable=True,
        expires_at=kept.expires_at,
        begun_at=kept.begun_at,
        input=tuple(unpack_items(kept.input)) if kept.input is not None else own,
    )
