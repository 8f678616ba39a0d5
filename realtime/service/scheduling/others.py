"""The other nodes' places: those that tenants have there, as each node last reported. Pure.

Within a tenant it is roughly first come, first served over all nodes. A response whose turn it is by its own node waits
for any that has waited longer on another node, for nothing but a place of this tenant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from realtime.store.cluster.membership import TenantPlaces, tenant_digest

MAX_TENANTS = 1024  # whose places a node tells, those that have most
PATIENCE_SECONDS = 5.0  # that another's must have waited for longer to go first: news takes time, and places stay empty


class Others:
    """The places of tenants on the other nodes. Without other nodes there are none."""

    def __init__(self) -> None:
        self._places: dict[bytes, list[TenantPlaces]] = {}

    def hear(self, told: Iterable[Sequence[TenantPlaces]]) -> None:
        """Replace what was known by what each of the other nodes reports."""
        self._places = {}
        for places in told:
            for one in places:
                self._places.setdefault(one.tenant, []).append(one)

    def num_running(self, tenant: str) -> int:
        """Return how many of a tenant's responses run elsewhere."""
        return sum(one.num_running for one in self._of(tenant))

    def num_waiting(self, tenant: str) -> int:
        """Return how many of a tenant's responses wait elsewhere."""
        return sum(one.num_waiting for one in self._of(tenant))

    def num_first(self, tenant: str, waited: float) -> int:
        """Return how many of a tenant's responses elsewhere go before one here that has waited for so many seconds."""
        return sum(one.waited is not None and one.waited > waited + PATIENCE_SECONDS for one in self._of(tenant))

    def _of(self, tenant: str) -> Sequence[TenantPlaces]:
        return self._places.get(tenant_digest(tenant), ()) if self._places else ()
