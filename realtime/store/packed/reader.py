"""The interface for reading what is stored, as the event loop's side needs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from realtime.store.base import Claim
from realtime.store.conversations import Conversation
from realtime.store.event_log import StoredLog
from realtime.store.records import Filter, Record
from realtime.store.shelves import Place, Span
from realtime.wire.items import InputItem

from .past import ReadHead

StepCall = Callable[..., Any]
"""A step that a batch may have; what commits it calls it with its arguments."""


class ReadRecord(msgspec.Struct, frozen=True):
    """A record, and the approximate memory that it takes together with all that it continues."""

    record: Record
    num_bytes: int


class Reader(Protocol):
    """Look-ups, each a consistent view. They raise WireError when nothing can be read."""

    async def record(self, response_id: str) -> ReadRecord | None:
        """Return a record with its turn."""

    async def log(self, response_id: str) -> StoredLog | None:
        """Return the log of a record."""

    async def item(self, owner: str, item_id: str, now: float, hidden: frozenset[str]) -> InputItem | None:
        """Return the item with this id from the newest of the owner's records that has it, apart from hidden
        records.
        """

    async def page(
        self, filter: Filter, span: Span, now: float, hidden: frozenset[str]
    ) -> tuple[list[Record], Place | None]:
        """Return a page of records, without their turns and without the hidden ones. See ResponseStore."""

    async def unfinished(self) -> Sequence[ReadHead]:
        """Return the responses that ran when the last process ended, oldest first. From now on this one writes them."""

    async def claim(self, tenant: str, request_id: str) -> Claim | None:
        """Return the claim of the newest attempt."""

    async def conversation(self, conversation_id: str) -> Conversation | None:
        """Return a conversation with all its items, which only this process writes from now on."""

    async def conversation_page(
        self, owner: str, metadata: Sequence[tuple[str, str]], span: Span
    ) -> tuple[list[Conversation], Place | None]:
        """Return a page of conversations without their items. See ConversationStore."""


class ResponseSteps(Protocol):
    """The steps of responses, see `sqlite/response_rows.py`."""

    @property
    def open(self) -> StepCall: ...
    @property
    def continues(self) -> StepCall: ...
    @property
    def seal(self) -> StepCall: ...
    @property
    def replace(self) -> StepCall: ...
    @property
    def drop(self) -> StepCall: ...
    @property
    def delete(self) -> StepCall: ...
    @property
    def expire(self) -> StepCall: ...


class ConversationSteps(Protocol):
    """The steps of conversations, see `sqlite/conversation_rows.py`."""

    @property
    def save(self) -> StepCall: ...
    @property
    def use(self) -> StepCall: ...
    @property
    def delete(self) -> StepCall: ...
    @property
    def make_room(self) -> StepCall: ...
