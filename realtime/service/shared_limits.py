"""Limits per minute that hold over all nodes of a cluster: each node tells the others from time to time what it
admitted.

They are close, not exact. Usage on another node counts here a moment later, so a tenant that asks all nodes at once may
use its minute once on each. Usage from before a node first saw a tenant counts as far as it is recent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from realtime.settings.tenants import TenantLimits
from realtime.store.cluster.membership import Membership

from .scheduling.allowances import Allowances, Kind

_WINDOW_SECONDS = 30.0  # after which the counters begin again
_FORGET_AFTER = 120  # exchanges without anything taken here: then nobody asks for what others take
_Limit = tuple[Kind, str]  # of a tenant


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
        self._sums: dict[_Limit, int] = {}  # as of the last exchange
        self._quiet: dict[_Limit, int] = {}  # exchanges since something was taken here

    async def exchange(self) -> None:
        """Report usage on this node, and count usage on the others. Raises WireError."""
        taken, self._minutes.taken = self._minutes.taken, {}
        for limit in taken:
            self._quiet[limit] = 0
        self._quiet = {limit: number + 1 for limit, number in self._quiet.items() if number < _FORGET_AFTER}
        if not self._quiet:
            return
        counts = {limit: taken.get(limit, 0) for limit in self._quiet}
        sums = await self._membership.add_up({"/".join(one): count for one, count in counts.items()}, _WINDOW_SECONDS)
        self._count({limit: sums["/".join(limit)] for limit in counts}, counts)

    def _count(self, sums: Mapping[_Limit, int], own: Mapping[_Limit, int]) -> None:
        """Count what the others have added to these sums."""
        now = self._clock()
        for limit, total in sums.items():
            before = self._sums.get(limit, 0)
            others = total - own[limit]
            if others >= before:  # else the counter has begun again
                others -= before
            if others > 0:
                kind, tenant = limit
                self._minutes.take_elsewhere(kind, tenant, self._limits_of(tenant), others, now)
        self._sums = dict(sums)
