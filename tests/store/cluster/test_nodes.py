"""Two nodes on one store: who owns what, what is adopted, what the other sees, and what becomes of a lost lease."""

from __future__ import annotations

import asyncio
import tempfile
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from realtime.context.turns import Prompt, Turn
from realtime.engine.base import TokenChunk
from realtime.settings.fields import StoreSettings
from realtime.store.base import Claim
from realtime.store.cluster import journal_rows, keys
from realtime.store.cluster.backend import Away, Backend, Changes, Lease, Refused
from realtime.store.cluster.membership import (
    CannotJoin,
    HeldElsewhere,
    Owner,
    Peer,
    TenantPlaces,
    tenant_digest,
)
from realtime.store.cluster.node import TIDY_BEATS, LeaseTimes
from realtime.store.cluster.stores import Opened, make_backend, open_cluster, open_cluster_stores, put_together
from realtime.store.records import Begun, Head, PastGeneration, Record, Unfinished
from realtime.store.shelves import Span
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.items import Message
from realtime.wire.requests import ResponseCreate
from tests.support.at_once import at_once, no_sleep
from tests.support.at_once_host import AtOnceHost
from tests.support.memory_backend import MemoryBackend
from tests.support.responses import Answer
from tests.support.steps import until
from tests.support.store_servers import StoreServers, started

from .world import BOUNDS


class Cluster:
    """Nodes in this process, whose time passes by `now`."""

    def __init__(self) -> None:
        self.now = 100.0
        self.backend = MemoryBackend(lambda: self.now)

    def node(self, name: str, **more: Any) -> Opened:
        """Start a node."""
        opened = put_together(
            self.backend, AtOnceHost(at_once), name, f"ws://{name}", BOUNDS, clock=lambda: self.now,
            wall_ns=lambda: int(self.now * 1e9), sleep=no_sleep, **more,
        )  # fmt: skip
        at_once(opened.node.join())
        return opened

    def later(self, seconds: float, *nodes: Opened) -> None:
        """Let time pass in which only these nodes renew their leases."""
        for _ in range(int(seconds)):
            self.now += 1.0
            for node in nodes:
                at_once(node.node.beat())


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def begin(
    node: Opened,
    response_id: str = "resp_a_1",
    *,
    events: int = 0,
    parent: Turn | None = None,
    where: str | None = None,
) -> None:
    request = ResponseCreate(items=[Message(role="user", content="question")], conversation=where)
    head = Head(response_id=response_id, owner="t", epoch="e", stream_id=None, request=request)
    responses = node.stores.responses
    responses.open(head)
    begun = Begun(number=1, prompt=Prompt("p", array("I", [1, 2])), parent=parent, seed=7)
    responses.note(response_id, 0, begun)
    for n in range(events):
        responses.append(response_id, n, [event(n)], TokenChunk(f"t{n}", array("I", [n])))


def event(n: int) -> bytes:
    return b'{"type":"response.output_text.delta","delta":"%d","done":%d}' % (n, n)


def adopt(node: Opened, *ids: str) -> list[Unfinished]:
    async def take() -> list[Unfinished]:
        return [one async for one in node.node.adopt(ids or await all_orphans(node))]

    return at_once(take())


async def all_orphans(node: Opened, limit: int = 10) -> list[str]:
    return [one async for page in node.node.orphans(limit) for one in page]


def seal(node: Opened, response_id: str = "resp_a_1", **members: Any) -> Record:
    answer = Answer(response_id).say("hello").finish()
    kept: dict[str, Any] = {"owner": "t", "epoch": "e", "turn": answer.turn, "continuable": True, "expires_at": 1e6}
    record = Record(response=answer.response, **{**kept, **members})
    node.stores.responses.seal(record, answer.log.stored(), 0.0)
    return record


def stored(cluster: Cluster) -> bytes:
    """All that the backend has, in one."""
    rows = cluster.backend._values.items()
    return b"\n".join(key + b"=" + value for key, value in rows)


