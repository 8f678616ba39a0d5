"""Metrics of a cluster as one node sees it: its lease, the other nodes, the traffic between them, and the store that
they share.

No label names another node: names made of hosts change with each roll-out, so their series would never end, and the
connections between nodes grow by the square of their number. The log names the nodes that can't be reached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product

import msgspec
from prometheus_client import Metric

from .instruments import Distribution, Labels, Tally, gauge
from .service_metrics import SHORT

STATES = ("serving", "starting", "draining")
OPERATIONS = ("commit", "read", "lease", "shared")
FAILURES = ("away", "conflict", "fenced", "refused")
LINKS = ("opened", "failed", "refused", "lost")
ADOPTIONS = (("drain", "gone_on"), ("drain", "ended"), ("death", "gone_on"), ("death", "ended"))
COPIES = ("opened", "moved", "failed")
_ROUND_TRIPS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)  # seconds


class ClusterView(msgspec.Struct, frozen=True, kw_only=True):
    """A node as it is now. peers: how many others are in each state. links: sockets to them; guests: from them.
    followed: responses of theirs that are read here.
    """

    node: str
    epoch: int
    lease: bool
    peers: Mapping[str, int] = {}
    links: int = 0
    guests: int = 0
    followed: int = 0


class ClusterMetrics:
    """The metrics of a cluster. `view` is set by the node, if the server is one; `orphans`: those that its latest look
    has found.
    """

    def __init__(self) -> None:
        self.view: Callable[[], ClusterView] | None = None
        self.orphans = 0
        self.leases_lost = Tally("realtime_cluster_leases_lost", "Leases that this node could not keep.")
        self.adoptions = Tally(
            "realtime_cluster_adoptions", "Responses taken over from another node.", ("after", "outcome"), ADOPTIONS
        )
        self.sweeps_failed = Tally("realtime_cluster_sweeps_failed", "Looks for orphans that came to nothing.")
        self.links = Tally(
            "realtime_cluster_links", "Connections to other nodes.", ("outcome",), [(one,) for one in LINKS]
        )
        self.strangers = Tally("realtime_cluster_strangers", "Connections that did not prove to be a node's.")
        self.calls = Tally("realtime_cluster_calls", "What other nodes were asked.", ("kind", "outcome"))
        self.call_seconds = Distribution(
            "realtime_cluster_call_seconds", "Time until another node has answered.", SHORT, ("kind",)
        )
        self.copies = Tally(
            "realtime_cluster_copies", "Logs of other nodes for readers here.", ("outcome",), [(one,) for one in COPIES]
        )
        self.copied_events = Tally("realtime_cluster_copied_events", "Events that came from other nodes.")
        # These two are fed on the store's thread, and on no other: their series are all there from the beginning.
        self.store_seconds = Distribution(
            "realtime_cluster_store_seconds", "Time of a round trip to the store that the nodes share.", _ROUND_TRIPS,
            ("operation",), [(one,) for one in OPERATIONS],
        )  # fmt: skip
        self.store_failures = Tally(
            "realtime_cluster_store_failures", "Round trips that changed nothing, or may not have.",
            ("operation", "reason"), list(product(OPERATIONS, FAILURES)),
        )  # fmt: skip

    def round_trip(self, operation: str, seconds: float, failure: str | None) -> None:
        """Count a round trip to the store. To be called on one thread only."""
        self.store_seconds.observe(seconds, operation)
        if failure is not None:
            self.store_failures.add(1, operation, failure)

    def collect(self) -> Iterator[Tally | Distribution | Metric]:
        """All families; none without a cluster."""
        if self.view is None:
            return
        now = self.view()
        own: dict[Labels, float] = {(now.node,): now.lease}
        yield gauge("realtime_cluster_lease", "1 while this node holds its lease.", own, ("node",))
        yield gauge("realtime_cluster_epoch", "Number of this node's lease.", now.epoch)
        peers: dict[Labels, float] = {(state,): now.peers.get(state, 0) for state in STATES}
        yield gauge("realtime_cluster_peers", "Other nodes that live, by what they do.", peers, ("state",))
        sockets: dict[Labels, float] = {("to",): now.links, ("from",): now.guests}
        yield gauge("realtime_cluster_sockets", "Open connections between this node and others.", sockets, ("way",))
        yield gauge("realtime_cluster_followed", "Responses of other nodes that are read here.", now.followed)
        yield gauge("realtime_cluster_orphans", "Responses without an owner, at the last look.", self.orphans)
        for value in vars(self).values():
            if isinstance(value, Tally | Distribution):
                yield value
