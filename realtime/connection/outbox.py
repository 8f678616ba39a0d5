"""The outbox: events that a connection itself sends, numbered, encoded, bounded; and errors as
clients read them. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from realtime.wire import codec, events
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.requests import AnyClientEvent, ResponseCancel, ResponseCreate

from .lanes import valid_stream_id

_MAX_BYTES = 64 * 2**20  # what was given into responses is given back whole when nothing came of it
_NO_ECHO = frozenset({ErrorCode.INVALID_STREAM_ID, ErrorCode.CONNECTION_LIMIT})


class Outbox:
    """Events that are `waiting` to be written: at most `max_events`, and about `_MAX_BYTES`.

    `overflowed`: one did not fit, because the client provokes events and does not read them. It must be cut off.
    """

    def __init__(self, max_events: int) -> None:
        self.overflowed = False
        self._max_events = max_events
        self.waiting: list[bytes] = []
        self._num_bytes = 0
        self._next_number = 0

    def __len__(self) -> int:
        return len(self.waiting)

    def put(self, event: events.Event) -> None:
        """Number an event and keep it."""
        if len(self.waiting) >= self._max_events or self._num_bytes > _MAX_BYTES:
            self.overflowed = True
            return
        event.sequence_number = self._next_number
        self._next_number += 1
        entry = codec.encode_line(event)
        self._num_bytes += len(entry)
        self.waiting.append(entry)

    def put_all(self, some: Iterable[events.Event]) -> None:
        """Number events and keep them, in order."""
        for event in some:
            self.put(event)

    def refuse(self, error: WireError, stream_id: Any, event_id: str | None) -> None:
        """Put the event that refuses something. `stream_id`: as the client gave it."""
        self.put(error_event(error, stream_id, event_id))

    def answer(self, event: AnyClientEvent, error: WireError) -> None:
        """Refuse a client event."""
        stream_id = event.stream_id if isinstance(event, ResponseCreate | ResponseCancel) else None
        self.refuse(error, stream_id, event.event_id)

    def take(self) -> list[bytes]:
        """Take all of them."""
        entries, self.waiting = self.waiting, []
        self._num_bytes = 0
        return entries


def error_event(error: WireError, stream_id: Any, event_id: str | None) -> events.Error:
    """Return the event that refuses something. `stream_id`: as the client gave it."""
    spec = error.spec
    echo = stream_id is not None and error.code not in _NO_ECHO and valid_stream_id(stream_id)
    return events.Error(
        done=True,
        status=spec.status,
        error=events.error_body(error),
        stream_id=stream_id if echo else msgspec.UNSET,
        event_id=msgspec.UNSET if event_id is None else event_id,
    )
