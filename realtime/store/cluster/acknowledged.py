"""The commits that a store has acknowledged, as this process counts them. The store counts its own: if it has fewer, it
has failed over to a replica that had not everything yet, or was started again without its last moments.

Then what this process takes for stored is not there, though its lease may be. It must not go on, because another node
may have been given the same: a lost adoption would be the work of two.
"""

from __future__ import annotations

import logging

from .backend import Lease

logger = logging.getLogger("realtime.store")


class Acknowledged:
    """The number of acknowledged commits of each node's newest lease."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[int, int]] = {}  # node -> epoch, commits

    def of(self, lease: Lease) -> int:
        """Return how many commits of a lease the store has to have."""
        epoch, count = self._counts.get(lease.node, (0, 0))
        return count if epoch == lease.epoch else 0

    def note(self, lease: Lease, count: int) -> None:
        """Note how many the store had when it acknowledged one."""
        self._counts[lease.node] = (lease.epoch, max(count, self.of(lease)))

    def missed(self, lease: Lease) -> None:
        """Report that the store has fewer."""
        logger.error("the cluster's store has lost what it had acknowledged to node=%s: begin again", lease.node)
