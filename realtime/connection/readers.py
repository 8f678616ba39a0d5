"""The readers of one connection: its positions in logs, the order in which they send, and the client's
acknowledgements. Pure.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator

import msgspec

from realtime.store.event_log import BelowFloor
from realtime.store.records import Source
from realtime.wire.errors import WireError
from realtime.wire.events import Event
from realtime.wire.requests import ResponseAck, ResponseCancel, ResponseCreate, ResponseTruncate, place_of

from . import refusals
from .catch_up import CatchUp
from .commands import Stop, Truncate
from .lanes import Lane

_MAX_LEFT = 256  # responses that were read, the newest
_QUANTUM = 16  # events that one response may send before the next one has its turn


class Reader:
    """A position in one log. `lane`: None for a response that was resumed and not created here. `catch_up`: for a
    reader that takes deltas merged. `epoch`: the one that the client knows; None: that of the log's first event.
    """

    __slots__ = ("answers", "catch_up", "epoch", "lane", "log", "position", "processed", "request", "source")

    def __init__(self, source: Source, position: int, lane: Lane | None, request: ResponseCreate | None) -> None:
        self.source = source
        self.log = source.log
        self.position = position
        self.epoch: str | None = self.log.epoch
        self.lane = lane
        self.request = request
        self.processed: int | None = None  # the last event that the client has acknowledged
        self.catch_up: CatchUp | None = None
        self.answers: list[Event] = []  # that are to come after the terminal event

    @property
    def num_taken(self) -> int:
        """The number of the first event that has not been passed on."""
        held = self.catch_up.held if self.catch_up is not None else None
        return self.position if held is None else held

    def read_merged(self, catch_up: CatchUp, max_events: int) -> tuple[list[bytes], list[bytes]]:
        """Return the next entries as they are in the log, and in the form that is passed on. Raises BelowFloor."""
        log, first = self.log, self.position
        if first < log.floor and log.abridged is not None:
            out, self.position = catch_up.take_abridged(log, first)
            return out, out
        chunk = log.read(first, max_events)
        self.position += len(chunk)
        return chunk, catch_up.take(chunk, first, log.tip)


class Left(msgspec.Struct):
    """A response that is not read any more: the number after the last event read, and the client's acknowledgement."""

    num_taken: int
    processed: int | None


Done = tuple[Reader, int | WireError | None]
"""A reader at the terminal event; below the floor of its log, which is given; of a log that has failed, and why."""


