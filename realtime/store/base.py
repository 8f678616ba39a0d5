"""The interface of a store: three protocols for responses, conversations and ids of requests. Pure.

Writes are calls from the event loop that return at once and never block; a store that has to wait commits in the
background. Look-ups may wait, so they are coroutines; the caller must expect that a result is out of date when it
arrives. A look-up that takes too long is cancelled: a claim that was given up in this way is released, and must not
come into being afterwards. All writes in one step of the loop, to any of the three, are committed together: after a
crash either a record, the conversation that it was appended to and its `request_id` are all there, or none is.

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
    """Responses by id: the journals of running ones, the records of finished ones."""

    @property
    def has_journals(self) -> bool:
        """Return whether anything is kept of what is appended: else an event need not be."""

    def open(self, head: Head) -> None:
        """Begin the journal of a response."""

    def append(self, response_id: str, first: int, events: Sequence[bytes], chunk: TokenChunk | None = None) -> None:
        """Add events and the engine's chunks that they were made of. `first`: the number of the first event. Ignores an
        id that is not open, because it was deleted.
        """

    def note(self, response_id: str, first: int, note: Note) -> None:
        """Add what is needed to continue, between the events before number `first` and those from there on. Ignores an
        id as `append` does.
        """

    def durable(self, response_id: str) -> int:
        """Return the number below which all events of a running response are committed."""

    def is_pending(self, response_id: str) -> bool:
        """Return whether there is a record that is not committed as it is."""

    def seal(self, record: Record, log: StoredLog, now: float) -> None:
        """End the journal of a response and keep its record and log. Other records may be dropped to make room."""

    def replace(self, record: Record, now: float) -> None:
        """Replace the record with the same id, whose log stays as it is. Does nothing if there is none."""

    def sweep(self, now: float) -> float | None:
        """Drop the records that have expired. Return when the next one expires; None: there is none."""

    def delete(self, response_id: str) -> None:
        """Forget a response, journal and record. Ignores an unknown id."""

    async def get(self, response_id: str, now: float) -> Record | None:
        """Return the record, unless it is unknown, expired or was dropped."""

    async def read(self, response_id: str, now: float) -> StoredLog | None:
        """Return the log of a record, as far as it is kept."""

    async def find_item(self, owner: str, item_id: str, now: float) -> InputItem | None:
        """Return the item with this id in the newest of the owner's continuable records that has one."""

    async def list(self, filter: Filter, span: Span, now: float) -> tuple[Sequence[Record], Place | None]:
        """Return a page of the records that match a filter, in order of their beginnings, and how far the search went:
        the place to continue after; None if there are no more. There may be fewer than the limit, because the work is
        bounded.
        """

    def recover(self) -> AsyncIterator[Unfinished]:
        """Yield the responses that ran when the last process ended. Call it once, before anything is opened."""


class Claim(msgspec.Struct, frozen=True):
    """The response that the newest attempt at a request started. `digest` identifies the request's body."""

    response_id: str
    digest: bytes


class RequestStore(Protocol):
    """Idempotent creates: the response for which a tenant's `request_id` stands. A claim lives as long as
    its response.
    """

    async def find(self, tenant: str, request_id: str) -> Claim | None:
        """Return the claim of the newest attempt."""

    async def claim(self, tenant: str, request_id: str, claim: Claim, instead_of: Claim | None) -> Claim | None:
        """Claim the id, unless it was claimed since `instead_of` was found; in that case return the other claim."""

    def release(self, tenant: str, request_id: str, response_id: str) -> None:
        """Release a claim whose response did not start."""

    def forget(self, response_id: str) -> None:
        """Drop the claim of a response that is gone."""


class ConversationStore(Protocol):
    """Conversations by owner and id. A conversation of another tenant does not exist."""

    def create(self, owner: str, metadata: dict[str, str], created_at: int) -> Conversation:
        """Create an empty conversation."""

    async def get(self, owner: str, conversation_id: str) -> Conversation:
        """Return a conversation and mark it as just used. Raises WireError."""

    def check_room(self, conversation: Conversation, num_items: int = 0) -> None:
        """Refuse to begin a response whose items would be appended to a full conversation. Raises WireError."""

    async def list(
        self, owner: str, metadata: Sequence[tuple[str, str]], span: Span
    ) -> tuple[Sequence[Conversation], Place | None]:
        """Return a page of the owner's conversations with this metadata, and how far the search went; see
        ResponseStore.list.
        """

    def post(
        self, conversation: Conversation, items: Sequence[InputItem], remembered: Sequence[InputItem], now: int
    ) -> Sequence[str]:
        """Append a client's items, and return their ids. Raises WireError when the conversation is full."""

    def respond(
        self, conversation: Conversation, turn: Turn, started_from: Turn | None, output: Sequence[OutputItem], now: int
    ) -> None:
        """Append a response. Room was checked when it began, so its output is never lost."""

    def fork(self, conversation: Conversation, item_id: str | None, now: int) -> Conversation:
        """Create a conversation with the items up to and including this one, None: all, and with the metadata. Raises
        WireError.
        """

    def truncate(
        self, conversation: Conversation, turn: Turn, before: Sequence[OutputItem], output: Sequence[OutputItem]
    ) -> None:
        """Replace the answer of a response by what is left of it. Raises WireError if something follows it already."""

    def update(self, conversation: Conversation, metadata: dict[str, str]) -> None:
        """Replace the metadata."""

    def remove(self, conversation: Conversation, item_id: str) -> None:
        """Remove one item. Raises WireError."""

    def delete(self, conversation: Conversation) -> None:
        """Forget a conversation. Responses that work on it continue, and are not appended to it."""


def _no_trouble() -> str | None:
    return None


def _nothing() -> None:
    return None


class Batches(Protocol):
    """The batches in which a store commits the writes of one step of the loop, by ascending numbers."""

    @property
    def collecting(self) -> int:
        """The number of the batch that is being collected now."""

    @property
    def committed(self) -> int:
        """The number of the newest committed batch."""

    @property
    def given_up(self) -> int:
        """Return how often uncommitted writes were given up: they never will be committed."""

    @property
    def settled(self) -> bool:
        """Return whether everything is committed."""

    def hurry(self) -> None:
        """Have what is collected committed soon, because somebody waits for it."""

    @property
    def on_commit(self) -> list[Callable[[], None]]:
        """A callback, called on the loop after each commit, and when what is not committed is given up."""


class Stores(msgspec.Struct, frozen=True):
    """The three stores of one place, which commit together.

    `trouble` says why nothing can be written now; None: writing works. Meanwhile writes wait in memory. `close` commits
    what is left; it blocks, and nothing may be called after it. `outlive`: they outlive the process. `batches`: the
    batches of commits; None: everything is committed at once. `membership`: this node's, in the cluster whose stores
    these are; None: there is no other node.
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
    """Return the refusal of a request that needs the store, while the store can't be read or written."""
    text = "The server's store can't be used at the moment: try again later."
    return WireError(ErrorCode.STORE_UNAVAILABLE, text, retry_after=RETRY_SECONDS)
