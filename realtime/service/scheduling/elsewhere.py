"""Fair shares over several nodes: what a tenant was served elsewhere counts here as if it had been here. Pure.

Each node has its own virtual counters, and charges to them what the others say that they have served. Between two
tenants that wait at all of k nodes all the time, what they have been served in all differs by at most k times the bound
of one node (see `counters`), and what all nodes serve in two exchanges: one until it is told, one until it is heard.

A tenant is held back for what it had elsewhere in about the last minute, and no more: who had a node to itself that
nobody else wanted is not shut out of this one for good.
"""

from __future__ import annotations

from collections.abc import Mapping

from .accounts import Accounts
from .sums import Sums

_REMEMBERED = 60  # exchanges, about


class Elsewhere:
    """The service that other nodes give."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._sums = Sums(counts_first=False)
        self._recent: dict[str, float] = {}  # had elsewhere, by tenant; fades

    def to_tell(self) -> dict[str, int]:
        """Return what tenants were served here since the last call."""
        served, self._accounts.served = self._accounts.served, {}
        return self._sums.to_tell(served, self._accounts.tenants.waiting)

    def take(self, told: Mapping[str, int], sums: Mapping[str, int]) -> None:
        """Charge what they were served elsewhere. `told`: what this node has added to these sums."""
        faded = {tenant: service * (1 - 1 / _REMEMBERED) for tenant, service in self._recent.items()}
        self._recent = {tenant: service for tenant, service in faded.items() if service >= 1}
        for tenant, service in self._sums.take(told, sums).items():
            self._recent[tenant] = self._recent.get(tenant, 0.0) + service
            self._accounts.tenants.charge_elsewhere(tenant, service, self._recent[tenant])
