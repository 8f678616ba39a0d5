"""The three stores of one process. Pure."""

from __future__ import annotations

from realtime.settings.fields import GIB, ResponseSettings
from realtime.store.base import Stores
from realtime.wire.ids import new_id

from .conversations import MemoryConversations
from .requests import MemoryRequests
from .responses import MemoryResponses

MAX_BYTES = GIB  # of all responses, where the settings do not say


def memory_stores(settings: ResponseSettings) -> Stores:
    """Make the three stores of one process."""
    requests = MemoryRequests()
    conversations = MemoryConversations(
        max_bytes=settings.max_conversation_store_bytes,
        max_conversation_bytes=settings.max_conversation_bytes,
        max_items=settings.max_conversation_items,
        new_id=new_id,
    )
    max_bytes = MAX_BYTES if settings.max_store_bytes is None else settings.max_store_bytes
    return Stores(MemoryResponses(max_bytes=max_bytes, on_gone=requests.forget), conversations, requests)
