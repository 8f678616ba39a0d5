"""Resources that the server keeps: responses and conversations, over HTTP. `Client.responses` and
`Client.conversations`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

from . import wire
from .http import Http, pages
from .track import FinalResponse

_RUNNING = frozenset({"queued", "in_progress"})
_LONGEST_NAP_SECONDS = 2.0


class Responses:
    """The responses of this key."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def retrieve(self, response_id: str, *, include: Sequence[str] | None = None) -> FinalResponse:
        """Return a response as it stands. For a running one, `output` has what is written so far."""
        return FinalResponse(await self._http.get(["responses", response_id], {"include": include}))

    async def wait(self, response_id: str) -> FinalResponse:
        """Poll until it is over. For a caller that can't follow it: its events are gone, its cursor too old."""
        nap = 0.1
        while (response := await self.retrieve(response_id)).get("status") in _RUNNING:
            await asyncio.sleep(nap)
            nap = min(2 * nap, _LONGEST_NAP_SECONDS)
        return response

    async def delete(self, response_id: str) -> wire.ResponseDeleted:
        """Delete a response. A running one is cancelled."""
        return cast(wire.ResponseDeleted, await self._http.delete(["responses", response_id]))

    async def cancel(self, response_id: str) -> FinalResponse:
        """Cancel a response. Returns when the engine has aborted it."""
        return FinalResponse(await self._http.post(["responses", response_id, "cancel"]))

    async def truncate(self, response_id: str, **where: Any) -> FinalResponse:
        """Cut the answer for good: `through`, or `item_id`, `content_index` and `num_characters`."""
        return FinalResponse(await self._http.post(["responses", response_id, "truncate"], where))

    async def list(self, **query: Any) -> wire.ResponseList:
        """Return a page, newest first: `limit`, `after`, `order`, `status`, `conversation`, `metadata`."""
        page = await self._http.get(["responses"], {"limit": 20, **query})  # without a query it is the socket's path
        return cast(wire.ResponseList, page)

    def all(self, **query: Any) -> AsyncIterator[wire.ListedResponse]:
        """Yield all of them, fetched as they are read."""
        return pages(lambda page: self.list(**page), query)

    async def input_items(self, response_id: str, **query: Any) -> wire.ItemList:
        """Return a page of the request's own input items."""
        return cast(wire.ItemList, await self._http.get(["responses", response_id, "input_items"], query))

    async def count_input_tokens(self, **body: Any) -> int:
        """Return the number of tokens that the model would be given."""
        counted: wire.InputTokens = await self._http.post(["responses", "input_tokens"], body)
        return counted["input_tokens"]

    async def compact(self, **body: Any) -> wire.CompactedResponse:
        """Make a history shorter: the output is the input of a new chain."""
        return cast(wire.CompactedResponse, await self._http.post(["responses", "compact"], body))

    async def create_ticket(self, response_id: str, **body: Any) -> wire.Ticket:
        """Create a ticket, with which somebody can follow this response without a key."""
        return cast(wire.Ticket, await self._http.post(["responses", response_id, "tickets"], body))


class Conversations:
    """The conversations of this key."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def create(self, **body: Any) -> wire.ConversationObject:
        """Create a conversation: `items` (up to 20), `metadata`."""
        return cast(wire.ConversationObject, await self._http.post(["conversations"], body))

    async def retrieve(self, conversation_id: str) -> wire.ConversationObject:
        """Return a conversation, and what runs in it now."""
        return cast(wire.ConversationObject, await self._http.get(["conversations", conversation_id]))

    async def update(self, conversation_id: str, *, metadata: dict[str, str]) -> wire.ConversationObject:
        """Replace its metadata."""
        body = {"metadata": metadata}
        return cast(wire.ConversationObject, await self._http.post(["conversations", conversation_id], body))

    async def delete(self, conversation_id: str) -> wire.ConversationDeleted:
        """Delete a conversation. Its responses stay as they are."""
        return cast(wire.ConversationDeleted, await self._http.delete(["conversations", conversation_id]))

    async def fork(self, conversation_id: str, **body: Any) -> wire.ConversationObject:
        """Create a conversation with this one's items, up to and including `item_id`."""
        return cast(wire.ConversationObject, await self._http.post(["conversations", conversation_id, "fork"], body))

    async def list(self, **query: Any) -> wire.ConversationList:
        """Return a page, newest first: `limit`, `after`, `order`, `metadata`."""
        return cast(wire.ConversationList, await self._http.get(["conversations"], query))

    def all(self, **query: Any) -> AsyncIterator[wire.ConversationObject]:
        """Yield all of them, fetched as they are read."""
        return pages(lambda page: self.list(**page), query)

    async def items(self, conversation_id: str, **query: Any) -> wire.ConversationItems:
        """Return a page of its items."""
        return cast(wire.ConversationItems, await self._http.get(["conversations", conversation_id, "items"], query))

    def all_items(self, conversation_id: str, **query: Any) -> AsyncIterator[Any]:
        """Yield all of its items, fetched as they are read."""
        return pages(lambda page: self.items(conversation_id, **page), query)

    async def add_items(self, conversation_id: str, items: Sequence[dict[str, Any]]) -> wire.ConversationItems:
        """Append items that no response wrote."""
        body = {"items": list(items)}
        return cast(wire.ConversationItems, await self._http.post(["conversations", conversation_id, "items"], body))

    async def delete_item(self, conversation_id: str, item_id: str) -> wire.ConversationObject:
        """Remove one item."""
        gone = await self._http.delete(["conversations", conversation_id, "items", item_id])
        return cast(wire.ConversationObject, gone)
