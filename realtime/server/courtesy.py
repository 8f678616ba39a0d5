"""Courtesy between nodes: an orphan that another node's engine continues exactly is left to it for a moment. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from realtime.store.cluster.membership import Peer

LEAVE_SECONDS = 5.0  # a node that lives and serves looks more often than that


class Courtesy:
    """The orphans that this node has seen, and since when: nothing is left for longer than `LEAVE_SECONDS`."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}
        self._before: Mapping[str, float] = {}

    def begin(self) -> None:
        """Begin to look at all orphans that there are."""
        self._before, self._seen = self._seen, {}

    def sort(
        self, orphans: Sequence[str], now: float, others: frozenset[str]
    ) -> Iterator[tuple[Sequence[str], frozenset[str]]]:
        """Yield the next orphans in parts, with the fingerprints of those that are left to others. `others`: engines
        that others have and this node does not.
        """
        late: list[str] = []
        fresh: list[str] = []
        for one in orphans:
            since = self._seen[one] = self._before.get(one, now)
            (late if now - since >= LEAVE_SECONDS else fresh).append(one)
        if late:
            yield late, frozenset()
        if fresh:
            yield fresh, others


def engines_of_others(own: str, peers: Iterable[Peer]) -> frozenset[str]:
    """Return the fingerprints of the engines that serve on other nodes and differ from this node's."""
    return frozenset(peer.engine for peer in peers if peer.state == "serving") - {own, ""}
