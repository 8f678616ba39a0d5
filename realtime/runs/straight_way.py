"""The straight way of a delta: from a parser's piece to the log, the journal and the readers, while one item is open.

Nearly every chunk only adds to the open item: to a message, to reasoning, to the arguments of a call. What assembler
and log would make of it is known: the last event once more, with another text. So nothing is made of it but the entry.
A chunk that is more than that goes the long way (`Generation`), which opens the straight one when it can.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import monotonic
from typing import Protocol

from realtime.dialects.base import Parser, Piece
from realtime.engine.base import TokenChunk
from realtime.store.base import ResponseStore
from realtime.store.event_log import EventLog

from .audience import Wake
from .open_items import OpenText
from .usage import TokenUsage


class Grown(Protocol):
    """A response whose log grows: a run."""

    grown_at: float

    def lose_journal(self) -> None:
        """Write no more to the journal: it has failed."""


class StraightWay:
    """The way of what is added to one open item. If the item `streams`, the log's last event is its delta. watchers:
    woken for each new one.
    """

    __slots__ = (
        "_add_text", "_extend", "_feed", "_grown", "_log", "_note_tokens", "_num_before", "_response_id", "_takes",
        "_token_ids", "_watchers", "_write",
    )  # fmt: skip

    def __init__(
        self, grown: Grown, parser: Parser, item: OpenText, log: EventLog, journal: ResponseStore | None,
        usage: TokenUsage, watchers: Iterable[Wake],
    ) -> None:  # fmt: skip
        self._grown = grown
        self._feed = parser.feed
        self._takes = item.takes
        self._add_text = item.add_text
        self._log = log
        self._extend = log.extend if item.streams else None
        self._response_id = log.response_id
        self._write = journal.append if journal is not None else None
        self._token_ids = usage.latest.token_ids
        self._num_before = usage.earlier.num_output
        self._note_tokens = usage.generated.append
        self._watchers = watchers

    def take(self, chunk: TokenChunk) -> Sequence[Piece]:
        """Count and parse a chunk, which is not the last one. Return the pieces that have to go the long way: all or
        none.
        """
        token_ids = self._token_ids
        token_ids.extend(chunk.token_ids)
        pieces = self._feed(chunk)
        if len(pieces) == 1 and type(piece := pieces[0]) is self._takes:
            text: str = piece.text
            self._add_text(text)
            if self._extend is not None:
                entry = self._extend(text)
                if self._write is not None:
                    self._record((entry,), chunk)
                self._note_tokens(self._num_before + len(token_ids))
                self._grown.grown_at = monotonic()
                for wake in self._watchers:
                    wake()
                return ()
        elif pieces:
            return pieces
        if self._write is not None:
            self._record((), chunk)
        return ()

    def _record(self, entries: Sequence[bytes], chunk: TokenChunk) -> None:
        """Write to the journal, the entries that have just been appended and what they were made of."""
        assert self._write is not None
        try:
            self._write(self._response_id, self._log.tip - len(entries), entries, chunk)
        except BaseException:
            self._grown.lose_journal()
            raise
