"""A `Reader` of the file: each look-up runs on a reader's thread."""

from __future__ import annotations

from collections.abc import Sequence

from realtime.store.base import Claim
from realtime.store.conversations import Conversation
from realtime.store.event_log import StoredLog
from realtime.store.packed.past import ReadHead
from realtime.store.packed.reader import Reader, ReadRecord
from realtime.store.records import Filter, Record
from realtime.store.shelves import Place, Span
from realtime.wire.items import InputItem

from .readers import Look
from .reading import Reading


class FileReader(Reader):
    """A `Reader` of the file."""

    def __init__(self, look: Look, reading: Reading) -> None:
        self._look = look
        self._reading = reading

    async def record(self, response_id: str) -> ReadRecord | None:
        """See Reader."""
        return await self._look(self._reading.record, response_id)

    async def log(self, response_id: str) -> StoredLog | None:
        """See Reader."""
        return await self._look(self._reading.log, response_id)

    async def item(self, owner: str, item_id: str, now: float, hidden: frozenset[str]) -> InputItem | None:
        """See Reader."""
        return await self._look(self._reading.item, owner, item_id, now, hidden)

    async def page(
        self, filter: Filter, span: Span, now: float, hidden: frozenset[str]
    ) -> tuple[list[Record], Place | None]:
        """See Reader."""
        return await self._look(self._reading.page, filter, span, now, hidden)

    async def unfinished(self) -> Sequence[ReadHead]:
        """See Reader."""
        return await self._look(self._reading.unfinished)

    async def claim(self, tenant: str, request_id: str) -> Claim | None:
        """See Reader."""
        return await self._look(self._reading.claim, tenant, request_id)

    async def conversation(self, conversation_id: str) -> Conversation | None:
        """See Reader."""
        return await self._look(self._reading.conversation, conversation_id)

    async def conversation_page(
        self, owner: str, metadata: Sequence[tuple[str, str]], span: Span
    ) -> tuple[list[Conversation], Place | None]:
        """See Reader."""
        return await self._look(self._reading.conversation_page, owner, metadata, span)
