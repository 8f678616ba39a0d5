"""The part of a shared resource that one tenant may take. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable

TenantShare = Callable[[], float]
"""The share that a tenant may have now, above 0 and at most 1: it depends on how many tenants there are."""


def everything() -> float:
    """Return the share of a tenant that is alone."""
    return 1.0


def places_of(share: float, places: int) -> int:
    """Return the places that one tenant may take: at least one."""
    return max(1, math.floor(places * share + 1e-9))
