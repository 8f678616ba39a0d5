"""What tenants have over all nodes of a cluster, as the scheduler of each has to know it: service, and places.

Close, not exact: service that was had elsewhere is charged here about a second later, and places that are taken
elsewhere are known some three seconds later, with the renewals of the leases.
"""

from __future__ import annotations

from collections.abc import Sequence

from realtime.store.cluster.membership import Membership, TenantPlaces

from .scheduler import Scheduler

_KEPT_SECONDS = 86_400.0  # of a sum; when it begins again, what was had since the last exchange is not heard of
_SPACE = "service/"


class SharedService:
    """See the module."""

    def __init__(self, membership: Membership, scheduler: Scheduler) -> None:
        self._membership = membership
        self._scheduler = scheduler

    def places(self, now: float) -> Sequence[TenantPlaces]:
        """Return what the other nodes have to know of the places taken here. `now`: on the scheduler's clock."""
        return self._scheduler.places_taken(now)

    async def exchange(self) -> None:
        """Tell what tenants were served here, and hear what they have elsewhere. Raises WireError."""
        self._scheduler.others.hear(peer.tenants for peer in self._membership.peers().values())
        told = self._scheduler.elsewhere.to_tell()
        if told:
            sums = await self._membership.add_up(
                {_SPACE + name: number for name, number in told.items()}, _KEPT_SECONDS
            )
            self._scheduler.elsewhere.take(told, {name: sums[_SPACE + name] for name in told})
