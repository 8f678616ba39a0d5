"""Marks on turns: the row of a file in which a turn lies, so that the turns that continue it need not store it again.
Pure.

A turn in memory may outlive its row, because the row was dropped or never committed. So a mark is a hint, and the
writer checks whether the row is there.
"""

from __future__ import annotations

from realtime.context.turns import Turn

RowId = int | str


def mark(turn: Turn, file: object, number: RowId) -> None:
    """Mark a turn as the row `number` of a file."""
    turn.__dict__["row"] = (file, number)
    turn.__dict__.pop("same_as", None)


def marked(turn: Turn, file: object) -> RowId | None:
    """Return the row in which a turn of this file was; None: unknown."""
    of, number = turn.__dict__.get("row", (None, 0))
    return number if of is file else None


def liken(turn: Turn, other: Turn) -> None:
    """Note that a turn is equivalent to another one, including its whole history."""
    if turn is not other:
        turn.__dict__["same_as"] = other


def likeness(turn: Turn) -> Turn:
    """Return the turn that is stored for this one: itself, if it has no equivalent."""
    found: Turn = turn.__dict__.get("same_as", turn)
    return found
