"""What one connection reads: its positions in logs, and whose turn it is to send. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from realtime.store.records import Source
from realtime.wire.requests import ResponseCreate

from .lanes import Lane


class Reader:
    """A position in one log; `lane` is None for a response that was resumed and not created here."""

    __slots__ = ("lane", "position", "processed", "request", "source")

    def __init__(self, source: Source, position: int, lane: Lane | None, request: ResponseCreate | None) -> None:
        self.source = source
        self.position = position
        self.lane = lane
        self.request = request
        self.processed: int | None = None  # the last event that the client has acknowledged


class Readers:
    """One connection's, by response; each has its turn, one after another."""

    def __init__(self) -> None:
        self._by_id: dict[str, Reader] = {}
        self._rotation: deque[Reader] = deque()

    def __iter__(self) -> Iterator[Reader]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, response_id: str) -> bool:
        return response_id in self._by_id

    @property
    def response_ids(self) -> list[str]:
        """The responses that are read."""
        return list(self._by_id)

    @property
    def behind(self) -> bool:
        """Some log has more than was read of it."""
        return any(reader.position < reader.source.log.tip for reader in self._rotation)

    def get(self, response_id: str) -> Reader | None:
        """The reader of this response."""
        return self._by_id.get(response_id)

    def of(self, lane: Lane) -> Reader | None:
        """The reader of the response that a lane runs."""
        return next((reader for reader in self if reader.lane is lane), None)

    def next(self) -> Reader:
        """Whose turn it is; its next one comes after all others'."""
        reader = self._rotation[0]
        self._rotation.rotate(-1)
        return reader

    def add(self, reader: Reader) -> None:
        """Read this one as well."""
        self._by_id[reader.source.response_id] = reader
        self._rotation.append(reader)

    def remove(self, reader: Reader) -> None:
        """Read it no more."""
        del self._by_id[reader.source.response_id]
        self._rotation.remove(reader)

    def clear(self) -> None:
        """The socket is gone."""
        self._by_id.clear()
        self._rotation.clear()
