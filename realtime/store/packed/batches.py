"""Batches of changes that are committed together, and their results. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from realtime.engine.base import TokenChunk
from realtime.store.records import Note

Step = tuple[Callable[..., Any], tuple[Any, ...]]
"""A change: a method of the rows, and its arguments."""

Appended = tuple[int, int, Sequence[bytes], TokenChunk | Note | None, int]
"""What one `append` or `note` brings: the response's number, the first event's, events, what the engine gave or is
asked for, events that are only counted.
"""


class Batch:
    """Changes that are committed together."""

    __slots__ = ("after", "appended", "deletes", "steps")

    def __init__(self) -> None:
        self.deletes = False  # it has what somebody wants to be gone
        self.steps: list[Step] = []
        self.appended: list[Appended] = []
        self.after: list[Callable[[], None]] = []  # to be called on the loop when it is committed

    def __bool__(self) -> bool:
        return bool(self.steps or self.appended)


class Done(msgspec.Struct, frozen=True):
    """The result of a commit. tips: of the running responses, by number. gone: records that were dropped to make room
    or because they had expired. given_up: dropped conversations, each with its bytes. next_expiry: when the next record
    expires.
    """

    tips: dict[int, int]
    gone: Sequence[str] = ()
    given_up: Sequence[tuple[str, int]] = ()
    next_expiry: float | None = None
    has_steps: bool = False
