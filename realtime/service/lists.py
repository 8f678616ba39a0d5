"""Lists of a tenant's responses (those that run, on any node, and stored ones) and of its conversations, in pages.

Both lists are in the order of creation, which never changes. An entry that begins or ends between two pages is
therefore neither shown twice nor does it hide another. The work for a page is bounded: when too many entries would have
to be examined, the page says where to go on, and holds fewer entries than were asked for, or none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from realtime.runs.run import Run
from realtime.store.base import Stores
from realtime.store.records import Filter
from realtime.store.shelves import Place, Span
from realtime.wire import codec
from realtime.wire.bodies import ConversationList, ConversationObject, ResponseList, listed
from realtime.wire.errors import ErrorCode, WireError

from .commits import committed
from .list_pages import PagePart, PageQuery, Shown
from .principal import Principal
from .registry import Registry

MAX_PAGE_BYTES = 1 << 20  # of JSON, about: what is listed has schemas of clients in it


class Elsewhere(Protocol):
    """The lists of other nodes' running responses; see Directory."""

    async def running(self, principal: Principal, wanted: PageQuery, after: Place | None) -> Sequence[PagePart]: ...
    async def place(self, principal: Principal, response_id: str) -> Place | None: ...


class Lists:
    """The lists of responses and conversations. Methods raise WireError."""

    def __init__(
        self, registry: Registry, stores: Stores, bound: Callable[[], AbstractAsyncContextManager[None]],
        elsewhere: Elsewhere,
    ) -> None:  # fmt: skip
        """bound: bounds the time of look-ups; see Patience."""
        self._registry = registry
        self._stores = stores
        self._bound = bound
        self._elsewhere = elsewhere

    async def responses(self, principal: Principal, wanted: PageQuery) -> ResponseList:
        """Return a page of responses: running ones, and finished ones that were to be stored."""
        principal.check_owner()
        tenant = principal.tenant
        async with self._bound():
            after = await self._place_of_response(principal, wanted.after)
            span = _span(wanted, after)
            elsewhere = await self._elsewhere.running(principal, wanted, after)
            runs = self._registry.running_of(tenant)  # before the look-up: what ends meanwhile is in one of both
            records, more = await self._stores.responses.list(_filter(tenant, wanted), span, time.time())
        there = {place: one for listing in elsewhere for place, one in listing.found.items()}
        there |= self._running(runs, tenant, wanted, span)
        deleted = self._registry.deleted  # or cut while we were looking
        there = {place: one for place, one in there.items() if place.id not in deleted}
        kept = (self._registry.current_record(one) for one in records if one.response_id not in deleted)
        there |= {record.place: listed(record.response) for record in kept}
        async with self._bound():
            await committed(self._stores.batches)  # an end that is listed must hold
        ends = [one for one in (more, *(listing.more for listing in elsewhere)) if one is not None]
        behind = None if not ends else max(ends) if span.newest_first else min(ends)
        return ResponseList(**_page(there, wanted, behind))

    async def running_here(self, principal: Principal, wanted: PageQuery, after: Place | None) -> PagePart:
        """Return what a page has of the responses that run on this node. What does not any more can be found in the
        store.
        """
        principal.check_owner()
        span = _span(wanted, after)
        found = self._running(self._registry.running_of(principal.tenant), principal.tenant, wanted, span)
        await committed(self._stores.batches)
        shown: dict[Place, Shown] = {}
        num_bytes = 0
        for place in sorted(found, reverse=span.newest_first)[: span.limit]:
            num_bytes += len(codec.encode(found[place]))
            if shown and num_bytes > MAX_PAGE_BYTES:
                return PagePart(shown, next(reversed(shown)))
            shown[place] = found[place]
        return PagePart(shown)

    async def place_here(self, principal: Principal, response_id: str) -> Place | None:
        """Return the place of a response that runs on this node. None: it does not, and if it did, the store has it."""
        runs = self._registry.running_of(principal.tenant)
        found = [Place(run.begun_at, response_id) for run in runs if run.response_id == response_id]
        if not found:
            await committed(self._stores.batches)
        return found[0] if found else None

    def _running(self, runs: Iterable[Run], tenant: str, wanted: PageQuery, span: Span) -> dict[Place, Shown]:
        filter, found = _filter(tenant, wanted), dict[Place, Shown]()
        for run in runs:
            place = Place(run.begun_at, run.response_id)
            if span.holds(place) and filter.shows(run.response) and (run.response.store or not run.over):
                found[place] = listed(run.response)
        return found

    async def conversations(self, principal: Principal, wanted: PageQuery) -> ConversationList:
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

    async def _place_of_response(self, principal: Principal, response_id: str | None) -> Place | None:
        if response_id is None:
            return None
        if (place := await self._elsewhere.place(principal, response_id)) is not None:
            return place
        try:
            found = await self._registry.find(principal.tenant, response_id, time.time())
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


def _filter(tenant: str, wanted: PageQuery) -> Filter:
    return Filter(owner=tenant, conversation=wanted.conversation, status=wanted.status, metadata=wanted.metadata)


def _span(wanted: PageQuery, after: Place | None) -> Span:
    """Ask for one entry more than fits on the page, to know whether there is another page."""
    return Span(after=after, limit=wanted.limit + 1, newest_first=wanted.order == "desc")


def _page(found: Mapping[Place, Any], wanted: PageQuery, more: Place | None) -> dict[str, Any]:
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
    text = f"`after` is '{after[:128]}', which is not a {kind} of yours, or not any more: begin again without it."
    return WireError(ErrorCode.INVALID_REQUEST, text, param="after")
