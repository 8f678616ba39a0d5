"""Bounds of a store that outlives the process, and the time for which it collects writes. Pure."""

from __future__ import annotations

import msgspec

from realtime.settings.fields import GIB, ResponseSettings, StoreSettings

MAX_BYTES = 10 * GIB  # of all responses, where the settings do not say
SOON_MS = 2.0  # for which writes are collected at most while somebody waits for them


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of a store. `max_bytes`: of all responses; `max_conversations_bytes`: of all conversations. `vocabulary`:
    names the tokenizer; tokens that were written under another name are not used again.
    """

    max_bytes: int
    max_conversations_bytes: int
    max_conversation_bytes: int
    max_items: int
    vocabulary: str = ""


def bounds_of(settings: ResponseSettings, vocabulary: str = "") -> Bounds:
    """Return the bounds that the settings ask for."""
    return Bounds(
        max_bytes=MAX_BYTES if settings.max_store_bytes is None else settings.max_store_bytes,
        max_conversations_bytes=settings.max_conversation_store_bytes,
        max_conversation_bytes=settings.max_conversation_bytes,
        max_items=settings.max_conversation_items,
        vocabulary=vocabulary,
    )


def flush_ms(store: StoreSettings) -> float:
    """Return the milliseconds for which writes are collected: few if readers always wait for the commit."""
    return min(store.store_flush_ms, SOON_MS) if store.deliver == "after_commit" else store.store_flush_ms
