"""Service and places that tenants have over all nodes of a cluster, as each node's scheduler has to know them.

They are close, not exact: service on another node is charged here about a second later, and places taken there are
known some three seconds later, with the renewals of the leases.
"""

from __future__ import annotations

from collections.abc import Sequence

from realtime.store.cluster.membership import Membership, TenantPlaces

from .scheduler import Scheduler

_KEPT_SECONDS = 86_400.0  # of a sum; when it begins again, what was had since the last exchange is not heard of
_SPACE = "service/"


class SharedService:
    """The exchange of service and places between nodes."""

    def __init__(self, membership: Membership, scheduler: Scheduler) -> None:
        self._membership = membership
        self._scheduler = scheduler

    def places(self, now: float) -> Sequence[TenantPlaces]:
        """Return the places taken here, for the other nodes. `now`: on the scheduler's clock."""
        return self._scheduler.places_taken(now)

    async def exchange(self) -> None:
        """Report the service of tenants here, and take that on the other nodes. Raises WireError."""
        self._scheduler.others.hear(peer.tenants for peer in self._membership.peers().values())
        told = self._scheduler.elsewhere.to_tell()
        if told:
            sums = await self._membership.add_up(
                {_SPACE + name: number for name, number in told.items()}, _KEPT_SECONDS
            )
            self._scheduler.elsewhere.take(told, {name: sums[_SPACE + name] for name in told})
