"""What was said before: an immutable chain of turns. Pure.

A turn points to its parent and is never changed, so continuing and forking cost nothing and can't disturb anybody:
any number of children may share one parent. `instructions` are not part of a turn: each request brings its own.
"""

from __future__ import annotations

import msgspec

from realtime.wire.items import InputItem, OutputItem


class Turn(msgspec.Struct, frozen=True):
    """One finished exchange: what the client sent and what the model answered, after everything in `parent`."""

    response_id: str
    parent: Turn | None
    input: tuple[InputItem, ...]
    output: tuple[OutputItem, ...]

    def items(self) -> list[InputItem]:
        """The whole history, oldest first, including this turn's answer."""
        chain: list[Turn] = []
        turn: Turn | None = self
        while turn is not None:
            chain.append(turn)
            turn = turn.parent
        return [item for link in reversed(chain) for item in (*link.input, *link.output)]


def history(parent: Turn | None, items: list[InputItem]) -> list[InputItem]:
    """Everything that the model is to see for a request with these items after `parent`, oldest first."""
    return [*parent.items(), *items] if parent is not None else list(items)
