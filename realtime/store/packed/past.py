"""The journal of a response that is not over, reassembled from its chunks; damage is logged."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import msgspec

from realtime.context.turns import Turn
from realtime.store.records import Begun, Head, PastGeneration, Unfinished

from .journal import Chunk, Shorthand
from .steps import given_in, note_in

logger = logging.getLogger("realtime.store")


class ReadHead(msgspec.Struct, frozen=True):
    """A response that ran when the last process ended; see Unfinished. `tip`: of the known events; if it was not to be
    stored, none of them is here.
    """

    number: int
    head: Head
    events: Sequence[bytes]
    tip: int
    generations: Sequence[PastGeneration]
    attempts: int
    epoch: str
    earlier: Mapping[str, int]
    left: bool
    lonely: bool
    detached: bool
    damaged: bool

    def unfinished(self) -> Unfinished:
        """Return it in the service's form."""
        return Unfinished(
            self.head, self.events, self.tip, self.generations, self.attempts, self.epoch, self.earlier, self.left,
            self.lonely, self.detached, self.damaged,
        )  # fmt: skip


class PastJournal:
    """The journal of one response, as it is read."""

    def __init__(self, number: int, head: Head, parent: Turn | None) -> None:
        self._number = number
        self._head = head
        self._parent = parent
        self._events: list[bytes] = []
        self._tip = 0
        self._shorthand = Shorthand()
        self._generations: list[PastGeneration] = []
        self._attempts = 1
        self._epoch = head.epoch
        self._earlier: dict[str, int] = {}
        self._left = self._lonely = self._detached = False
        self._is_damaged = False

    def take(self, chunk: Chunk) -> None:
        """Take the next chunk. Chunks after a damaged one are ignored: other responses must not suffer from it."""
        if self._is_damaged:
            return
        try:
            note, given = note_in(chunk, self._parent), given_in(chunk)
        except (ValueError, IndexError) as error:
            logger.error("journal damaged response_id=%s at=%d: %s", self._head.response_id, chunk.first, error)
            self._is_damaged = True
            return
        self._events += self._shorthand.spell_out(chunk.events)
        self._tip = chunk.tip
        if isinstance(note, Begun):
            if self._generations and self._generations[-1].begun.number == note.number:
                self._generations.pop()  # it was refused before it began
            self._generations.append(PastGeneration(note, []))
        elif note is not None:
            if note.epoch != self._epoch:
                self._earlier[self._epoch] = chunk.first
            self._attempts, self._epoch = note.attempts, note.epoch
            self._left, self._lonely, self._detached = note.left, note.lonely, note.detached
        if given is not None and self._generations:
            self._generations[-1].chunks.append(given)

    def read(self) -> ReadHead:
        """Return all of it."""
        return ReadHead(
            self._number, self._head, self._events, self._tip, self._generations, self._attempts, self._epoch,
            self._earlier, self._left, self._lonely, self._detached, self._is_damaged,
        )  # fmt: skip
