"""Groups: the responses of one conversation run one at a time, in order of arrival. Pure."""

from __future__ import annotations

from collections import Counter

from .tickets import Ticket


class Groups:
    """All groups. `busy`: groups with a response that runs, or has run and is put aside; with its id."""

    def __init__(self) -> None:
        self.busy: dict[str, str] = {}
        self._of: dict[str, str] = {}  # response id -> group, of those that have one
        self._sizes: Counter[str] = Counter()  # group -> how many run or wait

    def size(self, group: str | None) -> int:
        """Return how many of a group run or wait."""
        return self._sizes[group] if group is not None else 0

    def join(self, ticket: Ticket) -> None:
        """Add a response to its group."""
        if ticket.group is not None:
            self._of[ticket.response_id] = ticket.group
            self._sizes[ticket.group] += 1

    def run(self, ticket: Ticket) -> None:
        """Note that one runs; the others of its group wait for its end."""
        if ticket.group is not None:
            self.busy[ticket.group] = ticket.response_id

    def leave(self, response_id: str) -> None:
        """Note that one is over, or has given up waiting."""
        group = self._of.pop(response_id, None)
        if group is None:
            return
        self._sizes[group] -= 1
        if not self._sizes[group]:
            del self._sizes[group]
        if self.busy.get(group) == response_id:
            del self.busy[group]
