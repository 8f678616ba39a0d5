"""Limits on how many responses may run and wait: in all, of one tenant, of one group. Pure.

All limits are read for each decision, so that a change takes effect at the next one. A tenant's own limits hold over
all nodes, as far as this one knows of the others; shares are of this node's places.
"""

from __future__ import annotations

from collections.abc import Callable

from realtime.engine.base import Capacity
from realtime.settings.tenants import TenantLimits

from ..tenant_share import TenantShare, places_of
from .others import Others
from .refusals import Full, TenantFull


class Limits:
    """The limits in force. tenant_share: the part of the places that one tenant may have. limits_of: a tenant's other
    limits. capacity: what the engine can hold.
    """

    def __init__(
        self, max_running: int, max_waiting: int, max_waiting_in_group: int,
        tenant_share: TenantShare, limits_of: Callable[[str], TenantLimits], capacity: Callable[[], Capacity],
    ) -> None:  # fmt: skip
        self._max_running = max_running
        self._max_waiting = max_waiting
        self.max_waiting_in_group = max_waiting_in_group
        self._tenant_share = tenant_share
        self.of = limits_of
        self.capacity = capacity
        self.others = Others()

    @property
    def share(self) -> float:
        """Return the part of the places that one tenant may have now."""
        return self._tenant_share()

    @property
    def places(self) -> int:
        """Return how many may run at once."""
        most = self.capacity().max_requests
        return min(self._max_running, most) if most else self._max_running

    def most_of(self, tenant: str) -> int:
        """Return how many of a tenant may run at once."""
        return self._most(self.of(tenant).max_running)

    def _most(self, own: int | None) -> int:
        share = places_of(self._tenant_share(), self.places)
        return share if own is None else min(share, own)

    def likely_most_of(self, tenant: str) -> int:
        """Return how many of a tenant are likely to run at once here, for a guess: at least one."""
        own = self.of(tenant).max_running
        most = self.most_of(tenant)
        return most if own is None else min(most, max(1, own - self.others.num_running(tenant)))

    def may_run(self, tenant: str, num_running: int, waited: float) -> bool:
        """Return whether one more of a tenant may run beside these, which has waited for so many seconds."""
        own, others = self.of(tenant).max_running, self.others
        if num_running >= self._most(own):
            return False
        return own is None or num_running + others.num_running(tenant) + others.num_first(tenant, waited) < own

    def check_queue(
        self, tenant: str, *, num_waiting: int, num_waiting_of: int, num_running_of: int,
        retry_after: Callable[[int], float],
    ) -> None:  # fmt: skip
        """Refuse one more waiting response if there is no place for it. It has been counted already. `retry_after`:
        estimates when a place is free, if so many run at once. Raises Full.
        """
        is_full = num_waiting > self._max_waiting
        share, own, most = self._tenant_share(), self.of(tenant).max_waiting, self.most_of(tenant)
        has_slot = num_running_of < most
        has_place = num_waiting_of <= places_of(share, self._max_waiting)
        if own is not None and num_waiting_of + self.others.num_waiting(tenant) > own:
            raise TenantFull(retry_after(most))
        if share < 1 and (not has_place or (is_full and not has_slot)):
            raise TenantFull(retry_after(most))
        if is_full:
            raise Full(retry_after(self.places))
