"""A store that fails over to a replica that had not everything: who was told otherwise writes no more."""

from __future__ import annotations

import asyncio

import pytest

from realtime.store.cluster.backend import Away, Backend, Changes, Fenced, Lease
from realtime.store.cluster.stores import make_backend
from tests.support.long import LONG
from tests.support.replicas import replicated, sentinel

from .test_nodes import Cluster, adopt, begin, event

HOUR = 3600.0
KINDS = ("redis", pytest.param("postgres", marks=pytest.mark.skipif(not LONG, reason="Redis shows the same")))


async def written(backend: Backend, lease: Lease, number: int) -> None:
    """Commit one thing, however long the store is away."""
    async with asyncio.timeout(120):  # guards against hanging only
        while True:
            try:
                return await backend.commit(Changes(fence=lease, sets={b"record/%d" % number: b"x"}))
            except Away:
                await asyncio.sleep(0.02)


async def opened(url: str, node: str) -> tuple[Backend, Lease]:
    backend = make_backend(url)
    await backend.open()
    lease = await backend.acquire(node, HOUR, b"")
    assert lease is not None
    return backend, lease


@pytest.mark.parametrize("kind", KINDS)
async def test_whose_commits_are_lost_is_fenced_though_its_lease_is_live(kind: str) -> None:
    """Two nodes have live leases on the new primary. One of them was told of a commit that is not there."""
    async with replicated(kind) as store:
        a, mine = await opened(store.url, "a")
        b, other = await opened(store.url, "b")
        await written(a, mine, 1)
        await written(b, other, 2)
        await store.caught_up()
        await store.part()
        await written(a, mine, 3)
        store.point()
        store.kill()
        await written(b, other, 4)
        assert {lease.node for lease in await b.leases()} == {"a", "b"}
        with pytest.raises(Fenced):
            await written(a, mine, 5)
        assert list(await b.get([b"record/%d" % n for n in range(1, 6)])) == [b"x", b"x", None, b"x", None]
        assert not await a.renew(mine, HOUR, b"")
        assert await b.renew(other, HOUR, b"")
        await a.release(mine)
        again = await a.acquire("a", HOUR, b"")
        assert again is not None
        await written(a, again, 6)
        for backend in (a, b):
            await backend.close()


async def test_a_redis_that_is_made_a_replica_is_left() -> None:
    """A planned switch: nothing is lost, and who is still connected to what cannot be written any more looks again."""
    async with replicated("redis") as store:
        a, mine = await opened(store.url, "a")
        await written(a, mine, 1)
        await store.caught_up()
        await store.part()
        store.point()
        await store.demote()
        await written(a, mine, 2)
        assert list(await a.get([b"record/1", b"record/2"])) == [b"x", b"x"]
        await a.close()


async def test_sentinels_say_where_the_primary_is_now() -> None:
    """Nobody but them is told that there is another one."""
    async with replicated("redis") as store, sentinel(store) as url:
        a, mine = await opened(url, "a")
        await written(a, mine, 1)
        await store.caught_up()
        store.kill()
        await written(a, mine, 2)
        assert list(await a.get([b"record/1", b"record/2"])) == [b"x", b"x"]
        await a.close()
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
