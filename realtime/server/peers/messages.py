"""Messages between two nodes: MessagePack, several messages in one frame. Pure.

The node that connects asks (`Asked`), the other answers (`Answered`). The asker numbers its calls, and an answer
repeats the call's number. A follow has a number too, and its events carry that number until it is over.

Nodes of two versions talk to each other while a cluster is upgraded. What one does not know costs the call and not the
connection: a message's tag and number come first in every version, and members are only added behind the others.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from realtime.observability.origin import NOWHERE, Origin
from realtime.service.forgotten import Forgotten
from realtime.service.list_pages import PageQuery
from realtime.service.principal import Principal
from realtime.service.remote import Attendance
from realtime.store.copied_log import State
from realtime.store.shelves import Place
from realtime.wire import codec
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.requests import ResponseCreate, StopKind, Truncation

T = TypeVar("T")

PATH = "/cluster/v1"
SUBPROTOCOL = "realtime.peer.v1"
NONCE_BYTES = 32


class _Message(msgspec.Struct, frozen=True, array_like=True):
    """Base class of all messages."""


# -- asked


class Hello(_Message, frozen=True, tag=0):
    """The connecting node's name and its proof that it has the secret, in answer to the challenge. `url`: the address
    to which it connected, as the other node advertises it.
    """

    node: str
    epoch: int
    nonce: bytes
    proof: bytes
    url: str = ""


class Stop(_Message, frozen=True, tag=1):
    """A call of Service.stop; with `cuts_late`, of Service.cancel_or_truncate."""

    number: int
    who: Principal
    response_id: str
    how: StopKind
    delivered: int | None
    through: int | None
    cuts_late: bool = False


class Truncate(_Message, frozen=True, tag=2):
    """A call of Service.truncate. `here`: the node must not ask another one."""

    number: int
    who: Principal
    response_id: str
    place: Truncation
    delivered: int | None
    here: bool = False


class Create(_Message, frozen=True, tag=3):
    """A call of Service.create. request: encoded by `encode_request`. given: a list of items as JSON."""

    number: int
    who: Principal
    request: bytes
    given: bytes
    native: bool
    origin: Origin = NOWHERE


class Follow(_Message, frozen=True, tag=4):
    """A request for a response's events from `start` on; None: all of them. `epoch`: the one of the events before
    `start`.
    """

    number: int
    who: Principal
    response_id: str
    start: int | None
    epoch: str | None
    how: Attendance


class Attend(_Message, frozen=True, tag=5):
    """A change of the readers of a followed response. Once there are none, the follow is over."""

    number: int
    how: Attendance
    detached: bool = False


class Settle(_Message, frozen=True, tag=6):
    """A call that is answered when a finished response is in the store. Refused while it runs."""

    number: int
    response_id: str


class Ask(_Message, frozen=True, tag=7):
    """An HTTP request, to be answered by `Answer`. path: with its query."""

    number: int
    who: Principal
    method: str
    path: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class Look(_Message, frozen=True, tag=8):
    """A hint that something was left for other nodes to adopt. It has no answer."""


class ListRunning(_Message, frozen=True, tag=9):
    """A call of Lists.running_here."""

    number: int
    who: Principal
    wanted: PageQuery
    after: Place | None


class FindPlace(_Message, frozen=True, tag=10):
    """A call of Lists.place_here."""

    number: int
    who: Principal
    response_id: str


class Forget(_Message, frozen=True, tag=11):
    """Forget a part of what the node has of a tenant, and say how much that was: nothing means that it has no more."""

    number: int
    tenant: str


Call = Stop | Truncate | Create | Follow | Settle | Ask | ListRunning | FindPlace | Forget  # what is answered
Asked = Hello | Stop | Truncate | Create | Follow | Attend | Settle | Ask | Look | ListRunning | FindPlace | Forget


# -- answered


class Challenge(_Message, frozen=True, tag=0):
    """The first message of all, from the node that was connected to."""

    node: str
    nonce: bytes


class Welcome(_Message, frozen=True, tag=1):
    """The proof that the node that was connected to has the secret, too."""

    proof: bytes


class Done(_Message, frozen=True, tag=2):
    """The answer to a call that was carried out. `response`: JSON, if there is one to return. `ended`:
    see CutResponse.
    """

    number: int
    response_id: str
    response: bytes = b""
    ended: bool = False


class Refused(_Message, frozen=True, tag=3):
    """The refusal of a call or a follow: a WireError. `rate_limits`, `item`: JSON."""

    number: int
    code: str
    message: str
    param: str | None = None
    retry_after: float | None = None
    response_id: str | None = None
    rate_limits: bytes = b"[]"
    item: bytes = b"null"


class Began(_Message, frozen=True, tag=4):
    """The acceptance of a follow. `response`: JSON, as it was last shown."""

    number: int
    state: State
    response: bytes


class Entries(_Message, frozen=True, tag=5):
    """Events of a followed response. `first` is the number of the first one."""

    number: int
    first: int
    entries: Sequence[bytes]


class Ended(_Message, frozen=True, tag=6):
    """The end of a follow whose response is not over. `too_slow`: the next events are gone from the log."""

    number: int
    too_slow: bool = False


class Answer(_Message, frozen=True, tag=7):
    """The answer to an HTTP request."""

    number: int
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class Listed(_Message, frozen=True, tag=8):
    """A part of a list, see PagePart: places, and responses as JSON; or only a place."""

    number: int
    places: tuple[Place, ...]
    responses: tuple[bytes, ...] = ()
    more: Place | None = None


class Forgot(_Message, frozen=True, tag=9):
    """The count of what a node has forgotten and committed."""

    number: int
    forgotten: Forgotten


Answered = Challenge | Welcome | Done | Refused | Began | Entries | Ended | Answer | Listed | Forgot


class Unknown(msgspec.Struct, frozen=True):
    """A message that a node of another version says, or one with a part that this version does not know. It is never
    sent. `number`: of its call or follow; None: it has none.
    """

    number: int | None


encode = msgspec.msgpack.Encoder().encode
_decode_asked = msgspec.msgpack.Decoder(list[Asked]).decode
_decode_answered = msgspec.msgpack.Decoder(list[Answered]).decode
_decode_one_asked: Callable[[msgspec.Raw], Asked] = msgspec.msgpack.Decoder(Asked).decode
_decode_one_answered: Callable[[msgspec.Raw], Answered] = msgspec.msgpack.Decoder(Answered).decode
_decode_each = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_decode_parts = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_decode_number = msgspec.msgpack.Decoder(int).decode
_encode_json = msgspec.json.Encoder().encode
_decode_request = msgspec.json.Decoder(ResponseCreate).decode
_UNDECODABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError, IndexError)
_CODES = {code.value.code: code for code in ErrorCode}


_KINDS: dict[type[_Message], str] = {
    Truncate: "truncate", Create: "create", Follow: "follow", Settle: "settle", Ask: "http", Forget: "forget",
    ListRunning: "list", FindPlace: "place",
}  # fmt: skip


class Garbage(Exception):
    """An error: the bytes received are none of these messages."""


def decode_asked(frame: bytes) -> list[Asked | Unknown]:
    """Return the messages of an asker's frame. Raises Garbage."""
    try:
        return [*_decode_asked(frame)]
    except _UNDECODABLE:
        return _one_by_one(frame, _decode_one_asked)


