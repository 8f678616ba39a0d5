"""Limits per minute that hold over all nodes of a cluster: each node tells the others from time to time what it
admitted.

They are close, not exact. Usage on another node counts here a moment later, so a tenant that asks all nodes at once may
use its minute once on each. Usage from before a node first saw a tenant counts as far as it is recent.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from realtime.settings.tenants import TenantLimits
from realtime.store.cluster.membership import Membership

from .scheduling.allowances import Allowances, Kind
from .scheduling.sums import Sums

_WINDOW_SECONDS = 30.0  # after which the counters begin again
_KINDS: dict[str, Kind] = {"requests": "requests", "tokens": "tokens"}


class SharedLimits:
    """Limits per minute that the nodes share."""

    def __init__(
        self, membership: Membership, minutes: Allowances, limits_of: Callable[[str], TenantLimits],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """clock: the scheduler's."""
        self._membership = membership
        self._minutes = minutes
        self._limits_of = limits_of
        self._clock = clock
        self._sums = Sums(counts_first=True)

    async def exchange(self) -> None:
        """Report usage on this node, and count usage on the others. Raises WireError."""
        taken, self._minutes.taken = self._minutes.taken, {}
        told = self._sums.to_tell({f"{kind}/{tenant}": number for (kind, tenant), number in taken.items()})
        if not told:
            return
        sums = await self._membership.add_up(told, _WINDOW_SECONDS)
        now = self._clock()
        for name, number in self._sums.take(told, sums).items():
            kind, _, tenant = name.partition("/")
            self._minutes.take_elsewhere(_KINDS[kind], tenant, self._limits_of(tenant), number, now)
