"""Connections that wait: nobody is answered on them, so no limit on clients counts them. Pure.

Anybody can open them, without a key, and keep each as long as a head may take or an idle connection stays open; or for
ever, by not reading an answer. When there are too many in all, the one that has waited longest makes room.
"""

from __future__ import annotations

from typing import Protocol


class Connection(Protocol):
    """A connection as it is closed here."""

    def abort(self) -> None:
        """Close it now, whatever has not been sent."""


class Waiting:
    """The connections that wait, by how long they do. `max_open`: connections in all, those that do not wait among
    them.
    """

    def __init__(self, max_open: int) -> None:
        self._max_open = max_open
        self._waiting: dict[Connection, None] = {}

    def enter(self, connection: Connection) -> None:
        """Note that a connection waits from now on."""
        self._waiting.pop(connection, None)
        self._waiting[connection] = None

    def leave(self, connection: Connection) -> None:
        """Note that a connection waits no longer, or is closed."""
        self._waiting.pop(connection, None)

    def make_room(self, num_open: int) -> None:
        """Abort a connection if so many are too many. To be called for each that comes."""
        if num_open > self._max_open and self._waiting:
            connection = next(iter(self._waiting))
            self.leave(connection)
            connection.abort()
