"""What one connection reads: its positions in logs, whose turn it is to send, and what the client says of it. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from realtime.store.event_log import BelowFloor
from realtime.store.records import Source
from realtime.wire.requests import ResponseAck, ResponseCancel, ResponseCreate

from . import refusals
from .catch_up import CatchUp
from .commands import Stop
from .lanes import Lane

_QUANTUM = 16  # events that one response may send before the next one has its turn


class Reader:
    """A position in one log; `lane` is None for a response that was resumed and not created here. `catch_up`: for a
    reader that takes deltas merged.
    """

    __slots__ = ("catch_up", "lane", "position", "processed", "request", "source")

    def __init__(self, source: Source, position: int, lane: Lane | None, request: ResponseCreate | None) -> None:
        self.source = source
        self.position = position
        self.lane = lane
        self.request = request
        self.processed: int | None = None  # the last event that the client has acknowledged
        self.catch_up: CatchUp | None = None

    @property
    def num_taken(self) -> int:
        """The number of the first event that has not been passed on."""
        held = self.catch_up.held if self.catch_up is not None else None
        return self.position if held is None else held

    def read_merged(self, catch_up: CatchUp, max_events: int) -> tuple[list[bytes], list[bytes]]:
        """Read the next entries: as they are in the log, and what is passed on of them. Raises BelowFloor."""
        log, first = self.source.log, self.position
        if first < log.floor and log.abridged is not None:
            out, self.position = catch_up.take_abridged(log, first)
            return out, out
        chunk = log.read(first, max_events)
        self.position += len(chunk)
        return chunk, catch_up.take(chunk, first, log.tip)


Done = tuple[Reader, int | None]  # a reader at the terminal event; below the floor of its log, which is given


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
    def num_foreign(self) -> int:
        """Responses that are read and were not created on this connection."""
        return sum(reader.lane is None for reader in self)

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

    def read(self, max_bytes: int) -> tuple[list[bytes], list[Done]]:
        """Read about `max_bytes` of entries, in rounds: in each, every log has its turn with at most `_QUANTUM` events.

        Returned beside them are the readers that are done, and have been removed.
        """
        out: list[bytes] = []
        done: list[Done] = []
        size = 0
        more = True
        while more and size < max_bytes:
            more = False
            for _ in range(len(self._rotation)):
                reader = self._rotation[0]
                self._rotation.rotate(-1)
                log, catch_up = reader.source.log, reader.catch_up
                try:
                    if catch_up is None:
                        chunk = passed_on = log.read(reader.position, _QUANTUM)
                        reader.position += len(chunk)
                    else:
                        chunk, passed_on = reader.read_merged(catch_up, _QUANTUM)
                except BelowFloor as below:
                    self.remove(reader)
                    done.append((reader, below.floor))
                    continue
                if log.sealed and reader.position >= log.tip:
                    self.remove(reader)
                    done.append((reader, None))
                out += passed_on
                size += sum(map(len, chunk))  # what is read counts: to merge much into little takes its time as well
                if len(chunk) == _QUANTUM or (catch_up is not None and reader.position < log.tip):
                    more = True  # who had less is at the tip now, or has read what was abridged
                if size >= max_bytes:
                    break
        return out, done

    # -- what the client says of a response

    def acknowledge(self, event: ResponseAck) -> None:
        """The client has taken in what it was sent. Raises WireError for what it has not been sent."""
        reader = self.get(event.response_id)
        if reader is None:
            return  # the end was taken meanwhile: an acknowledgement may always come too late
        if event.through >= reader.num_taken:
            raise refusals.not_sent(event.response_id, event.through)
        reader.processed = max(event.through, -1 if reader.processed is None else reader.processed)

    def new_cancel(self, response_id: str, event: ResponseCancel) -> Stop:
        """The command for a cancel, with how much of the response has come to the client, as far as it is read here."""
        reader = self.get(response_id)
        delivered, through = None, event.through
        if reader is not None:
            delivered = reader.num_taken
            through = reader.processed if through is None else through
        return Stop(
            response_id=response_id,
            how="cancel",
            followed=reader is not None,
            delivered=delivered,
            through=through,
            event_id=event.event_id,
        )
