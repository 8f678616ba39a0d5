"""Records: what is kept of a response, as plain values, and a reader's view of one that runs or is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol
from zlib import crc32

import msgspec

from realtime.context.turns import Prompt, Turn
from realtime.engine.base import TokenChunk
from realtime.engine.pictures import image_parts
from realtime.wire.items import InputItem, OutputItem, id_of
from realtime.wire.requests import OnDisconnect, ResponseCreate
from realtime.wire.response import Response

from .event_log import Log
from .shelves import Place

MAX_ITEM_ID = 256  # characters; ids on input are the client's
_ITEM_BYTES = 200  # about what an item costs beside its text


class AnyResponse(Protocol):
    """A response that exists: it runs, or it is kept."""

    @property
    def response_id(self) -> str: ...
    @property
    def over(self) -> bool:
        """Return whether its terminal event is in its log."""

    @property
    def turn(self) -> Turn | None:
        """Return the turn that a next response continues; None until the response is over, and when it failed."""

    @property
    def response(self) -> Response:
        """Its state as of the newest event that shows one."""

    @property
    def output(self) -> list[OutputItem]:
        """The finished items."""

    @property
    def input(self) -> tuple[InputItem, ...]:
        """Return the request's own input items."""


class Source(AnyResponse, Protocol):
    """A response that can be read: a running one, or a kept one with its log."""

    @property
    def log(self) -> Log: ...


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The facts about a response before its first event: enough to find it again, and to start it again.

    `stored`: false for `store: false`; then a store that outlives the process keeps nothing of its contents.
    `begun_at`: as in its record. `on_disconnect`: the policy in force; None: the journal is an older server's and does
    not say. `lacks_secrets`: its request had credentials for MCP servers, which are not stored.
    """

    response_id: str
    owner: str  # the tenant
    epoch: str
    stream_id: str | None
    request: ResponseCreate  # as the model is to see it
    stored: bool = True
    begun_at: int = 0
    on_disconnect: OnDisconnect | None = None
    lacks_secrets: bool = False


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """A generation that was submitted to the engine: what is needed to continue it when that engine is gone.

    number: counts from 1. parent: the turn that the response continues. seed: the one that it has, whoever set it.
    fingerprint: of the engine, see Loaded. freed: only the required constraints on tools apply. prompt: None in a
    journal that does not store it, such as one with images; then it is rendered again, and `digest` tells whether it is
    the same.
    """

    number: int
    prompt: Prompt | None
    digest: int = 0
    parent: Turn | None = None
    seed: int | None = None
    fingerprint: str = ""
    freed: bool = False


def digest_of(prompt: Prompt) -> int:
    """Return a digest of a prompt: its tokens and the order of its images."""
    digest = crc32(memoryview(prompt.token_ids))
    for picture in prompt.pictures:
        digest = crc32(picture.digest.encode(), digest)
    return digest


class GoesOn(msgspec.Struct, frozen=True, kw_only=True):
    """A note that a response continues after its process or its engine has ended. attempts: how often it was begun or
    continued without coming to a planned end, this time included. epoch: of the log from here on. left: it is left to
    the next process, which is a planned end. lonely: it would have been cancelled there if nobody had come. detached:
    its last follower wants it to go on.
    """

    attempts: int
    epoch: str
    left: bool = False
    lonely: bool = False
    detached: bool = False


Note = Begun | GoesOn


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A finished response without the bytes of its log, so that looking at it does not read them.

    `turn` is None when it failed; `continuable` is false for `store: false`. `begun_at`: when it began, in unix
    nanoseconds, made unique so that lists have one order.
    """

    owner: str  # the tenant
    response: Response
    epoch: str
    turn: Turn | None
    continuable: bool
    expires_at: float  # unix seconds
    begun_at: int = 0
    input: tuple[InputItem, ...] = ()  # what its request brought, also when it failed
    over: bool = True

    @property
    def response_id(self) -> str:
        return self.response.id

    @property
    def place(self) -> Place:
        """Return its place in lists."""
        return Place(self.begun_at, self.response.id)

    @property
    def num_bytes(self) -> int:
        """The approximate size, without what its log holds too. A turn has the same input."""
        turn = self.turn if self.turn is not None else Turn(self.response_id, None, self.input, ())
        return turn.num_bytes + _num_item_bytes(self.input) + len(self.response.instructions or "")

    @property
    def output(self) -> list[OutputItem]:
        """See AnyResponse."""
        return self.response.output


def _num_item_bytes(items: Sequence[InputItem]) -> int:
    """Return the approximate size of items, without images, which their turn counts."""
    if not items:
        return 0
    images = sum(len(part.image_url or "") for _, part in image_parts(items))
    return _ITEM_BYTES * len(items) + len(msgspec.json.encode(items)) - images


def item_ids(record: Record) -> Iterator[tuple[int, str]]:
    """Yield the places of its items and the ids by which they can be referred to: only for a response that may be
    continued.
    """
    if record.turn is None or not record.continuable:
        return
    for index, item in enumerate(record.turn.own_items()):
        item_id = id_of(item)
        if item_id is not None and len(item_id) <= MAX_ITEM_ID:
            yield index, item_id


class Unfinished(msgspec.Struct, frozen=True):
    """A response that had no terminal event when its process ended: its head, events and generations so far.

    `tip`: the number of events; if it was not to be stored, none of them are here. `attempts`: see GoesOn. `epoch`: of
    the log; `earlier`: those before it, each with the number at which it ended. `left`, `lonely`, `detached`: see
    GoesOn. `damaged`: there was more, which can't be read.
    """

    head: Head
    events: Sequence[bytes]
    tip: int
    generations: Sequence[PastGeneration] = ()
    attempts: int = 1
    epoch: str = ""
    earlier: Mapping[str, int] = {}
    left: bool = False
    lonely: bool = False
    detached: bool = False
    damaged: bool = False


class PastGeneration(msgspec.Struct):
    """A generation from a journal: the request, and the recorded output."""

    begun: Begun
    chunks: list[TokenChunk]


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """The filter of a list: records of `owner` that are continuable and have all the values that are not None."""

    owner: str
    conversation: str | None = None
    status: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()

    def matches(self, record: Record) -> bool:
        """Return whether a record belongs in the list."""
        return record.owner == self.owner and record.continuable and self.shows(record.response)

    def shows(self, response: Response) -> bool:
        """Return whether a response has all the values."""
        return (
            self.conversation in (None, conversation_of(response))
            and self.status in (None, response.status)
            and all(response.metadata.get(name) == value for name, value in self.metadata)
        )


def conversation_of(response: Response) -> str | None:
    """Return the id of the conversation that a response belongs to."""
    return response.conversation.id if response.conversation else None


class Replay(msgspec.Struct, frozen=True):
    """A kept response with its log, to be read like one that runs. A `Source`."""

    record: Record
    log: Log
    over: bool = True

    @property
    def response_id(self) -> str:
        return self.record.response_id

    @property
    def turn(self) -> Turn | None:
        return self.record.turn

    @property
    def response(self) -> Response:
        return self.record.response

    @property
    def output(self) -> list[OutputItem]:
        return self.record.output

    @property
    def input(self) -> tuple[InputItem, ...]:
        return self.record.input
