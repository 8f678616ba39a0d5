"""The stores that every test of stores is about: in memory, and in a file that is committed to at once or not at all.

`late`: nothing is committed before `flush`, so what is found is found among what waits for it. `cluster`: the stores of
a node, on a backend in memory; `redis`, `postgres`: on a real server.
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
from realtime.store.cluster import keys
from realtime.store.cluster import stores as cluster
from realtime.store.cluster.node import LeaseTimes
from realtime.store.cluster.transaction import read_total
from realtime.store.memory.conversations import MemoryConversations
from realtime.store.memory.requests import MemoryRequests
from realtime.store.memory.responses import MemoryResponses
from realtime.store.sqlite.stores import Bounds, Opened, open_at_once
from realtime.wire.ids import new_id
from tests.support.at_once_host import AtOnceHost
from tests.support.memory_backend import MemoryBackend

from .at_once import at_once, no_sleep
from .long import LONG
from .responses import PLENTY
from .store_servers import StoreServers

HOURS = LeaseTimes(live=36_000.0)

Kind = Literal["memory", "sqlite", "late", "cluster", "cluster-late", "redis", "postgres"]
KINDS: tuple[Kind, ...] = ("memory", "sqlite", "late", "cluster", "cluster-late", "redis", "postgres")
SERVERS = frozenset({"redis", "postgres"})


class Made(msgspec.Struct, frozen=True):
    """Stores of a kind. `opened`: the file's, if there is one; `node`: the cluster's."""

    responses: ResponseStore
    conversations: ConversationStore
    requests: RequestStore
    opened: Opened | None = None
    node: cluster.Opened | None = None

    def flush(self) -> None:
        """Have everything committed that was written."""
        opened = self.opened or self.node
        if opened is not None:
            while not opened.commits.settled:
                opened.commits.flush()

    @property
    def num_bytes(self) -> int | None:
        """What all responses take of the room that there is, where they are written."""
        if self.opened is not None:
            rows = self.opened.transactions
            return rows.responses.num_bytes + rows.turns.num_bytes
        if self.node is not None:
            return at_once(self.node.host.ask(read_total(self.node.backend, keys.RESPONSE_BYTES)))
        return None


class Maker:
    """Makes stores of one kind."""

    def __init__(self, kind: Kind, folder: Path, leaving: ExitStack, servers: StoreServers) -> None:
        self.kind = kind
        self._server = servers[kind] if kind in SERVERS else None
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
        if self.kind in ("cluster", "cluster-late", "redis", "postgres"):
            return self._node(bounds, new_id)
        opened = open_at_once(self.new_path(), bounds, waits=self.kind == "late", new_id=new_id)
        self._leaving.callback(opened.stores.close)
        return Made(opened.stores.responses, opened.stores.conversations, opened.stores.requests, opened)

    def _node(self, bounds: Bounds, new_id: Callable[[str], str]) -> Made:
        """Make the stores of the only node of a new cluster."""
        server = self._server
        backend = MemoryBackend() if server is None else server.backend()
        host = AtOnceHost(at_once if server is None else server.wait, waits=self.kind == "cluster-late")
        host.start(backend.open())
        opened = cluster.put_together(backend, host, "a", "ws://a", bounds, new_id=new_id, times=HOURS, sleep=no_sleep)
        at_once(opened.node.join())
        self._leaving.callback(opened.stores.close)
        stores = opened.stores
        return Made(stores.responses, stores.conversations, stores.requests, node=opened)

    def new_path(self) -> Path:
        """Where no store is yet."""
        return self._folder / f"{next(self._numbers)}.db"


def makers(*kinds: Kind) -> Callable[..., Iterator[Maker]]:
    """A fixture for the tests of a module that are about these kinds."""

    @pytest.fixture(scope="module", params=kinds)
    def make(request: pytest.FixtureRequest, store_servers: StoreServers) -> Iterator[Maker]:
        with tempfile.TemporaryDirectory() as folder, ExitStack() as leaving:
            yield Maker(request.param, Path(folder), leaving, store_servers)

    return make


def only_long(make: Maker) -> None:
    """Leave a property that makes many stores to the long form, where each is on a server."""
    if make.kind in SERVERS and not LONG:
        pytest.skip("many stores on a server: `make check-long`")
