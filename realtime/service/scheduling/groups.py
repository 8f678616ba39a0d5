"""Groups: of the responses of one conversation one runs at a time, in the order in which they came. Pure."""

from __future__ import annotations

from collections import Counter

from .tickets import Ticket


class Groups:
    """All groups. `busy`: those of which one runs, or has run and is put aside, with its response id."""

    def __init__(self) -> None:
        self.busy: dict[str, str] = {}
        self._of: dict[str, str] = {}  # response id -> group, of those that have one
        self._sizes: Counter[str] = Counter()  # group -> how many run or wait

    def size(self, group: str | None) -> int:
        """How many of a group run or wait."""
        return self._sizes[group] if group is not None else 0

    def join(self, ticket: Ticket) -> None:
        """One more of its group."""
        if ticket.group is not None:
            self._of[ticket.response_id] = ticket.group
            self._sizes[ticket.group] += 1

    def run(self, ticket: Ticket) -> None:
        """One runs, and the others of its group wait for its end."""
        if ticket.group is not None:
            self.busy[ticket.group] = ticket.response_id

    def leave(self, response_id: str) -> None:
        """One is over, or has given up waiting."""
        group = self._of.pop(response_id, None)
        if group is None:
            return
        self._sizes[group] -= 1
        if not self._sizes[group]:
            del self._sizes[group]
        if self.busy.get(group) == response_id:
            del self.busy[group]
