"""The limits of one tenant: its weight among the others, its rates, its service tiers. Pure.

The keys file (`limits` of a key) and the TOML (`[scheduling.tenants.NAME]`) have the same members.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Tier = Literal["priority", "flex"]

EVERYBODY = "*"  # the entry for tenants that have none


class TenantLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One tenant's. None: no limit of its own.

    weight: of two tenants that both wait, the one with three times the weight gets three times the tokens.
    tiers: the values of `service_tier` that it may ask for, besides `default`.
    """

    weight: Annotated[float, Meta(ge=0.001, le=1000)] = 1.0
    max_running: Annotated[int, Meta(ge=1)] | None = None
    max_waiting: Annotated[int, Meta(ge=0)] | None = None
    tokens_per_minute: Annotated[int, Meta(ge=1)] | None = None
    requests_per_minute: Annotated[int, Meta(ge=1)] | None = None
    tiers: tuple[Tier, ...] = ()


UNLIMITED = TenantLimits()
