"""What two nodes say to each other: MessagePack, several messages in one frame. Pure.

Whoever connects asks (`Asked`), the other answers (`Answered`). A call has a number of its asker's, which its answer
repeats; a follow has one too, and events under it until it is over.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from realtime.observability.origin import NOWHERE, Origin
from realtime.service.listings import Wanted
from realtime.service.principal import Principal
from realtime.service.remote import Attendance
from realtime.store.copied_log import State
from realtime.store.shelves import Place
from realtime.wire import codec
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.requests import ResponseCreate, StopKind, Truncation

PATH = "/cluster/v1"
SUBPROTOCOL = "realtime.peer.v1"
NONCE_BYTES = 32
PROOF_BYTES = 32


class _Message(msgspec.Struct, frozen=True, array_like=True):
    """Base of all."""


# -- asked


class Hello(_Message, frozen=True, tag=0):
    """Who connects, and that it has the secret; in answer to the challenge."""

    node: str
    epoch: int
    nonce: bytes
    proof: bytes


class Stop(_Message, frozen=True, tag=1):
    """See Service.stop; with `cuts_late` Service.cancel_or_truncate."""

    number: int
    who: Principal
    response_id: str
    how: StopKind
    delivered: int | None
    through: int | None
    cuts_late: bool = False


class Truncate(_Message, frozen=True, tag=2):
    """See Service.truncate. `here`: no other node is to be asked."""

    number: int
    who: Principal
    response_id: str
    place: Truncation
    delivered: int | None
    here: bool = False


class Create(_Message, frozen=True, tag=3):
    """See Service.create. request: as `encode_request` makes it; given: JSON, a list of items."""

    number: int
    who: Principal
    request: bytes
    given: bytes
    native: bool
    origin: Origin = NOWHERE


class Follow(_Message, frozen=True, tag=4):
    """Send the events of a response from `start` on, None: all that there are. `epoch`: in which those before it were
    read.
    """

    number: int
    who: Principal
    response_id: str
    start: int | None
    epoch: str | None
    how: Attendance


class Attend(_Message, frozen=True, tag=5):
    """Other readers of what is followed than before, or none any more: then the follow is over."""

    number: int
    how: Attendance
    detached: bool = False


class Settle(_Message, frozen=True, tag=6):
    """Answer when what is over of a response is in the store. Refused while it runs."""

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
    """Something was left for the others: look for it now. Nobody answers."""


class ListRunning(_Message, frozen=True, tag=9):
    """See Lists.running_here."""

    number: int
    who: Principal
    wanted: Wanted
    after: Place | None


class FindPlace(_Message, frozen=True, tag=10):
    """See Lists.place_here."""

    number: int
    who: Principal
    response_id: str


Asked = Hello | Stop | Truncate | Create | Follow | Attend | Settle | Ask | Look | ListRunning | FindPlace


# -- answered


class Challenge(_Message, frozen=True, tag=0):
    """The first message of all, from the node that was connected to."""

    node: str
    nonce: bytes


class Welcome(_Message, frozen=True, tag=1):
    """The proof that it has the secret, too."""

    proof: bytes


class Done(_Message, frozen=True, tag=2):
    """A call was obeyed. `response`: JSON, if there is one to tell. `ended`: see CutResponse."""

    number: int
    response_id: str
    response: bytes = b""
    ended: bool = False


class Refused(_Message, frozen=True, tag=3):
    """A call, or a follow, was refused: a WireError. `rate_limits`, `item`: JSON."""

    number: int
    code: str
    message: str
    param: str | None = None
    retry_after: float | None = None
    response_id: str | None = None
    rate_limits: bytes = b"[]"
    item: bytes = b"null"


class Began(_Message, frozen=True, tag=4):
    """A follow was taken. `response`: JSON, as it was last shown."""

    number: int
    state: State
    response: bytes


class Entries(_Message, frozen=True, tag=5):
    """Events of what is followed; `first` is the number of the first one."""

    number: int
    first: int
    entries: Sequence[bytes]


class Ended(_Message, frozen=True, tag=6):
    """No more events come here, and the response is not over. `too_slow`: those that were to come are gone."""

    number: int
    too_slow: bool = False


class Answer(_Message, frozen=True, tag=7):
    """Of an HTTP request."""

    number: int
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class Listed(_Message, frozen=True, tag=8):
    """A part of a list, see Listing: places, and responses as JSON; or only a place."""

    number: int
    places: tuple[Place, ...]
    responses: tuple[bytes, ...] = ()
    more: Place | None = None


Answered = Challenge | Welcome | Done | Refused | Began | Entries | Ended | Answer | Listed

encode = msgspec.msgpack.Encoder().encode
_decode_asked = msgspec.msgpack.Decoder(list[Asked]).decode
_decode_answered = msgspec.msgpack.Decoder(list[Answered]).decode
_encode_json = msgspec.json.Encoder().encode
_decode_request = msgspec.json.Decoder(ResponseCreate).decode
_CODES = {code.value.code: code for code in ErrorCode}


class Garbage(Exception):
    """What came is none of these messages."""


def decode_asked(frame: bytes) -> list[Asked]:
    """Return what a frame asks. Raises Garbage."""
    try:
        return _decode_asked(frame)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Garbage from None


def decode_answered(frame: bytes) -> list[Answered]:
    """Return what a frame answers. Raises Garbage."""
    try:
        return _decode_answered(frame)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Garbage from None


def encode_request(request: ResponseCreate) -> bytes:
    """Return a create with all that the codec has made of it."""
    return _encode_json(msgspec.structs.replace(request, input=msgspec.Raw(b"null")))


def decode_request(data: bytes) -> ResponseCreate:
    """Return the create, the same to its digest. Raises Garbage."""
    try:
        request = _decode_request(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Garbage from None
    request.input = msgspec.Raw()
    return request


def refused(number: int, error: WireError) -> Refused:
    """Return the answer to a call that was refused."""
    return Refused(
        number, error.spec.code, error.message, error.param, error.retry_after, error.response_id,
        _encode_json(list(error.rate_limits)), codec.encode(error.item),
    )  # fmt: skip


def error_of(answer: Refused) -> WireError:
    """Return the error as it was raised there."""
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