def test_what_a_node_left_goes_on_at_another_from_its_first_event(cluster: Cluster) -> None:
    a, b = cluster.node("a"), cluster.node("b")
    parent = Turn("resp_a_0", None, (Message(role="user", content="before"),), ())
    begin(a, events=5, parent=parent)
    begin(b, "resp_b_1")
    assert at_once(b.node.owner_of("resp_a_1")) == Owner("a", a.node.epoch)
    assert (adopt(b), adopt(b, "resp_a_1"), adopt(b, "resp_b_1"), adopt(b, "nothing")) == ([], [], [], [])
    cluster.later(10, b)
    assert (a.node.holds(), b.node.holds()) == (False, True)
    [found] = adopt(b)
    assert (found.head.response_id, found.events, found.tip) == ("resp_a_1", [event(n) for n in range(5)], 5)
    [generation] = found.generations
    assert isinstance(generation, PastGeneration)
    assert (generation.begun.seed, [chunk.text for chunk in generation.chunks]) == (7, [f"t{n}" for n in range(5)])
    assert generation.begun.parent == parent
    assert at_once(b.node.owner_of("resp_a_1")) == Owner("b", b.node.epoch)
    assert adopt(b) == []
    b.stores.responses.append("resp_a_1", 5, [event(5)])
    assert b.stores.responses.durable("resp_a_1") == 6
    cluster.later(10)  # b ends too
    c = cluster.node("c")
    assert {one.head.response_id: one.tip for one in adopt(c)} == {"resp_a_1": 6, "resp_b_1": 0}
    seal(c)
    seal(c, "resp_b_1")
    assert adopt(c) == []
    assert b"journal/a" not in stored(cluster)
    assert b"journal/b" not in stored(cluster)


def test_a_node_that_starts_again_goes_on_with_its_own(cluster: Cluster) -> None:
    a, b = cluster.node("a"), cluster.node("b")
    begin(a, events=2)
    begin(b, "resp_b_1", events=1)
    with pytest.raises(CannotJoin):
        cluster.node("a")
    at_once(a.node.leave())
    at_once(b.node.leave())
    again = cluster.node("a")

    async def recover() -> list[str]:
        return [one.head.response_id async for one in again.stores.responses.recover()]

    assert at_once(recover()) == ["resp_a_1"]
    assert again.node.epoch > a.node.epoch


def test_who_was_stopped_beyond_its_lease_changes_nothing(cluster: Cluster) -> None:
    a, b = cluster.node("a"), cluster.node("b")
    lost: list[str] = []
    a.node.on_lost.append(lambda: lost.append("a"))
    begin(a, events=2)
    cluster.later(10, b)
    adopt(b)
    before = stored(cluster)
    a.stores.responses.append("resp_a_1", 2, [b"mine"])
    assert (lost, a.node.holds(), a.stores.trouble()) == (["a"], False, "node a has no lease")
    seal(a)
    assert stored(cluster) == before
    at_once(a.node.join())
    assert (lost, a.stores.trouble()) == (["a"], None)
    seal(a)  # by a run that has not been told
    a.stores.responses.append("resp_a_1", 2, [b"mine"])
    assert at_once(b.stores.responses.get("resp_a_1", 0.0)) is None
    record = seal(b)
    seal(a, expires_at=1.0)
    assert at_once(b.stores.responses.get("resp_a_1", 0.0)) == record


async def test_a_lease_does_not_hold_before_the_stores_have_begun_with_it() -> None:
    """What is written in between would be dropped with what is left of the earlier lease."""
    granted, go_on = asyncio.Event(), asyncio.Event()

    class LateHost(AtOnceHost):
        """A host whose answers come late."""

        async def ask(self, work: Any) -> Any:
            found = await super().ask(work)
            granted.set()
            await go_on.wait()
            return found

    opened = put_together(MemoryBackend(), LateHost(at_once), "a", "ws://a", BOUNDS, sleep=no_sleep)
    joining = asyncio.create_task(opened.node.join())
    await granted.wait()
    assert not opened.node.holds()
    with pytest.raises(WireError):
        opened.stores.check_writable()
    go_on.set()
    await joining
    assert opened.node.holds()
    opened.stores.check_writable()


def test_what_is_finished_is_read_by_any_node(cluster: Cluster) -> None:
    a, b = cluster.node("a"), cluster.node("b")
    record = seal(a)
    assert at_once(b.stores.responses.get("resp_a_1", 0.0)) == record
    log, mine = at_once(b.stores.responses.read("resp_a_1", 0.0)), at_once(a.stores.responses.read("resp_a_1", 0.0))
    assert log is not None
    assert mine is not None
    assert log.read(0, 100) == mine.read(0, 100)
    b.stores.responses.delete("resp_a_1")
    assert at_once(b.stores.responses.get("resp_a_1", 0.0)) is None


