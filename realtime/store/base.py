"""What the service needs of a store: three protocols for responses, conversations and ids of requests. Pure.

Writes are calls from the event loop that return at once and never block; a store that has to wait commits behind them.
Look-ups may wait, so they are coroutines; what they return may be out of date when it arrives, which is for the caller
to take care of. One that takes too long is cancelled: a claim that was given up so is released, and must not come into
being after that. What is written in one step of the loop, to any of the three, is committed together: a record, the
conversation that it was appended to and its `request_id` are there after a crash, or none is.

`memory` is the store that loses everything with its process, `sqlite` the one that does not, `cluster` the one that
several servers share. Times, `now` among them, are unix seconds. The service does not call `durable` yet.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

import msgspec

from realtime.context.turns import Turn
from realtime.engine.base import TokenChunk
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.items import InputItem, OutputItem

from .cluster.membership import Membership
from .conversations import Conversation
from .event_log import StoredLog
from .records import Filter, Head, Note, Record, Unfinished
from .shelves import Place, Span

RETRY_SECONDS = 5.0  # that who was refused is to wait


class ResponseStore(Protocol):
    """Responses by id: the journals of those that run, the records of those that are over."""

    def open(self, head: Head) -> None:
        """Begin the journal of a response."""

    def append(self, response_id: str, first: int, events: Sequence[bytes], chunk: TokenChunk | None = None) -> None:
        """Add events, of which `first` is the number of the first one, and what the engine gave that they were made of;
        ignore an id that is not open, because it was deleted.
        """

    def note(self, response_id: str, first: int, note: Note) -> None:
        """Add what it takes to go on, between the events before number `first` and those from there on; ignore an id as
        `append` does.
        """

    def durable(self, response_id: str) -> int:
        """Return the number below which all events of a running response are committed."""

    def seal(self, record: Record, log: StoredLog, now: float) -> None:
        """End the journal of a response and keep its record and log; others may be dropped to make room."""

    def replace(self, record: Record, now: float) -> None:
        """Keep a record in place of the one with its id, whose log stays as it is; nothing if there is none."""

    def sweep(self, now: float) -> float | None:
        """Drop the records that have expired. Return when the next one will; None: there is none."""

    def delete(self, response_id: str) -> None:
        """Forget a response, journal and record; ignore an unknown id."""

    async def get(self, response_id: str, now: float) -> Record | None:
        """Return the record, unless it is unknown, expired or was dropped."""

    async def read(self, response_id: str, now: float) -> StoredLog | None:
        """Return the log of a record, as far as it is kept."""

    async def find_item(self, owner: str, item_id: str, now: float) -> InputItem | None:
        """Return the item with this id in the newest of the owner's continuable records that has one."""

    async def list(self, filter: Filter, span: Span, now: float) -> tuple[Sequence[Record], Place | None]:
        """Return a part of the records that a filter lets through, by when they began, and how far it was looked: the
        place to go on behind, None if there are no more. There may be fewer than the limit: the work is bounded.
        """

    def recover(self) -> AsyncIterator[Unfinished]:
        """Yield what ran when the last process ended. To be called once, before anything is opened."""


class Claim(msgspec.Struct, frozen=True):
    """Which response the newest try of a request started. `digest` tells its body from others."""

    response_id: str
    digest: bytes


class RequestStore(Protocol):
    """Idempotent creates: which response a tenant's `request_id` stands for. A claim lives as long as its response."""

    async def find(self, tenant: str, request_id: str) -> Claim | None:
        """Return the claim of the newest try."""

    async def claim(self, tenant: str, request_id: str, claim: Claim, instead_of: Claim | None) -> Claim | None:
        """Claim the id, if nobody else has claimed it since `instead_of` was found; else return that claim."""

    def release(self, tenant: str, request_id: str, response_id: str) -> None:
        """Give a claim back whose response did not start."""

    def forget(self, response_id: str) -> None:
        """Drop the claim of a response that is gone."""


class ConversationStore(Protocol):
    """Conversations by owner and id. A conversation of another tenant does not exist."""

    def create(self, owner: str, metadata: dict[str, str], created_at: int) -> Conversation:
        """Make one, empty."""

    async def get(self, owner: str, conversation_id: str) -> Conversation:
        """Return a conversation and mark it as just used. Raises WireError."""

    def check_room(self, conversation: Conversation, num_items: int = 0) -> None:
        """Refuse to begin what would be appended to a conversation that is full. Raises WireError."""

    async def list(
        self, owner: str, metadata: Sequence[tuple[str, str]], span: Span
    ) -> tuple[Sequence[Conversation], Place | None]:
        """Return a part of the owner's conversations that have this metadata, and how far it was looked; see
        ResponseStore.list.
        """

    def post(
        self, conversation: Conversation, items: Sequence[InputItem], remembered: Sequence[InputItem], now: int
    ) -> Sequence[str]:
        """Append items that a client gives; returns their ids. Raises WireError when it is full."""

    def respond(
        self, conversation: Conversation, turn: Turn, started_from: Turn | None, output: Sequence[OutputItem], now: int
    ) -> None:
        """Append a response. Room was checked when it began: what it said is never lost."""

    def fork(self, conversation: Conversation, item_id: str | None, now: int) -> Conversation:
        """Make one that holds the items up to and with this one, None: all, and the metadata. Raises WireError."""

    def truncate(
        self, conversation: Conversation, turn: Turn, before: Sequence[OutputItem], output: Sequence[OutputItem]
    ) -> None:
        """Replace the answer of a response by what is left of it. Raises WireError if something follows it already."""

    def update(self, conversation: Conversation, metadata: dict[str, str]) -> None:
        """Replace the metadata."""

    def remove(self, conversation: Conversation, item_id: str) -> None:
        """Take one item out. Raises WireError."""

    def delete(self, conversation: Conversation) -> None:
        """Forget a conversation. What works on it goes on, and is not appended to it."""


def _no_trouble() -> str | None:
    return None


def _nothing() -> None:
    return None


class Batches(Protocol):
    """The batches in which a store commits what is written in one step of the loop, by numbers that grow."""

    @property
    def collecting(self) -> int:
        """The one that is being collected now."""

    @property
    def committed(self) -> int:
        """The newest that is committed."""

    @property
    def settled(self) -> bool:
        """Return whether everything is committed."""

    @property
    def on_commit(self) -> list[Callable[[], None]]:
        """To be called on the loop after each commit."""


class Stores(msgspec.Struct, frozen=True):
    """The three of one place, which commit together.

    `trouble` says why nothing can be written now, None: it can; what is written meanwhile waits in memory. `close`
    commits what is left; it blocks, and nothing may be called after it. `outlive`: the process.
    `batches`: what is committed together; None: everything is at once.
    `membership`: this node's in the cluster whose stores these are; None: there is no other node.
    """

    responses: ResponseStore
    conversations: ConversationStore
    requests: RequestStore
    trouble: Callable[[], str | None] = _no_trouble
    close: Callable[[], None] = _nothing
    outlive: bool = False
    batches: Batches | None = None
    membership: Membership | None = None

    def check_writable(self) -> None:
        """Refuse new work while nothing can be written. Raises WireError."""
        if self.trouble() is not None:
            raise store_unavailable()


def store_unavailable() -> WireError:
    """The refusal of what needs the store, while it can't be read or written."""
    text = "The server's store can't be used at the moment: try again later."
    return WireError(ErrorCode.STORE_UNAVAILABLE, text, retry_after=RETRY_SECONDS)
