"""A log of which readers see only what is committed (`deliver: after_commit`). Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import ClassVar

from .abridged import Abridged
from .event_log import EventLog


class CommittedLog:
    """A log up to what is committed. A `Log`.

    The batch that is being collected commits all writes of one step: `grown` notes which batch that is, and `commit`
    shows the writes of the batches that are committed.
    """

    __slots__ = ("_collecting", "_log", "_marks", "tip")
    newest_delta: ClassVar[None] = None

    def __init__(self, log: EventLog, collecting: Callable[[], int]) -> None:
        """collecting: returns the number of the batch that is being collected. What the log has already is
        committed.
        """
        self._log = log
        self._collecting = collecting
        self._marks: deque[tuple[int, int]] = deque()  # tip -> the batch with which it is there
        self.tip = log.tip

    def grown(self) -> None:
        """Note that the log has grown."""
        number, tip = self._collecting(), self._log.tip
        if self._marks and self._marks[-1][1] == number:
            self._marks.pop()
        self._marks.append((tip, number))

    def commit(self, number: int) -> bool:
        """Show what is committed up to the batch of this number. Return whether that is more than before."""
        before = self.tip
        while self._marks and self._marks[0][1] <= number:
            self.tip = self._marks.popleft()[0]
        return self.tip > before

    @property
    def whole(self) -> bool:
        """Return whether all of the log is committed, including its end."""
        return self._log.sealed and self.tip == self._log.tip

    @property
    def sealed(self) -> bool:
        """See EventLog."""
        return self.whole

    @property
    def response_id(self) -> str:
        """See EventLog."""
        return self._log.response_id

    @property
    def epoch(self) -> str:
        """See EventLog."""
        return self._log.epoch

    @property
    def floor(self) -> int:
        """See EventLog."""
        return self._log.floor

    @property
    def milestone(self) -> int:
        """See EventLog."""
        return self._log.milestone

    @property
    def abridged(self) -> Abridged | None:
        """Return the abridged entries; see Log. They include uncommitted ones that are already below the floor: then
        nobody reads them.
        """
        return self._log.abridged if self._log.floor <= self.tip else None

    @property
    def restarted_at(self) -> int | None:
        """See Log."""
        return self._log.restarted_at

    @property
    def earlier(self) -> Mapping[str, int]:
        """See Log."""
        return self._log.earlier

    @property
    def comes_again(self) -> bool:
        """See Log."""
        return self._log.comes_again

    @property
    def left(self) -> bool:
        """See Log."""
        return self._log.left

    def read(self, start: int, max_events: int) -> list[bytes]:
        """See Log."""
        return self._log.read(start, max(min(max_events, self.tip - start), 0))
