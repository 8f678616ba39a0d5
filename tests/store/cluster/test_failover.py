"""A store that fails over to a replica that had not everything: who was told otherwise writes no more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec
import pytest

from realtime.store.cluster.backend import Away, Backend, Changes, Lease, Lost
from realtime.store.cluster.commit_order import CommitOrder
from realtime.store.cluster.stores import make_backend
from tests.support.long import LONG
from tests.support.replicas import replicated, sentinel
from tests.support.steps import until

from .test_nodes import Cluster, adopt, begin, event

HOUR = 3600.0
KINDS = ("redis", pytest.param("postgres", marks=pytest.mark.skipif(not LONG, reason="Redis shows the same")))


class Writer:
    """A node's way to commit things under one lease, one after another."""

    def __init__(self, backend: Backend, lease: Lease) -> None:
        self.backend = backend
        self.lease = lease
        self.order = CommitOrder(backend, lease)

    async def write(self, name: int) -> None:
        """Commit one thing, however long the store is away."""
        changes = Changes(fence=self.lease, sets={b"record/%d" % name: b"x"})
        async with asyncio.timeout(120):  # guards against hanging only
            await self.order.run(
                lambda number: self.backend.commit(msgspec.structs.replace(changes, number=number)), patiently
            )

    async def renew(self) -> bool:
        """Renew the lease, by what is known to be there."""
        return await self.backend.renew(self.lease, HOUR, b"", self.order.number)


async def patiently(call: Callable[[], Awaitable[Any]]) -> Any:
    """Repeat a call as long as the store is away."""
    while True:
        try:
            return await call()
        except Away:
            await asyncio.sleep(0.02)


async def opened(url: str, node: str) -> Writer:
    backend = make_backend(url)
    await backend.open()
    lease = await backend.acquire(node, HOUR, b"")
    assert lease is not None
    return Writer(backend, lease)


@pytest.mark.parametrize("kind", KINDS)
async def test_whose_commits_are_lost_is_fenced_though_its_lease_is_live(kind: str) -> None:
    """Two nodes have live leases on the new primary. One of them was told of a commit that is not there."""
    async with replicated(kind) as store:
        a = await opened(store.url, "a")
        b = await opened(store.url, "b")
        await a.write(1)
        await b.write(2)
        await store.caught_up()
        await store.part()
        await a.write(3)
        store.point()
        store.kill()
        await b.write(4)
        assert {lease.node for lease in await b.backend.leases()} == {"a", "b"}
        with pytest.raises(Lost):
            await a.write(5)
        assert list(await b.backend.get([b"record/%d" % n for n in range(1, 6)])) == [b"x", b"x", None, b"x", None]
        assert not await a.renew()
        assert await b.renew()
        await a.backend.release(a.lease)
        again = await a.backend.acquire("a", HOUR, b"")
        assert again is not None
        await Writer(a.backend, again).write(6)
        for one in (a, b):
            await one.backend.close()


async def test_hosts_of_a_url_are_asked_for_the_primary_and_nothing_that_was_acknowledged_is_lost() -> None:
    """The primary is killed while two nodes write, and nobody tells them where the next one is."""
    async with replicated("postgres") as store:
        await store.wait_for_each_other()
        a, b = [await opened(store.url_of_both, name) for name in "ab"]
        acknowledged: list[int] = []

        async def write(writer: Writer, names: Iterable[int]) -> None:
            for name in names:
                await writer.write(name)
                acknowledged.append(name)

        async with asyncio.TaskGroup() as group:
            for writer, names in ((a, range(0, 100, 2)), (b, range(1, 100, 2))):
                group.create_task(write(writer, names))
            await until(lambda: len(acknowledged) > 20, "writes to the first primary")
            store.kill()
            before = list(acknowledged)
            await store.part()
            kept = await patiently(lambda: a.backend.get([b"record/%d" % name for name in before]))
            assert list(kept) == [b"x"] * len(before)
        assert list(await b.backend.get([b"record/%d" % name for name in range(100)])) == [b"x"] * 100
        assert await a.renew()
        assert await b.renew()
        for one in (a, b):
            await one.backend.close()


async def test_a_redis_that_is_made_a_replica_is_left() -> None:
    """A planned switch: nothing is lost, and who is still connected to what cannot be written any more looks again."""
    async with replicated("redis") as store:
        a = await opened(store.url, "a")
        await a.write(1)
        await store.caught_up()
        await store.part()
        store.point()
        await store.demote()
        await a.write(2)
        assert list(await a.backend.get([b"record/1", b"record/2"])) == [b"x", b"x"]
        await a.backend.close()


async def test_sentinels_say_where_the_primary_is_now() -> None:
    """Nobody but them is told that there is another one."""
    async with replicated("redis") as store, sentinel(store) as url:
        a = await opened(url, "a")
        await a.write(1)
        await store.caught_up()
        store.kill()
        await a.write(2)
        assert list(await a.backend.get([b"record/1", b"record/2"])) == [b"x", b"x"]
        await a.backend.close()
        stranger = make_backend(url.replace("ours", "another"))
        with pytest.raises(Away, match="no Sentinel that answers knows a primary of this name"):
            await stranger.open()
        await stranger.close()


def test_what_a_lost_adoption_took_is_written_by_one_node() -> None:
    """a took over what c had left; the new primary has not heard of it, and gives the same to b."""
    cluster = Cluster()
    a, b, c = (cluster.node(name) for name in "abc")
    begin(c, "resp_c_1", events=3)
    cluster.later(8, a, b)
    kept = cluster.backend.copy()
    assert [one.tip for one in adopt(a)] == [3]
    a.stores.responses.append("resp_c_1", 3, [event(3)])
    cluster.backend.become(kept)
    assert a.node.holds()
    [taken] = adopt(b)
    assert taken.tip == 3
    a.stores.responses.append("resp_c_1", 4, [b"by a"])
    assert not a.node.holds()
    b.stores.responses.append("resp_c_1", 3, [b"by b"])
    assert b.node.holds()
    cluster.later(8)
    [found] = adopt(cluster.node("d"))
    assert list(found.events)[3:] == [b"by b"]


def test_who_lost_what_it_was_told_is_found_out_by_the_next_renewal() -> None:
    cluster = Cluster()
    a, b = cluster.node("a"), cluster.node("b")
    kept = cluster.backend.copy()
    begin(a, events=1)
    cluster.backend.become(kept)
    cluster.later(1, a, b)
    assert (a.node.holds(), b.node.holds()) == (False, True)
