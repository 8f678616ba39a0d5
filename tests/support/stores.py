"""The stores that every test of stores is about: in memory, and in a file that is committed to at once or not at all.

`late`: nothing is committed before `flush`, so what is found is found among what waits for it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from realtime.store.base import ConversationStore, RequestStore, ResponseStore
from realtime.store.memory import MemoryConversations, MemoryRequests, MemoryResponses
from realtime.store.sqlite.stores import Bounds, Opened, open_at_once
from realtime.wire.ids import new_id

from .responses import PLENTY

Kind = Literal["memory", "sqlite", "late"]
KINDS: tuple[Kind, ...] = ("memory", "sqlite", "late")


class Made(msgspec.Struct, frozen=True):
    """Stores of a kind. `opened`: the file's, if there is one."""

    responses: ResponseStore
    conversations: ConversationStore
    requests: RequestStore
    opened: Opened | None = None

    def flush(self) -> None:
        """Have everything committed that was written."""
        if self.opened is not None:
            while not self.opened.commits.settled:
                self.opened.commits.flush()


class Maker:
    """Makes stores of one kind."""

    def __init__(self, kind: Kind, folder: Path, leaving: ExitStack) -> None:
        self.kind = kind
        self._folder = folder
        self._leaving = leaving
        self._numbers = count()

    def __call__(
        self, max_bytes: int = PLENTY, *, max_conversations_bytes: int = PLENTY, max_conversation_bytes: int = 1 << 18,
        max_items: int = 100, new_id: Callable[[str], str] = new_id,
    ) -> Made:  # fmt: skip
        """Make new ones, with these bounds."""
        bounds = Bounds(
            max_bytes=max_bytes,
            max_conversations_bytes=max_conversations_bytes,
            max_conversation_bytes=max_conversation_bytes,
            max_items=max_items,
        )
        if self.kind == "memory":
            requests = MemoryRequests()
            conversations = MemoryConversations(
                max_bytes=bounds.max_conversations_bytes,
                max_conversation_bytes=bounds.max_conversation_bytes,
                max_items=bounds.max_items,
                new_id=new_id,
            )
            return Made(MemoryResponses(max_bytes=max_bytes, on_gone=requests.forget), conversations, requests)
        opened = open_at_once(self.new_path(), bounds, waits=self.kind == "late", new_id=new_id)
        self._leaving.callback(opened.stores.close)
        return Made(opened.stores.responses, opened.stores.conversations, opened.stores.requests, opened)

    def new_path(self) -> Path:
        """Where no store is yet."""
        return self._folder / f"{next(self._numbers)}.db"


def makers(*kinds: Kind) -> Callable[..., Iterator[Maker]]:
    """A fixture for the tests of a module that are about these kinds."""

    @pytest.fixture(scope="module", params=kinds)
    def make(request: pytest.FixtureRequest) -> Iterator[Maker]:
        with tempfile.TemporaryDirectory() as folder, ExitStack() as leaving:
            yield Maker(request.param, Path(folder), leaving)

    return make