def decode_answered(frame: bytes) -> list[Answered | Unknown]:
    """Return the messages of an answering frame. Raises Garbage."""
    try:
        return [*_decode_answered(frame)]
    except _UNDECODABLE:
        return _one_by_one(frame, _decode_one_answered)


def _one_by_one(frame: bytes, decode: Callable[[msgspec.Raw], T]) -> list[T | Unknown]:
    """Return the messages of a frame with some that are not known. Raises Garbage."""
    try:
        return [_known_or_not(one, decode) for one in _decode_each(frame)]
    except _UNDECODABLE:
        raise Garbage from None


def _known_or_not(message: msgspec.Raw, decode: Callable[[msgspec.Raw], T]) -> T | Unknown:
    try:
        return decode(message)
    except _UNDECODABLE:
        parts = _decode_parts(message)
        _decode_number(parts[0])  # the tag
        with contextlib.suppress(*_UNDECODABLE):
            return Unknown(_decode_number(parts[1]))
        return Unknown(None)


def kind_of(asked: Asked) -> str:
    """Return what a call is for, in one word."""
    return asked.how if isinstance(asked, Stop) else _KINDS.get(type(asked), "other")


def encode_request(request: ResponseCreate) -> bytes:
    """Encode a create with everything that the codec made of it."""
    return _encode_json(msgspec.structs.replace(request, input=msgspec.Raw(b"null")))


def decode_request(data: bytes) -> ResponseCreate:
    """Decode a create, so that its digest is the same. Raises Garbage."""
    try:
        request = _decode_request(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Garbage from None
    request.input = msgspec.Raw()
    return request


def refused(number: int, error: WireError) -> Refused:
    """Return the answer that refuses a call."""
    return Refused(
        number, error.spec.code, error.message, error.param, error.retry_after, error.response_id,
        _encode_json(list(error.rate_limits)), codec.encode(error.item),
    )  # fmt: skip


def error_of(answer: Refused) -> WireError:
    """Return the error as the other node raised it."""
    error = WireError(
        _CODES.get(answer.code, ErrorCode.SERVER_ERROR),
        answer.message,
        param=answer.param,
        retry_after=answer.retry_after,
        response_id=answer.response_id,
    )
    error.rate_limits = [msgspec.Raw(one) for one in msgspec.json.decode(answer.rate_limits, type=list[msgspec.Raw])]
    error.item = msgspec.Raw(answer.item) if answer.item != b"null" else None
    return error
