"""Turns as the nodes share them: each counts the references to it, and is deleted with the last one.

A row has the ids of the nearest turns that it continues, up to a limit, so that a long history is read in few steps.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from realtime.context.turns import Turn
from realtime.store.packed.marks import likeness, mark, marked
from realtime.store.packed.turns import Row, decode_own_items, decode_turns, encode_turn
from realtime.wire.items import InputItem

from . import keys
from .backend import Backend
from .transaction import Transaction

_MAX_NEAREST = 32


class _Turn(msgspec.Struct, array_like=True):
    nearest: list[str]  # what it continues, newest first
    body: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Turn).decode


class TurnRows:
    """Shared turns. `store`: marks the turns in memory. `new_id`: gives ids that no other node gives."""

    def __init__(self, store: object, vocabulary: str, new_id: Callable[[], str]) -> None:
        """vocabulary: see `encode_turn`."""
        self._store = store
        self._vocabulary = vocabulary
        self._new_id = new_id

    async def keep(self, tx: Transaction, turn: Turn | None) -> str | None:
        """Refer to a turn, and store it with all of its history that is not stored yet. Return its id."""
        new: list[Turn] = []
        parent: str | None = None
        at = turn
        while at is not None:
            parent = await self._point_to(tx, at)
            if parent is not None:
                break
            new.append(at)
            at = likeness(at).parent
        nearest = await self._nearest(tx, parent)
        for one in reversed(new):
            parent = self._insert(tx, one, nearest)
            nearest = [parent, *nearest][:_MAX_NEAREST]
        return parent

    async def release(self, tx: Transaction, turn_id: str | None) -> None:
        """Drop a reference to a turn. With the last one the turn goes, and so does its reference to the turn
        before it.
        """
        while turn_id is not None:
            references = keys.references(turn_id)
            count = await tx.count(references)
            if count is None:
                return
            await tx.rely(references)
            if count > 1:
                tx.add(references, -1)
                return
            value = await tx.get(keys.turn(turn_id))
            tx.delete(references, keys.turn(turn_id))
            if value is None:
                return
            tx.add(keys.response_bytes(tx.lease), -len(value))
            nearest = _decode(value).nearest
            turn_id = nearest[0] if nearest else None

    async def _point_to(self, tx: Transaction, turn: Turn) -> str | None:
        """Refer to the row of a turn; None: it has none."""
        found = marked(turn, self._store)
        if found is None and (other := likeness(turn)) is not turn:
            found = marked(other, self._store)
        if found is None:
            return None
        turn_id = str(found)
        references = keys.references(turn_id)
        if not await tx.count(references):
            return None
        await tx.rely(references, exists=True)
        tx.add(references, 1)
        mark(turn, self._store, turn_id)
        return turn_id

    async def _nearest(self, tx: Transaction, turn_id: str | None) -> list[str]:
        if turn_id is None:
            return []
        value = await tx.get(keys.turn(turn_id))
        nearest = _decode(value).nearest if value is not None else []
        return [turn_id, *nearest][:_MAX_NEAREST]

    def _insert(self, tx: Transaction, turn: Turn, nearest: list[str]) -> str:
        turn_id, other = self._new_id(), likeness(turn)
        value = _encode(_Turn(nearest, encode_turn(other, self._vocabulary)))
        tx.set(keys.turn(turn_id), value)
        tx.add(keys.references(turn_id), 1)
        tx.add(keys.response_bytes(tx.lease), len(value))
        mark(other, self._store, turn_id)
        mark(turn, self._store, turn_id)
        return turn_id


class Torn(Exception):
    """An error: the rows were changed while they were read. Read them again."""


async def read_turn(backend: Backend, turn_id: str | None, store: object, vocabulary: str) -> tuple[Turn | None, int]:
    """Return a turn with all that it continues, and about how much memory that takes. Raises Torn, and ValueError."""
    if turn_id is None:
        return None, 0
    rows: list[Row] = []  # newest first
    wanted = [turn_id]
    while wanted:
        values = await backend.get([keys.turn(one) for one in wanted])
        found = [_decode(value) for value in values if value is not None]
        if len(found) < len(wanted):
            raise Torn
        rows += [Row(one, turn.body) for one, turn in zip(wanted, found, strict=True)]
        wanted = found[-1].nearest
    return decode_turns(rows[::-1], store, vocabulary), 4 * sum(len(row.body) for row in rows)


async def read_own_items(backend: Backend, turn_id: str) -> tuple[InputItem, ...] | None:
    """Return the items that one turn added; None: it is gone. Raises ValueError."""
    [value] = await backend.get([keys.turn(turn_id)])
    return decode_own_items(_decode(value).body) if value is not None else None
