"""What is kept after a response is over: for resuming late, for continuing, for asking again. Pure.

The protocol is what the service needs; `MemoryStore` keeps everything in this process, bounded in bytes and in time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Protocol

import msgspec

from realtime.context.turns import Turn
from realtime.wire.items import InputItem, OutputItem, id_of
from realtime.wire.response import Response

from .event_log import EventLog

MAX_ITEM_ID = 256  # characters; ids on input are the client's


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A finished response. `turn` is None when it failed; `continuable` is false for `store: false`."""

    owner: str  # the tenant
    response: Response
    log: EventLog
    turn: Turn | None
    continuable: bool
    expires_at: float  # on the clock of `now`
    input: tuple[InputItem, ...] = ()  # what its request brought, also when it failed

    @property
    def num_bytes(self) -> int:
        """About what it holds."""
        return self.log.num_bytes + (self.turn.num_bytes if self.turn is not None else 0)

    @property
    def response_id(self) -> str:
        return self.log.response_id

    @property
    def output(self) -> list[OutputItem]:
        """See Source."""
        return self.response.output


class Store(Protocol):
    """Finished responses by id."""

    def put(self, record: Record, now: float) -> None:
        """Keep a record; others may be dropped to make room."""

    def get(self, response_id: str, now: float) -> Record | None:
        """The record, unless it is unknown, expired or was dropped."""

    def delete(self, response_id: str) -> None:
        """Forget it; unknown ids are ignored."""

    def find_item(self, owner: str, item_id: str, now: float) -> InputItem | None:
        """The item with this id in the newest of the owner's continuable records that has one."""


class MemoryStore:
    """The most recent records, at most `max_bytes` of log; the oldest go first."""

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._num_bytes = 0
        self._records: OrderedDict[str, Record] = OrderedDict()
        self._homes: dict[tuple[str, str], tuple[str, int]] = {}  # (owner, item id) -> response, place in it

    def put(self, record: Record, now: float) -> None:
        """See Store."""
        self.delete(record.response_id)
        self._records[record.response_id] = record
        self._num_bytes += record.num_bytes
        for index, item_id in _item_ids(record):
            self._homes[record.owner, item_id] = (record.response_id, index)
        self._sweep(now)

    def get(self, response_id: str, now: float) -> Record | None:
        """See Store."""
        self._sweep(now)
        record = self._records.get(response_id)
        return record if record is not None and record.expires_at > now else None

    def delete(self, response_id: str) -> None:
        """See Store."""
        record = self._records.pop(response_id, None)
        if record is None:
            return
        self._num_bytes -= record.num_bytes
        for index, item_id in _item_ids(record):
            if self._homes.get((record.owner, item_id)) == (response_id, index):
                del self._homes[record.owner, item_id]

    def find_item(self, owner: str, item_id: str, now: float) -> InputItem | None:
        """See Store."""
        response_id, index = self._homes.get((owner, item_id), ("", 0))
        record = self.get(response_id, now)
        return record.turn.own_items()[index] if record is not None and record.turn is not None else None

    def _sweep(self, now: float) -> None:
        """Drop what is oldest and over a bound. Records that expire early behind a late one wait for `get`."""
        while self._records:
            oldest = next(iter(self._records.values()))
            if self._num_bytes <= self._max_bytes and oldest.expires_at > now:
                return
            self.delete(oldest.response_id)


def _item_ids(record: Record) -> Iterator[tuple[int, str]]:
    """Where its items are and the ids by which they can be referred to: only of what may be continued."""
    if record.turn is None or not record.continuable:
        return
    for index, item in enumerate(record.turn.own_items()):
        item_id = id_of(item)
        if item_id is not None and len(item_id) <= MAX_ITEM_ID:
            yield index, item_id
