"""A page of a list, as it is asked for, and the part of it that one node has. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

from realtime.store.shelves import Place


class PageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The query of a page: at most `limit` entries with these values, behind the one with the id `after`."""

    conversation: str | None = None
    status: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    after: str | None = None
    limit: int = 20
    order: Literal["asc", "desc"] = "desc"


Shown = msgspec.Struct | msgspec.Raw
"""A response as it is listed; one of another node as JSON."""


class PagePart(msgspec.Struct, frozen=True):
    """A part of a page, as one node has it. `more`: how far it goes, if there is something behind it."""

    found: dict[Place, Shown]
    more: Place | None = None