def test_nothing_is_left_of_what_another_node_deletes(cluster: Cluster) -> None:
    a, b = cluster.node("a"), cluster.node("b")
    begin(a, "resp_a_2", events=1)  # it runs, and keeps the journal
    begin(a, "resp_a_1", events=3)
    seal(a)
    assert at_once(b.stores.responses.get("resp_a_1", 0.0)) is not None
    b.stores.responses.delete("resp_a_1")
    cluster.later(2 * TIDY_BEATS, a, b)
    assert b"resp_a_1" not in stored(cluster)
    journal = at_once(a.backend.range(*keys.under("journal"), 100))
    assert len(journal) == 2, "what the other one said, and what it was asked"


def test_any_node_drops_what_has_expired(cluster: Cluster) -> None:
    a, b = cluster.node("a"), cluster.node("b")
    seal(a, expires_at=110.0)
    seal(a, "resp_a_2", expires_at=1e6)
    at_once(a.node.leave())
    cluster.later(2 * TIDY_BEATS, b)
    assert b"resp_a_1" not in stored(cluster)
    assert b"resp_a_2" in stored(cluster)


def test_a_claim_is_one_nodes(cluster: Cluster) -> None:
    a, b = cluster.node("a"), cluster.node("b")
    mine, other = Claim("resp_a_1", b"x"), Claim("resp_b_1", b"x")
    assert at_once(a.stores.requests.claim("t", "r", mine, None)) is None
    assert at_once(b.stores.requests.claim("t", "r", other, None)) == mine
    assert at_once(b.stores.requests.claim("t", "r", other, mine)) is None
    assert at_once(a.stores.requests.find("t", "r")) == other
    at_once(a.stores.requests.claim("t", "never begun", mine, None))
    cluster.later(4000, b)
    b.stores.responses.sweep(cluster.now)
    cluster.later(2 * TIDY_BEATS, b)
    assert at_once(b.stores.requests.find("t", "never begun")) is None


def test_a_conversation_is_written_by_who_has_it_in_memory(cluster: Cluster) -> None:
    a, b = cluster.node("a"), cluster.node("b")
    conversation = a.stores.conversations.create("t", {"k": "v"}, 1)
    said = [Message(role="user", content="hi")]
    a.stores.conversations.post(conversation, said, said, 1)
    with pytest.raises(HeldElsewhere) as refused:
        at_once(b.stores.conversations.get("t", conversation.id))
    assert refused.value.owner == Owner("a", a.node.epoch)
    assert at_once(b.node.owner_of(conversation.id)) == Owner("a", a.node.epoch)
    cluster.later(10, b)
    found = at_once(b.stores.conversations.get("t", conversation.id))
    assert (found.items(), found.metadata) == (conversation.items(), {"k": "v"})
    a.stores.conversations.post(conversation, said, said, 1)  # it does not know yet
    assert conversation.deleted, "now it does"
    with pytest.raises(WireError) as gone:
        conversation.check_exists()
    assert gone.value.code is ErrorCode.STORE_UNAVAILABLE, "it is there, and has another node"
    at_once(a.node.join())
    with pytest.raises(HeldElsewhere):
        at_once(a.stores.conversations.get("t", conversation.id))
    listed, _ = at_once(a.stores.conversations.list("t", [], Span(limit=10)))
    assert [one.id for one in listed] == [conversation.id]


def test_a_conversation_that_was_read_under_a_lost_lease_is_not_this_nodes(cluster: Cluster) -> None:
    """By the end of the look-up anybody may take it."""
    a, b = cluster.node("a"), cluster.node("b")
    conversation = b.stores.conversations.create("t", {}, 100)
    at_once(b.node.leave())
    read = cluster.backend.range

    async def lose(*arguments: Any, **more: Any) -> Any:
        cluster.backend.range = read  # type: ignore[method-assign]
        cluster.later(10)
        at_once(a.node.join())
        return await read(*arguments, **more)

    cluster.backend.range = lose  # type: ignore[method-assign]
    with pytest.raises(WireError) as refused:
        at_once(a.stores.conversations.get("t", conversation.id))
    assert refused.value.code is ErrorCode.STORE_UNAVAILABLE
    assert at_once(a.stores.conversations.get("t", conversation.id)).id == conversation.id
    assert at_once(a.node.owner_of(conversation.id)) == Owner("a", a.node.epoch)


def test_nodes_see_each_other(cluster: Cluster) -> None:
    a, b = cluster.node("a"), cluster.node("b")
    a.node.announce("serving", 3)
    cluster.later(1, a, b)
    assert b.node.peers() == {"a": Peer("a", a.node.epoch, "ws://a", "serving", 3)}
    at_once(a.node.leave())
    cluster.later(1, b)
    assert b.node.peers() == {}


