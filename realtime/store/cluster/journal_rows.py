"""The journal of one lease: a row for each flush, kept while a response of it runs. No other lease writes to it."""

from __future__ import annotations

from collections.abc import Sequence

from realtime.store.packed.batches import Appended
from realtime.store.packed.journal import Chunk, Shorthand, encode_chunks, only, without
from realtime.store.packed.steps import chunk_of

from . import keys
from .backend import Key, Lease
from .transaction import Transaction

_LONG = 20_000  # rows after which what is over is taken out from between what runs
_AT_ONCE = 500  # of them in one commit: they have to be read


class JournalRows:
    """The journal of one lease. It knows the rows of each running response."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._rows: dict[int, tuple[int, int]] = {}  # response -> the first and the last row that it may be in
        self._running: dict[int, Shorthand] = {}
        self._first = 1  # rows before it are gone
        self._newest = 0
        self._compacted = 0  # up to here there is nothing but what runs

    def begin(self, number: int) -> None:
        """Begin to keep what is appended to a response."""
        self._running[number] = Shorthand()

    def end(self, number: int) -> None:
        """Note that a response is over: the journal need not keep it any longer."""
        self._running.pop(number, None)

    def append(self, appended: Sequence[Appended]) -> tuple[dict[Key, bytes], dict[int, int]]:
        """Return the writes of a flush, and the new tips."""
        running = self._running
        chunks = [
            chunk_of(number, first, shorthand.shorten(events), what, num_hidden)
            for number, first, events, what, num_hidden in appended
            if (shorthand := running.get(number)) is not None
        ]
        if not chunks:
            return {}, {}
        return {self._add(chunks): encode_chunks(chunks)}, {chunk.number: chunk.tip for chunk in chunks}

    def copy(self, number: int, chunks: Sequence[Chunk]) -> dict[Key, bytes]:
        """Return the writes for a response that another lease had, with its number here."""
        self.begin(number)
        for chunk in chunks:
            chunk.number = number
        return {self._add(chunks): encode_chunks(chunks)} if chunks else {}

    def outdated(self) -> list[Key]:
        """Return the rows that are no longer needed: those before the first needed one."""
        needed = [self._rows[number][0] for number in self._running if number in self._rows]
        first = min(needed, default=self._newest + 1)
        if first <= self._first:
            return []
        gone = [keys.journal(self._lease, row) for row in range(self._first, first)]
        self._first = first
        self._rows = {number: rows for number, rows in self._rows.items() if rows[1] >= first}
        return gone

    async def erase(self, tx: Transaction, number: int) -> None:
        """Remove all of a response, from every row."""
        first, last = self._rows.get(number, (1, 0))
        rows = [keys.journal(self._lease, row) for row in range(max(first, self._first), last + 1)]
        await tx.load(rows)
        for row in rows:
            blob = await tx.get(row)
            if blob is None:
                continue
            left = without(blob, number)
            if left is None:
                tx.delete(row)
            elif left != blob:
                tx.set(row, left)

    @property
    def is_long(self) -> bool:
        """Return whether `compact` is due."""
        return self._newest - max(self._first, self._compacted) > _LONG

    async def compact(self, tx: Transaction) -> None:
        """Merge many rows into one, without finished responses: one that runs for hours must not keep all the
        others.
        """
        first = max(self._first, self._compacted)
        last = first + _AT_ONCE - 1
        rows = [keys.journal(self._lease, row) for row in range(first, last + 1)]
        await tx.load(rows)
        blobs = [blob for row in rows if (blob := await tx.get(row)) is not None]
        left = only(blobs, self._running)
        tx.delete(*rows)
        if left:
            tx.set(rows[-1], encode_chunks(left))
            for number in {chunk.number for chunk in left}:
                begins, ends = self._rows[number]
                self._rows[number] = (begins, max(ends, last))
        self._compacted = last + 1

    def _add(self, chunks: Sequence[Chunk]) -> Key:
        self._newest += 1
        row = self._newest
        for number in {chunk.number for chunk in chunks}:
            self._rows[number] = (self._rows.get(number, (row, row))[0], row)
        return keys.journal(self._lease, row)
