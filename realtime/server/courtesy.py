"""Courtesy between nodes: an orphan that another node's engine continues exactly is left to it for a moment. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from realtime.store.cluster.membership import Peer

LEAVE_SECONDS = 5.0  # a node that lives and serves looks more often than that
LONGEST_SECONDS = 60.0  # for a node that takes hundreds, one after another; readers are told sooner to come again


class Courtesy:
    """The orphans that this node has seen, and since when. Nothing is left to others that take nothing for
    `LEAVE_SECONDS`, nor for longer than `LONGEST_SECONDS`.
    """

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}
        self._there: set[str] = set()
        self._others_took_at = float("-inf")

    def begin(self) -> None:
        """Begin to look at all orphans that there are."""
        self._there = set()

    def sort(
        self, orphans: Sequence[str], now: float, others: frozenset[str]
    ) -> Iterator[tuple[Sequence[str], frozenset[str]]]:
        """Yield the next orphans in parts, with the fingerprints of those that are left to others. `others`: engines
        that others have and this node does not.
        """
        idle = now - self._others_took_at >= LEAVE_SECONDS
        late: list[str] = []
        fresh: list[str] = []
        for one in orphans:
            waited = now - self._seen.setdefault(one, now)
            (late if waited >= (LEAVE_SECONDS if idle else LONGEST_SECONDS) else fresh).append(one)
        self._there.update(orphans)
        if late:
            yield late, frozenset()
        if fresh:
            yield fresh, others

    def took(self, orphans: Iterable[str]) -> None:
        """Forget orphans that this node has taken."""
        for one in orphans:
            self._seen.pop(one, None)

    def end(self, now: float) -> None:
        """Note that all were looked at. One that breaks off has no end: what it did not come to is still there."""
        gone = self._seen.keys() - self._there
        if gone:
            self._others_took_at = now
        self.took(gone)


def engines_of_others(own: str, peers: Iterable[Peer]) -> frozenset[str]:
    """Return the fingerprints of the engines that serve on other nodes and differ from this node's."""
    return frozenset(peer.engine for peer in peers if peer.state == "serving") - {own, ""}
