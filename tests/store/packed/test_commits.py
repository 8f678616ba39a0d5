"""Batches on their way to a writer that may be gone."""

from __future__ import annotations

from collections.abc import Callable

from realtime.store.packed.batches import Batch, Done
from realtime.store.packed.commits import Commits


class _Writer:
    """Takes batches, and does nothing until it is told."""

    def __init__(self) -> None:
        self.taken: list[tuple[Batch, Callable[[Done], None]]] = []
        self.due: list[Callable[[], None]] = []
        self.asked: list[float] = []  # in how many seconds

    def submit(self, batch: Batch, done: Callable[[Done], None]) -> None:
        self.taken.append((batch, done))

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        self.due.append(call)
        self.asked.append(seconds)


def test_what_is_put_after_a_loss_is_written() -> None:
    """The batch under way had one behind it, which waited for its end."""
    writer, done = _Writer(), list[str]()
    commits = Commits(writer, 0.0)
    commits.put(print, after=lambda: done.append("lost"))
    writer.due.pop()()
    commits.put(print, after=lambda: done.append("lost"))
    assert not writer.due
    commits.abandon()
    commits.put(print, after=lambda: done.append("kept"))
    [flush] = writer.due
    flush()
    (_, lost), (_, kept) = writer.taken
    lost(Done({}))
    assert not commits.settled
    kept(Done({}))
    assert commits.settled
    assert done == ["kept"]


def test_what_somebody_waits_for_is_written_soon_and_with_what_else_there_is() -> None:
    writer = _Writer()
    commits = Commits(writer, 0.5)
    commits.hurry()
    assert writer.asked == [], "there is nothing"
    commits.put(print)
    commits.hurry()
    commits.hurry()
    assert writer.asked == [0.5, 0.002]
    commits.flush()
    commits.put(print)
    commits.hurry()
    assert writer.asked == [0.5, 0.002], "one at a time"
    writer.taken.pop()[1](Done({}))
    assert writer.asked == [0.5, 0.002, 0.002]
    commits.flush()
    writer.taken.pop()[1](Done({}))
    commits.put(print)
    assert writer.asked == [0.5, 0.002, 0.002, 0.5], "nobody waits for this one"
