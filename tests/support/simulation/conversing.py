"""What clients do with conversations over HTTP: put items in, take them out, list them, delete all of it."""

from __future__ import annotations

import random
from typing import Any

from tests.support.cluster_history import UNKNOWN, GivenItem

from .clients import Clients
from .node import SimulatedNode


class Conversing:
    """See the module."""

    def __init__(self, clients: Clients, rng: random.Random) -> None:
        self._clients = clients
        self._history = clients.history
        self._rng = rng

    async def put(self, node: SimulatedNode, conversation_id: str, texts: list[str]) -> None:
        """Put messages of the user into a conversation."""
        asked = self._clients.now
        items = [{"type": "message", "role": "user", "content": text} for text in texts]
        made = await self._clients.change(node, "POST", f"/v1/conversations/{conversation_id}/items", {"items": items})
        if made is not None:
            now = self._clients.now
            self._history.items += [GivenItem(conversation_id, one["id"], asked, now) for one in made["data"]]

    async def take_out(self, node: SimulatedNode) -> None:
        """Delete an item."""
        if not self._history.items:
            return
        item = self._rng.choice(self._history.items[-4:])
        item.deleted = item.deleted or UNKNOWN
        path = f"/v1/conversations/{item.conversation_id}/items/{item.item_id}"
        if await self._clients.change(node, "DELETE", path) is not None:
            item.deleted = self._clients.now

    async def page_through(self, node: SimulatedNode, conversation_id: str) -> None:
        """List the items, a few at a time: none comes twice."""
        ids: list[str] = []
        after = ""
        while True:
            path = f"/v1/conversations/{conversation_id}/items?order=asc&limit={self._rng.randint(1, 3)}{after}"
            page: dict[str, Any] | None = await self._clients.change(node, "GET", path)
            if page is None or not page["data"]:
                break
            ids += [item["id"] for item in page["data"]]
            after = f"&after={page['last_id']}"
            if not page["has_more"]:
                break
        if len(set(ids)) != len(ids):
            self._history.errors.append(f"{conversation_id} at {node.name} lists an item twice: {ids}")

    async def delete(self, node: SimulatedNode, conversation_id: str) -> None:
        """Delete a conversation; from when it is asked it may be gone."""
        self._history.unconversed.setdefault(conversation_id, UNKNOWN)
        if await self._clients.change(node, "DELETE", f"/v1/conversations/{conversation_id}") is not None:
            self._history.unconversed[conversation_id] = self._clients.now
