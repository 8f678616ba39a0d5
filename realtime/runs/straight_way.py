"""The straight way of text: from a chunk to the log, the journal and the readers, while one message is open.

Nearly every chunk only adds to the text of the open message. What parser, assembler and log would make of it is known:
the last event once more, with another text. So nothing is made of it but the entry. A chunk that is anything else goes
the long way (`Generation`), which opens the straight one when it can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic
from typing import Protocol

from realtime.dialects.base import Parser
from realtime.engine.base import TokenChunk
from realtime.store.base import ResponseStore
from realtime.store.event_log import EventLog

from .audience import Wake
from .stop_signal import StopSignal
from .usage import TokenUsage


class Grown(Protocol):
    """A response whose log grows: a run."""

    grown_at: float

    def lose_journal(self) -> None:
        """Write no more to the journal: it has failed."""


class StraightWay:
    """The way of one message's text. add_text: keeps it for the item. watchers: woken for each chunk."""

    __slots__ = (
        "_add_text", "_grown", "_log", "_note_tokens", "_num_before", "_only_text", "_response_id", "_stopping",
        "_token_ids", "_watchers", "_write",
    )  # fmt: skip

    def __init__(
        self, grown: Grown, parser: Parser, stopping: StopSignal, log: EventLog, journal: ResponseStore,
        usage: TokenUsage, add_text: Callable[[str], None], watchers: Iterable[Wake],
    ) -> None:  # fmt: skip
        self._grown = grown
        self._only_text = parser.only_text
        self._stopping = stopping
        self._log = log
        self._response_id = log.response_id
        self._write = journal.append if journal.has_journals else None
        self._token_ids = usage.latest.token_ids
        self._num_before = usage.earlier.num_output
        self._note_tokens = usage.generated.append
        self._add_text = add_text
        self._watchers = watchers

    def take(self, chunk: TokenChunk) -> bool:
        """Take a chunk that only adds text. Return False for any other one, and change nothing."""
        stopping = self._stopping
        if chunk.finish is not None or stopping.stop is not None or stopping.steering or not self._only_text(chunk):
            return False
        token_ids, log = self._token_ids, self._log
        token_ids.extend(chunk.token_ids)
        entry = log.extend(chunk.text)
        self._add_text(chunk.text)
        if self._write is not None:
            try:
                self._write(self._response_id, log.tip - 1, (entry,), chunk)
            except BaseException:
                self._grown.lose_journal()
                raise
        self._note_tokens(self._num_before + len(token_ids))
        self._grown.grown_at = monotonic()
        for wake in self._watchers:
            wake()
        return True
