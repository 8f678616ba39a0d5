"""An abridged form of the entries that a log has dropped: enough for readers that take deltas merged, and to find a
place in the answer. Pure.

A run of deltas is kept as its text, with four bytes for each event to find the place where a reader continues in it;
other entries stay as they are. That is about as much as the response itself holds, and not several hundred bytes for
each token. It is made when entries are dropped, so a log that stays within its bounds never pays for it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence

import msgspec
from msgspec import UNSET

from .entries import Entry, own_bytes, shared_parts, whole
from .merging import DeltaEvent, read_delta

_MAX_TEXTS = 1024  # strings before they are joined: each costs more than what is in it
_OVERHEAD_BYTES = 64  # about what a block costs beside what it holds


class KeptDeltas(msgspec.Struct, frozen=True):
    """Consecutive deltas of one part. `first` has what they have in common. `text_ends`, `logprob_ends`: where the text
    of each ends, and its log probabilities, in all of them; the latter is empty if there are none.
    """

    first: DeltaEvent
    text: str
    text_ends: array[int]
    logprob_ends: array[int]


class Abridged:
    """Abridged entries from number 0 on, up to `tip`. `num_bytes`: their approximate size."""

    __slots__ = ("_blocks", "_shared", "_starts", "num_bytes", "tip")

    def __init__(self) -> None:
        self._blocks: list[Entry | _KeptRun] = []
        self._shared: set[int] = set()  # the identities of texts that several entries have
        self._starts: list[int] = []  # the number of each block's first entry
        self.num_bytes = 0
        self.tip = 0

    def add(self, entries: Sequence[Entry]) -> None:
        """Take the next entries."""
        for entry in entries:
            delta = read_delta(entry) if isinstance(entry, bytes) else None
            newest = self._blocks[-1] if self._blocks else None
            if delta is None:
                self._begin(entry, self._own_bytes(entry))
            elif not isinstance(newest, _KeptRun) or not delta.continues(newest.first):
                run = _KeptRun(delta)
                self._begin(run, own_bytes(entry) - len(delta.delta))
                self.num_bytes += run.add(delta)
            else:
                self.num_bytes += newest.add(delta)
            self.tip += 1

    def read(self, start: int, max_blocks: int) -> tuple[list[bytes | DeltaEvent], int]:
        """Return the entries from number `start` on, each run of deltas as one, and the number after them."""
        index = bisect_right(self._starts, start) - 1
        found: list[bytes | DeltaEvent] = []
        for place in range(index, min(index + max_blocks, len(self._blocks))):
            block = self._blocks[place]
            if isinstance(block, _KeptRun):
                found.append(block.rest(max(start - self._starts[place], 0)))
            else:
                found.append(whole(block))
        behind = index + max_blocks
        return found, self._starts[behind] if behind < len(self._starts) else self.tip

    def since(self, start: int) -> tuple[list[bytes | KeptDeltas], int]:
        """Return the entries from number `start` on, or from a little before it, and the number of the first. They are
        values: what is added later is not in them.
        """
        index = max(bisect_right(self._starts, start) - 1, 0)
        blocks = self._blocks[index:]
        found = [block.values() if isinstance(block, _KeptRun) else whole(block) for block in blocks]
        return found, self._starts[index]

    def blocks(self) -> list[Entry | KeptDeltas]:
        """Return everything that is kept, as values from which `of` makes the same again."""
        return [block.everything() if isinstance(block, _KeptRun) else block for block in self._blocks]

    @classmethod
    def of(cls, blocks: Sequence[Entry | KeptDeltas]) -> Abridged:
        """Restore the entries from their blocks."""
        made = cls()
        for block in blocks:
            if isinstance(block, KeptDeltas):
                run = _KeptRun.of(block)
                made._begin(run, run.num_bytes)
                made.tip += len(block.text_ends)
            else:
                made._begin(block, made._own_bytes(block))
                made.tip += 1
        return made

    def _own_bytes(self, entry: Entry) -> int:
        """Return the size of an entry, without texts that earlier ones here have too."""
        new = [part for part in shared_parts(entry) if id(part) not in self._shared]
        self._shared.update(map(id, new))
        return own_bytes(entry) + sum(map(len, new))

    def _begin(self, block: Entry | _KeptRun, num_bytes: int) -> None:
        self._blocks.append(block)
        self._starts.append(self.tip)
        self.num_bytes += num_bytes + _OVERHEAD_BYTES


class _KeptRun:
    """A run of consecutive deltas of one part. `first`: the first one, for what they have in common."""

    __slots__ = ("_logprob_ends", "_logprobs", "_text_ends", "_texts", "first")

    def __init__(self, first: DeltaEvent) -> None:
        self.first = msgspec.structs.replace(first, delta="", logprobs=UNSET if first.logprobs is UNSET else [])
        self._texts: list[str] = []
        self._text_ends = array("I")  # where the text of each ends, in characters of all of it
        self._logprobs: list[msgspec.Raw] = []
        self._logprob_ends = array("I")  # stays empty as long as there are none

    @classmethod
    def of(cls, kept: KeptDeltas) -> _KeptRun:
        """Restore a run from its values."""
        run = cls(kept.first)
        run._texts, run._text_ends = [kept.text], kept.text_ends[:]
        run._logprobs, run._logprob_ends = list(kept.first.logprobs or ()), kept.logprob_ends[:]
        return run

    @property
    def num_bytes(self) -> int:
        """The approximate size of the run."""
        logprobs = sum(len(bytes(raw)) + 4 for raw in self._logprobs)
        return len(msgspec.json.encode(self.first)) + sum(map(len, self._texts)) + 4 * len(self._text_ends) + logprobs

    def add(self, delta: DeltaEvent) -> int:
        """Add a delta. Return about how many bytes it takes."""
        before = self._text_ends[-1] if self._text_ends else 0
        self._texts.append(delta.delta)
        if len(self._texts) >= _MAX_TEXTS:
            self._texts = ["".join(self._texts)]
        self._text_ends.append(before + len(delta.delta))
        logprobs = [raw.copy() for raw in delta.logprobs or ()]  # else each would hold the whole event
        if logprobs and not self._logprobs:
            self._logprob_ends.extend([0] * (len(self._text_ends) - 1))
        self._logprobs += logprobs
        if self._logprobs:
            self._logprob_ends.append(len(self._logprobs))
        return len(delta.delta) + 4 + sum(len(bytes(raw)) + 4 for raw in logprobs)

    def values(self) -> KeptDeltas:
        """Return all deltas, each by itself."""
        return KeptDeltas(self.first, self._text(), self._text_ends[:], self._logprob_ends[:])

    def everything(self) -> KeptDeltas:
        """Return all deltas, with their log probabilities as those of `first`."""
        logprobs = UNSET if self.first.logprobs is UNSET else list(self._logprobs)
        return msgspec.structs.replace(self.values(), first=msgspec.structs.replace(self.first, logprobs=logprobs))

    def _text(self) -> str:
        if len(self._texts) > 1:
            self._texts = ["".join(self._texts)]
        return self._texts[0]

    def rest(self, index: int) -> DeltaEvent:
        """Return all deltas from the one with this index on, as one."""
        number, last = self.first.sequence_number + index, self.first.sequence_number + len(self._text_ends) - 1
        at = self._text_ends[index - 1] if index else 0
        logprobs = self._logprobs[self._logprob_ends[index - 1] if index and self._logprobs else 0 :]
        return msgspec.structs.replace(
            self.first,
            sequence_number=last,
            first_sequence_number=number if number != last else UNSET,
            delta=self._text()[at:],
            logprobs=UNSET if self.first.logprobs is UNSET else logprobs,
        )