@pytest.mark.parametrize("kind", ["redis", "postgres"])
async def test_while_the_store_is_away_what_is_written_waits(kind: str, store_servers: StoreServers) -> None:
    """On a thread, with a real server whose way is cut off and comes back."""
    backend = Gate(make_backend(store_servers[kind].url()))
    opened = await asyncio.to_thread(
        open_cluster, backend, "a", "ws://a", BOUNDS, StoreSettings(store_flush_ms=1), times=LeaseTimes(live=3600)
    )
    member = opened.node
    await member.join()
    begin(opened, events=1)
    await until(lambda: opened.stores.responses.durable("resp_a_1") == 1, "the first event")
    backend.away = True
    opened.stores.responses.append("resp_a_1", 1, [event(1)])
    await until(lambda: opened.stores.trouble() is not None, "trouble")
    with pytest.raises(WireError) as refused:
        await opened.stores.responses.get("resp_a_2", 0.0)
    assert refused.value.code is ErrorCode.STORE_UNAVAILABLE
    with pytest.raises(WireError):
        opened.stores.check_writable()
    opened.stores.responses.append("resp_a_1", 2, [event(2)])
    backend.away = False
    await until(lambda: opened.stores.responses.durable("resp_a_1") == 3, "the others")
    assert opened.stores.trouble() is None
    await member.leave()
    await asyncio.to_thread(opened.stores.close)


