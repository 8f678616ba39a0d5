"""The stores of one node of a cluster, put together; and their end.

stores = open_cluster_stores("redis://host", "a", "ws://10.0.0.1:8000", bounds, settings)
await stores.membership.join()
...
await stores.membership.leave()
stores.close()
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from realtime.settings.fields import GIB, StoreSettings
from realtime.store.base import Claim, Stores
from realtime.store.conversations import Conversation
from realtime.store.event_log import StoredLog
from realtime.store.packed.bounds import Bounds, flush_ms
from realtime.store.packed.commits import Commits
from realtime.store.packed.conversations import PackedConversations
from realtime.store.packed.past import ReadHead
from realtime.store.packed.reader import Reader, ReadRecord
from realtime.store.packed.responses import PackedResponses
from realtime.store.records import Filter, Record
from realtime.store.shelves import Place, Span
from realtime.wire.ids import home_of, ids_at
from realtime.wire.items import InputItem

from .adoption import Adoption
from .backend import Away, Backend, Denied, Fenced, Refused
from .committer import Committer
from .conversation_rows import ConversationRows
from .facts import Inspectable
from .hosts import Host, ThreadHost
from .membership import CannotJoin
from .node import ClusterNode, LeaseTimes, Reset
from .reading import Reading
from .requests import ClusterRequests
from .response_rows import ResponseRows
from .timed_backend import TimedBackend, Told
from .turn_rows import TurnRows
from .urls import shown

_CACHE_BYTES = 64 << 20  # of records, and as much again of conversations
_MAX_UNSTORED_BYTES = GIB
_OPENINGS, _OPENING_SECONDS = 20, 0.5  # tries to reach the store at a start, and between two of them
_MAX_OWN = 100_000  # responses of this node's earlier epochs that are looked for at a start


class Opened(msgspec.Struct, frozen=True):
    """The stores of a node. `stores`: those that the service uses. The rest is for tests and measurements."""

    stores: Stores
    node: ClusterNode
    commits: Commits
    backend: Backend
    host: Host
    committer: Committer


def open_cluster_stores(
    url: str, node: str, advertise: str, bounds: Bounds, settings: StoreSettings, told: Told | None = None
) -> Stores:
    """Connect to a cluster's store: `redis://`, `rediss://`, `postgresql://`. `advertise`: the URL at which the
    other nodes reach this one. `told`: told of each round trip. Blocks until the store has answered. Raises CannotJoin.
    """
    try:
        backend = make_backend(url)
    except Refused as error:
        raise CannotJoin(f"{shown(url)} can't be used as the cluster's store: {error}") from None
    return open_cluster(backend, node, advertise, bounds, settings, name=shown(url), told=told).stores


def make_backend(url: str) -> Inspectable:
    """Return the backend that a URL names. Raises Refused."""
    scheme = url.partition(":")[0]
    if scheme in ("redis", "rediss", "unix"):
        from .redis_backend import RedisBackend

        return RedisBackend(url)
    if scheme in ("postgresql", "postgres"):
        from .postgres_backend import PostgresBackend

        return PostgresBackend(url)
    raise Refused("use redis://, rediss:// or postgresql://")


def open_cluster(
    backend: Backend, node: str, advertise: str, bounds: Bounds, settings: StoreSettings, *, name: str = "this",
    times: LeaseTimes | None = None, told: Told | None = None,
) -> Opened:  # fmt: skip
    """Connect to a backend, with a thread. `told`: of each round trip, on that thread. Raises CannotJoin."""
    backend = backend if told is None else TimedBackend(backend, told)
    host = ThreadHost()
    try:
        host.wait(_opened(backend))
    except (Away, Refused) as error:
        host.finish(_nothing(), 1.0)
        raise CannotJoin(f"{name} can't be used as the cluster's store: {error}") from None
    return put_together(backend, host, node, advertise, bounds, flush_seconds=flush_ms(settings) / 1e3, times=times)


def put_together(
    backend: Backend, host: Host, node: str, advertise: str, bounds: Bounds, *, flush_seconds: float = 0.0,
    times: LeaseTimes | None = None, new_id: Callable[[str], str] | None = None,
    clock: Callable[[], float] = time.monotonic, wall_ns: Callable[[], int] = time.time_ns,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Opened:  # fmt: skip
    """Assemble the stores of a node on an open backend. `clock`: of the lease. `wall_ns`: unix nanoseconds."""
    store = object()  # what turns in memory are marked with
    reading = Reading(backend, store, bounds.vocabulary)
    adoption = Adoption(backend, store, bounds.vocabulary, sleep)
    committer = Committer(backend, reading, adoption, sleep)
    member = ClusterNode(node, advertise, backend, host, committer, adoption, reading, times or LeaseTimes(), clock)
    turns = TurnRows(store, bounds.vocabulary, _turn_ids(committer))
    response_rows, conversation_rows = ResponseRows(turns, bounds.max_bytes, wall_ns), ConversationRows(turns)
    commits = Commits(member, flush_seconds)
    reader = _HostReader(host, reading, adoption, node)
    requests = ClusterRequests(response_rows, commits, reader)
    responses = PackedResponses(
        response_rows, commits, reader,
        cache_bytes=_CACHE_BYTES, max_unstored_bytes=_MAX_UNSTORED_BYTES, on_gone=requests.forget,
        caches=lambda response_id: home_of(response_id) == node,
    )  # fmt: skip
    conversations = PackedConversations(
        conversation_rows, commits, reader,
        max_bytes=bounds.max_conversations_bytes,
        max_conversation_bytes=bounds.max_conversation_bytes,
        max_items=bounds.max_items,
        cache_bytes=_CACHE_BYTES,
        new_id=new_id or ids_at(node),
        clock=lambda: wall_ns() / 1e9,
    )  # fmt: skip

    def reset(found: Reset) -> None:
        responses.reset(found.next_expiry)
        conversations.reset(found.conversation_bytes)
        requests.reset()

    def tidy() -> None:
        commits.put(response_rows.expire, wall_ns() / 1e9)
        commits.put(committer.erase)

    def close() -> None:
        commits.close()
        member.close()

    member.commits, member.on_reset, member.on_adopted, member.tidy = commits, reset, responses.enter, tidy
    stores = Stores(
        responses, conversations, requests,
        trouble=lambda: member.trouble, close=close, outlive=True, batches=commits, membership=member,
    )  # fmt: skip
    return Opened(stores, member, commits, backend, host, committer)


def _turn_ids(committer: Committer) -> Callable[[], str]:
    number = 0

    def make() -> str:
        nonlocal number
        number += 1
        lease = committer.lease
        if lease is None:  # lost in the middle of a batch, of which nothing may be committed then
            raise Fenced
        return f"{lease.node}.{lease.epoch:x}.{number:x}"

    return make


class _HostReader(Reader):
    """A `Reader` whose look-ups run on a host."""

    def __init__(self, host: Host, reading: Reading, adoption: Adoption, node: str) -> None:
        self._host = host
        self._reading = reading
        self._adoption = adoption
        self._node = node

    async def record(self, response_id: str) -> ReadRecord | None:
        """See Reader."""
        return await self._host.ask(self._reading.record(response_id))

    async def log(self, response_id: str) -> StoredLog | None:
        """See Reader."""
        return await self._host.ask(self._reading.log(response_id))

    async def item(self, owner: str, item_id: str, now: float, hidden: frozenset[str]) -> InputItem | None:
        """See Reader."""
        return await self._host.ask(self._reading.item(owner, item_id, now, hidden))

    async def page(
        self, filter: Filter, span: Span, now: float, hidden: frozenset[str]
    ) -> tuple[list[Record], Place | None]:
        """See Reader."""
        return await self._host.ask(self._reading.page(filter, span, now, hidden))

    async def unfinished(self) -> Sequence[ReadHead]:
        """Return the responses that this node had under its earlier leases, unless another node was faster.
        See Reader.
        """

        async def take() -> list[ReadHead]:
            found, _ = await self._adoption.orphans(_MAX_OWN, self._node)
            return await self._adoption.adopt(found)

        return await self._host.ask(take())

    async def claim(self, tenant: str, request_id: str) -> Claim | None:
        """See Reader."""
        return await self._host.ask(self._reading.claim(tenant, request_id))

    async def conversation(self, conversation_id: str) -> Conversation | None:
        """Return a conversation; see Reader. Raises HeldElsewhere."""
        return await self._host.ask(self._adoption.conversation(conversation_id))

    async def conversation_page(
        self, owner: str, metadata: Sequence[tuple[str, str]], span: Span
    ) -> tuple[list[Conversation], Place | None]:
        """See Reader."""
        return await self._host.ask(self._reading.conversation_page(owner, metadata, span))


async def _opened(backend: Backend) -> None:
    """Open a backend. One that is starting at the same time may take a moment. Raises Away, and Refused."""
    for _ in range(_OPENINGS):
        try:
            return await backend.open()
        except Denied:
            raise
        except Away:
            await asyncio.sleep(_OPENING_SECONDS)
    return await backend.open()


async def _nothing() -> Any:
    return None
