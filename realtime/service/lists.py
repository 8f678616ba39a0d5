"""Lists of a tenant's responses (running and stored) and of its conversations, in pages.

Both lists are in the order of creation, which never changes. An entry that begins or ends between two pages is
therefore neither shown twice nor does it hide another. The work for a page is bounded: when too many entries would have
to be examined, the page says where to go on, and holds fewer entries than were asked for, or none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal

import msgspec

from realtime.store.base import Stores
from realtime.store.records import Filter
from realtime.store.shelves import Place, Span
from realtime.wire import codec
from realtime.wire.bodies import ConversationList, ConversationObject, ResponseList, listed
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.response import Response

from .principal import Principal
from .registry import Registry

MAX_PAGE_BYTES = 1 << 20  # of JSON, about: what is listed has schemas of clients in it


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The query of a page: at most `limit` entries with these values, behind the one with the id `after`."""

    conversation: str | None = None
    status: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    after: str | None = None
    limit: int = 20
    order: Literal["asc", "desc"] = "desc"


class Lists:
    """The lists of responses and conversations. Methods raise WireError."""

    def __init__(
        self, registry: Registry, stores: Stores, bound: Callable[[], AbstractAsyncContextManager[None]]
    ) -> None:
        """bound: bounds the time of look-ups; see Patience."""
        self._registry = registry
        self._stores = stores
        self._bound = bound

    async def responses(self, principal: Principal, wanted: Wanted) -> ResponseList:
        """Return a page of responses: running ones, and finished ones that were to be stored."""
        principal.check_owner()
        tenant = principal.tenant
        filter = Filter(owner=tenant, conversation=wanted.conversation, status=wanted.status, metadata=wanted.metadata)
        async with self._bound():
            span = _span(wanted, await self._place_of_response(tenant, wanted.after))
            runs = self._registry.running_of(tenant)  # before the look-up: what ends meanwhile is in one of both
            records, more = await self._stores.responses.list(filter, span, time.time())
        found: dict[Place, Response] = {}
        for run in runs:
            place = Place(run.begun_at, run.response_id)
            if span.holds(place) and filter.shows(run.response) and (run.response.store or not run.over):
                found[place] = run.response
        deleted = self._registry.deleted  # or cut while we were looking
        there = {place: listed(one) for place, one in found.items() if place.id not in deleted}
        kept = (self._registry.current_record(one) for one in records if one.response_id not in deleted)
        there |= {record.place: listed(record.response) for record in kept}
        return ResponseList(**_page(there, wanted, more))

    async def conversations(self, principal: Principal, wanted: Wanted) -> ConversationList:
        """Return a page of conversations."""
        principal.check_owner()
        store = self._stores.conversations
        async with self._bound():
            span = _span(wanted, await self._place_of_conversation(principal.tenant, wanted.after))
            found, more = await store.list(principal.tenant, wanted.metadata, span)
        there = {
            one.place: ConversationObject(id=one.id, created_at=one.created_at, metadata=one.metadata)
            for one in found
            if not one.deleted
        }
        return ConversationList(**_page(there, wanted, more))

    async def _place_of_response(self, tenant: str, response_id: str | None) -> Place | None:
        if response_id is None:
            return None
        try:
            found = await self._registry.find(tenant, response_id, time.time())
        except WireError:
            raise _nothing_to_follow(response_id, "response") from None
        return Place(found.begun_at, response_id)

    async def _place_of_conversation(self, tenant: str, conversation_id: str | None) -> Place | None:
        if conversation_id is None:
            return None
        try:
            return (await self._stores.conversations.get(tenant, conversation_id)).place
        except WireError:
            raise _nothing_to_follow(conversation_id, "conversation") from None


def _span(wanted: Wanted, after: Place | None) -> Span:
    """Ask for one entry more than fits on the page, to know whether there is another page."""
    return Span(after=after, limit=wanted.limit + 1, newest_first=wanted.order == "desc")


def _page(found: Mapping[Place, Any], wanted: Wanted, more: Place | None) -> dict[str, Any]:
    """Return the members of a list object. `more`: where the search stopped, if entries may follow."""
    newest_first = wanted.order == "desc"
    places = sorted(found, reverse=newest_first)
    if more is not None:
        places = [place for place in places if (place >= more if newest_first else place <= more)]
    shown: list[Place] = []
    num_bytes = 0
    for place in places[: wanted.limit]:
        num_bytes += len(codec.encode(found[place]))
        if shown and num_bytes > MAX_PAGE_BYTES:
            break
        shown.append(place)
    left = len(places) > len(shown)
    last = more if more is not None and not left else shown[-1] if shown else None
    return {
        "data": [found[place] for place in shown],
        "first_id": shown[0].id if shown else None,
        "last_id": last.id if last is not None else None,
        "has_more": left or more is not None,
    }


def _nothing_to_follow(after: str, kind: str) -> WireError:
    text = f"`after` is '{after[:128]}', which is no {kind} of yours that is kept: begin again without it."
    return WireError(ErrorCode.INVALID_REQUEST, text, param="after")