@pytest.mark.parametrize("kind", ["redis", "postgres"])
async def test_a_store_that_is_started_again_is_found_again(kind: str) -> None:
    with tempfile.TemporaryDirectory(prefix="realtime-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        server = await asyncio.to_thread(started, kind, folder)
        times = LeaseTimes(live=3600)
        opened = await asyncio.to_thread(
            open_cluster,
            make_backend(server.url()),
            "a",
            "ws://a",
            BOUNDS,
            StoreSettings(store_flush_ms=1),
            times=times,
        )
        await opened.node.join()
        begin(opened, events=1)
        await until(lambda: opened.stores.responses.durable("resp_a_1") == 1, "the first event")
        await asyncio.to_thread(server.close)
        opened.stores.responses.append("resp_a_1", 1, [event(1)])
        await until(lambda: opened.stores.trouble() is not None, "trouble")
        server = await asyncio.to_thread(started, kind, folder)
        await until(lambda: opened.stores.responses.durable("resp_a_1") == 2, "the second event")
        assert opened.node.holds()
        await opened.node.leave()
        await asyncio.to_thread(opened.stores.close)
        await asyncio.to_thread(server.close)


def test_a_response_that_runs_for_hours_keeps_no_other_in_the_journal(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_rows, "_LONG", 10)
    monkeypatch.setattr(journal_rows, "_AT_ONCE", 5)
    a, b = cluster.node("a"), cluster.node("b")
    begin(a, events=1)
    for n in range(1, 60):
        begin(a, "resp_a_2", events=2)
        seal(a, "resp_a_2")
        if n % 5 == 0:
            a.stores.responses.append("resp_a_1", n // 5, [event(n // 5)])
    rows = at_once(a.backend.range(*keys.under("journal"), 1000))
    assert len(rows) < 50, "of more than 180"
    cluster.later(10, b)
    [found] = adopt(b)
    assert found.events == [event(n) for n in range(12)]


class Gate:
    """A way to a backend that can be cut off."""

    def __init__(self, backend: Backend) -> None:
        self.away = False
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        async def refused(*arguments: Any, **more: Any) -> Any:
            raise Away("it is away")

        return refused if self.away else getattr(self._backend, name)


async def test_a_node_that_cannot_renew_stops_before_its_lease_is_over() -> None:
    backend = Gate(MemoryBackend())
    times = LeaseTimes(live=0.5, renew=0.05, margin=0.2)
    opened = await asyncio.to_thread(
        open_cluster, backend, "a", "ws://a", BOUNDS, StoreSettings(store_flush_ms=1), times=times
    )
    lost = asyncio.Event()
    opened.node.on_lost.append(lost.set)
    await opened.node.join()
    epoch = opened.node.epoch
    begin(opened, events=1)
    await until(lambda: opened.stores.responses.durable("resp_a_1") == 1, "the first event")
    backend.away = True
    await lost.wait()
    assert not opened.node.holds()
    opened.stores.responses.append("resp_a_1", 1, [event(1)])
    backend.away = False
    await opened.node.join()
    assert opened.node.epoch > epoch
    ids = await all_orphans(opened)
    assert [one.tip async for one in opened.node.adopt(ids)] == [1], "what was committed, and nothing later"
    await opened.node.leave()
    await asyncio.to_thread(opened.stores.close)


def test_what_can_not_be_adopted_does_not_hide_the_rest(cluster: Cluster) -> None:
    """Such as what is in conversations that another node has in memory: a look goes on behind it."""
    a, b, c = (cluster.node(name) for name in "abc")
    kept = b.stores.conversations.create("t", {}, 100)
    b.commits.flush()
    for n in range(7):
        begin(a, f"resp_a_{n}", where=kept.id if n < 5 else None)
    begin(c, "resp_c_1")
    a.commits.flush()
    c.commits.flush()
    cluster.later(10, b)
    d = cluster.node("d")
    every = [*(f"resp_a_{n}" for n in range(7)), "resp_c_1"]
    assert at_once(pages(d, 3)) == [every[:3], every[3:6], every[6:]]
    assert at_once(pages(d, 4)) == [every[:4], every[4:]]
    assert [one.head.response_id for one in adopt(d)] == every[5:]
    assert at_once(pages(d, 2)) == [every[:2], every[2:4], every[4:5]]
    assert [one.head.response_id for one in adopt(b)] == every[:5]
    assert at_once(pages(d, 2)) == []
    assert not at_once(cluster.backend.range(*keys.under("epoch", "a"), 9)), "what owns nothing is cleared"


def test_a_lease_that_owns_something_before_the_page_is_not_cleared(cluster: Cluster) -> None:
    a, b = cluster.node("a"), cluster.node("b")
    for n in range(4):
        begin(a, f"resp_a_{n}")
    a.commits.flush()
    cluster.later(10, b)

    async def look_and_adopt() -> list[str]:
        looked = b.node.orphans(2)
        first = list(await anext(looked))
        rest = [one async for one in b.node.adopt(["resp_a_2", "resp_a_3"])]
        assert [page async for page in looked] == []
        return first + [one.head.response_id for one in rest]

    assert at_once(look_and_adopt()) == [f"resp_a_{n}" for n in range(4)]
    assert len(adopt(b)) == 2


async def pages(node: Opened, limit: int) -> list[Sequence[str]]:
    return [page async for page in node.node.orphans(limit)]


def test_what_is_no_store_says_so() -> None:
    with pytest.raises(CannotJoin, match=r"redis://h/0 can't be used .* 31 characters"):
        open_cluster_stores("redis://u:p@h/0?namespace=A-B", "a", "ws://a", BOUNDS, StoreSettings())


def test_what_nodes_count_together_names_nobody_in_the_store() -> None:
    cluster = Cluster()
    a, b = cluster.node("a"), cluster.node("b")
    assert at_once(a.node.add_up({"tokens/acme": 3, "tokens/acme/x": 1}, 60)) == {"tokens/acme": 3, "tokens/acme/x": 1}
    assert at_once(b.node.add_up({"tokens/acme": 2}, 60)) == {"tokens/acme": 5}
    assert at_once(a.node.take_once("acme", 60))
    assert not at_once(b.node.take_once("acme", 60))
    places = TenantPlaces(tenant_digest("acme"), 2, 1, 0.5)
    a.node.announce("serving", 3, [places])
    cluster.later(1, a, b)
    assert b.node.peers()["a"].tenants == (places,)
    seen = [
        *cluster.backend._counters,
        *cluster.backend._taken,
        *(str(one) for one in cluster.backend._leases.values()),
    ]
    assert seen
    assert not any("acme" in one for one in seen)


def test_a_node_that_says_nothing_of_tenants_is_a_peer() -> None:
    """One of an older version."""
    cluster = Cluster()
    a = cluster.node("a")
    at_once(cluster.backend.acquire("old", 60, msgspec.msgpack.encode(["ws://old", "serving", 1])))
    cluster.later(1, a)
    assert a.node.peers()["old"] == Peer("old", 2, "ws://old", "serving", 1)


def test_a_response_is_adopted_with_its_conversation(cluster: Cluster) -> None:
    """Whoever has that in memory gets it; else it is that of the one who adopts, from the same commit on."""
    a, b, c = cluster.node("a"), cluster.node("b"), cluster.node("c")
    for name in ("1", "2"):
        conversation = a.stores.conversations.create("t", {}, 1)
        begin(a, f"resp_a_{name}", events=1, where=conversation.id)
    begin(a, "resp_a_3", events=1, where="conv_gone")
    cluster.later(10, b, c)
    at_once(c.stores.conversations.get("t", conversation.id))
    assert adopt(b, "resp_a_2") == []
    assert at_once(b.node.owner_of("resp_a_2")) == Owner("a", a.node.epoch)
    assert {one.head.response_id for one in adopt(b)} == {"resp_a_1", "resp_a_3"}

    async def in_own() -> list[Unfinished]:
        return [one async for one in c.node.adopt(["resp_a_1", "resp_a_2"], in_own=True)]

    assert [one.head.response_id for one in at_once(in_own())] == ["resp_a_2"]
    first = at_once(b.stores.conversations.list("t", [], Span(limit=10, newest_first=False)))[0][0]
    with pytest.raises(HeldElsewhere):
        at_once(c.stores.conversations.get("t", first.id))
    assert at_once(b.stores.conversations.get("t", first.id)).id == first.id


def test_what_was_adopted_is_known_even_if_the_store_goes_away_at_that_moment(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be owned by a node that lives, and never go on."""
    a, b, backend, away = cluster.node("a"), cluster.node("b"), cluster.backend, [False]
    parent = Turn("resp_a_0", None, (Message(role="user", content="before"),), ())
    begin(a, events=2, parent=parent)
    commit, get = backend.commit, backend.get

    async def commit_and_go(changes: Changes) -> None:
        await commit(changes)
        away[0] = True

    async def get_later(names: Sequence[bytes]) -> Sequence[bytes | None]:
        if away[0]:
            away[0] = False
            raise Away("it is away for a moment")
        return await get(names)

    cluster.later(10, b)
    monkeypatch.setattr(backend, "commit", commit_and_go)
    monkeypatch.setattr(backend, "get", get_later)
    assert [one.tip for one in adopt(b, "resp_a_1")] == [2]


@pytest.mark.parametrize("error", [Away("it is away for a moment"), Refused("it has no room")])
def test_what_was_adopted_is_known_even_if_the_next_cannot_be_looked_at(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """As above: nobody else adopts what a live node owns."""
    a, b, c, backend, fails = *(cluster.node(name) for name in "abc"), cluster.backend, [False]
    begin(a, "resp_a_1")
    begin(c, "resp_c_1")
    a.commits.flush()
    c.commits.flush()
    cluster.later(10, b)
    commit, range_of = backend.commit, backend.range

    async def commit_and_fail(changes: Changes) -> None:
        await commit(changes)
        fails[0] = True

    async def range_or_fail(*where: Any, **more: Any) -> Any:
        if fails[0]:
            raise error
        return await range_of(*where, **more)

    with monkeypatch.context() as patch:
        patch.setattr(backend, "commit", commit_and_fail)
        patch.setattr(backend, "range", range_or_fail)
        first = adopt(b, "resp_a_1", "resp_c_1")
    assert [one.head.response_id for one in first] == ["resp_a_1"]
    assert [one.head.response_id for one in adopt(b)] == ["resp_c_1"]


def test_nothing_of_a_batch_is_committed_that_lost_its_lease_half_way(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store may still take it, because a node stops some time before its lease is over."""
    a, backend = cluster.node("a"), cluster.backend
    begin(a, events=1)
    before, get = stored(cluster), backend.get

    async def get_and_lose(names: Sequence[bytes]) -> Sequence[bytes | None]:
        a.committer.end()
        return await get(names)

    monkeypatch.setattr(backend, "get", get_and_lose)
    a.commits._due = True  # it waits: both are in one batch
    a.stores.responses.append("resp_a_1", 1, [event(1)])
    seal(a)
    a.commits.flush()
    assert stored(cluster) == before


def test_nothing_is_adopted_under_a_lease_that_nobody_asked_for(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asked has lost everything since, and would not go on with it."""
    a, b, backend = cluster.node("a"), cluster.node("b"), cluster.backend
    begin(a, events=2)
    cluster.later(10, b)
    range_of, again = backend.range, [True]

    async def lose_and_join(*where: Any, **more: Any) -> Any:
        if again:
            again.clear()
            await backend.release(Lease("b", b.node.epoch))
            await b.node.beat()
            await b.node.join()
        return await range_of(*where, **more)

    monkeypatch.setattr(backend, "range", lose_and_join)
    with pytest.raises(WireError) as refused:
        adopt(b, "resp_a_1")
    assert refused.value.code is ErrorCode.STORE_UNAVAILABLE
    assert [one.tip for one in adopt(b, "resp_a_1")] == [2]