class Readers:
    """The readers of one connection, by response. They take turns."""

    def __init__(self, tell_epoch: Callable[[Reader], list[bytes]] = lambda reader: []) -> None:
        """tell_epoch: returns what a reader is sent before it reads on in an epoch that its client does not know."""
        self._tell_epoch = tell_epoch
        self._by_id: dict[str, Reader] = {}
        self._rotation: list[Reader] = []  # a deque is 760 bytes for a socket that reads nothing
        self._only: Reader | None = None  # if there is one
        self._left: OrderedDict[str, Left] = OrderedDict()

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
        """The responses that are read and were not created on this connection."""
        return sum(reader.lane is None for reader in self)

    @property
    def behind(self) -> bool:
        """Return whether some log has more than was read of it."""
        for reader in self._rotation:  # noqa: SIM110 - on the path of every token
            if reader.position < reader.log.tip:
                return True
        return False

    @property
    def due(self) -> bool:
        """Return whether a call of `read` may lead to anything: to an entry, or to the end of a reader."""
        for reader in self._rotation:
            log, position = reader.log, reader.position
            if position != log.tip or position < log.floor or log.sealed:
                return True
        return False

    @property
    def may_wait(self) -> bool:
        """Return whether there are only deltas to read that continue one the client already has."""
        for reader in self._rotation:
            log = reader.log
            behind = reader.position < log.tip
            if behind and (reader.catch_up is not None or reader.position <= log.milestone + 1):
                return False
        return True

    def get(self, response_id: str) -> Reader | None:
        """Return the reader of this response."""
        return self._by_id.get(response_id)

    def of(self, lane: Lane) -> Reader | None:
        """Return the reader of the response that a lane runs."""
        return next((reader for reader in self if reader.lane is lane), None)

    def add(self, reader: Reader) -> None:
        """Add a reader. The client's earlier acknowledgement of its response stays valid."""
        earlier = self._left.pop(reader.source.response_id, None)
        if earlier is not None:
            reader.processed = earlier.processed
        self._by_id[reader.source.response_id] = reader
        self._rotation.append(reader)
        self._look_for_only()

    def remove(self, reader: Reader) -> None:
        """Remove a reader, and remember its response as the newest that was left."""
        response_id = reader.source.response_id
        del self._by_id[response_id]
        self._rotation.remove(reader)
        self._look_for_only()
        self._left[response_id] = Left(reader.num_taken, reader.processed)
        if len(self._left) > _MAX_LEFT:
            self._left.popitem(last=False)

    def clear(self) -> None:
        """Forget everything: the socket is gone."""
        self._by_id.clear()
        self._rotation.clear()
        self._look_for_only()
        self._left.clear()

    def _look_for_only(self) -> None:
        self._only = self._rotation[0] if len(self._rotation) == 1 else None

    def newest(self) -> bytes | None:
        """Read the one new event of the only response, if it is a delta, as nearly every time. None: call `read`."""
        reader = self._only
        if reader is None:
            return None
        log = reader.log
        entry, following = log.newest_delta, reader.position + 1
        if entry is None or log.tip != following or reader.catch_up is not None or reader.epoch != log.epoch:
            return None
        reader.position = following
        return entry

    def newest_of_all(self) -> list[bytes]:
        """Read the one new event of each response that has any, if all of them are deltas. Empty: call `read`."""
        out: list[bytes] = []
        read: list[Reader] = []
        for reader in self._rotation:
            log, position = reader.log, reader.position
            tip = log.tip
            if tip == position and log.floor <= position and not log.sealed:
                continue
            entry = log.newest_delta
            if entry is None or tip != position + 1 or reader.catch_up is not None or reader.epoch != log.epoch:
                return []
            out.append(entry)
            read.append(reader)
        for reader in read:
            reader.position += 1
        return out

    def step(self) -> list[bytes] | None:
        """Read a step of the only response, if it is an ordinary one. None: call `read`."""
        reader = self._only
        if reader is None or reader.catch_up is not None:
            return None
        log, position = reader.log, reader.position
        tip = log.tip
        if reader.epoch != log.epoch:
            return None
        if log.floor <= position < tip < position + _QUANTUM and not log.sealed:
            reader.position = tip
            return log.read(position, _QUANTUM)
        return None

    def read(self, max_bytes: int) -> tuple[list[bytes], list[Done]]:
        """Read about `max_bytes` of entries, in rounds: in each, every log has its turn with at most `_QUANTUM` events.

        Also returns the readers that are done, which have been removed.
        """
        out: list[bytes] = []
        done: list[Done] = []
        size = 0
        more = True
        while more and size < max_bytes:
            more = False
            for _ in range(len(self._rotation)):
                reader = self._rotation.pop(0)
                self._rotation.append(reader)
                log, catch_up, quantum = reader.log, reader.catch_up, _QUANTUM
                if reader.epoch != log.epoch:
                    quantum = self._enter_epoch(reader, out)
                try:
                    if catch_up is None:
                        chunk = passed_on = log.read(reader.position, quantum)
                        reader.position += len(chunk)
                    else:
                        chunk, passed_on = reader.read_merged(catch_up, quantum)
                except BelowFloor as below:
                    self.remove(reader)
                    done.append((reader, below.error or below.floor))
                    continue
                if log.sealed and reader.position >= log.tip:
                    self.remove(reader)
                    done.append((reader, None))
                out += passed_on
                size += sum(map(len, chunk))  # what is read counts: to merge much into little takes its time as well
                if len(chunk) == quantum or (catch_up is not None and reader.position < log.tip):
                    more = True  # who had less is at the tip now, or has read what was abridged
                if size >= max_bytes:
                    break
        return out, done

    def _enter_epoch(self, reader: Reader, out: list[bytes]) -> int:
        """Tell a client the epoch in which its reader reads on. Return how many events the reader may have now: of one
        that is at the start the first alone, since that tells the client of the response.
        """
        log = reader.log
        if not reader.position or reader.position >= log.tip:
            return 1
        out += self._tell_epoch(reader)
        reader.epoch = log.epoch
        return _QUANTUM

    # -- what the client says of a response

    def acknowledge(self, event: ResponseAck) -> None:
        """Note that the client has taken in what it was sent. Raises WireError for events that it has not been sent."""
        reader = self.get(event.response_id)
        known = reader or self._left.get(event.response_id)
        if known is None:
            return  # it was left long ago: an acknowledgement may always come too late
        if event.through >= known.num_taken:
            raise refusals.not_sent(event.response_id, event.through)
        known.processed = max(event.through, -1 if known.processed is None else known.processed)

    def new_cancel(self, response_id: str, event: ResponseCancel, *, native: bool) -> Stop:
        """Return the command for a cancel, with how much of the response the client has had, as far as it is read here.
        A plain client's acknowledgement cuts no response that is over: it expects no answer to a late cancel.
        """
        reader = self.get(response_id)
        known = reader or self._left.get(response_id)
        through = event.through
        if through is None and known is not None and (native or reader is not None):
            through = known.processed
        return Stop(
            response_id=response_id,
            how="cancel",
            followed=reader is not None,
            delivered=reader.num_taken if reader is not None else None,
            through=through,
            cuts_late=through is not None and (native or event.through is not None),
            event_id=event.event_id,
        )

    def new_truncate(self, event: ResponseTruncate) -> Truncate:
        """Return the command for a truncation. Raises WireError for one that names no place."""
        reader = self.get(event.response_id)
        return Truncate(
            response_id=event.response_id,
            place=place_of(event),
            followed=reader is not None,
            delivered=reader.num_taken if reader is not None else None,
            event_id=event.event_id,
        )
