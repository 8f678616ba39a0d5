"""What the cluster's stores rely on, the same on every backend: order, all or nothing, fences, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest

from realtime.store.cluster import postgres_backend, postgres_schema, redis_backend
from realtime.store.cluster.backend import Away, Backend, Changes, Conflict, Denied, Fenced, Lease, Refused
from realtime.store.cluster.stores import make_backend
from realtime.store.cluster.urls import shown
from tests.support.memory_backend import MemoryBackend
from tests.support.store_servers import StoreServers

HOUR = 3600.0
MOMENT = 0.02  # seconds: a lease that ends while the test waits for it


@pytest.fixture(params=["memory", "redis", "postgres"])
async def backend(request: pytest.FixtureRequest, store_servers: StoreServers) -> AsyncIterator[Backend]:
    kind = request.param
    made = MemoryBackend() if kind == "memory" else make_backend(store_servers[kind].url())
    await made.open()
    yield made
    await made.close()


async def leased(backend: Backend, node: str = "a", seconds: float = HOUR) -> Lease:
    lease = await backend.acquire(node, seconds, b"told by " + node.encode())
    assert lease is not None
    return lease


async def eventually(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(120):  # guards against hanging only
        while not await is_so():  # noqa: ASYNC110
            await asyncio.sleep(MOMENT)  # a server says nothing of what has ended


async def test_keys_are_found_by_name_and_in_order(backend: Backend) -> None:
    lease = await leased(backend)
    sets = {b"list/%d" % n: b"%d" % n for n in (3, 1, 2)} | {b"record/x\0\xff": b"\0\xff", b"label/1": b""}
    await backend.commit(Changes(fence=lease, sets=sets, adds={b"conv-sum/x": 5}, number=1))
    assert list(await backend.get([b"record/x\0\xff", b"list/9", b"list/2", b"label/1", b"conv-sum/x"])) == [
        b"\0\xff", None, b"2", b"", b"5",
    ]  # fmt: skip
    assert list(await backend.get([])) == []
    whole = [(b"list/1", b"1"), (b"list/2", b"2"), (b"list/3", b"3")]
    assert list(await backend.range(b"list/", b"list0", 10)) == whole
    assert list(await backend.range(b"list/", b"list/3", 10)) == whole[:2]
    assert list(await backend.range(b"list/1\0", b"list0", 1)) == whole[1:2]
    assert list(await backend.range(b"list/", b"list0", 2, newest_first=True)) == whole[:0:-1]
    assert list(await backend.range(b"conv-sum/", b"conv-sum0", 2)) == [(b"conv-sum/x", b"5")]
    changes = Changes(fence=lease, number=2, deletes=[b"list/2", b"list/9"], adds={b"conv-sum/x": -7})
    await backend.commit(changes)
    assert list(await backend.range(b"list/", b"list0", 10)) == [whole[0], whole[2]]
    assert list(await backend.get([b"list/2", b"conv-sum/x"])) == [None, b"-2"]


async def test_a_commit_is_all_or_nothing(backend: Backend) -> None:
    lease = await leased(backend)
    await backend.commit(Changes(fence=lease, sets={b"record/a": b"1"}))
    wrong: list[dict[bytes, bytes | bool | None]] = [
        {b"record/a": b"2"}, {b"record/a": None}, {b"record/b": b"1"}, {b"record/b": True},
        {b"record/a": b"1", b"record/b": True},
    ]  # fmt: skip
    for checks in wrong:
        changes = Changes(fence=lease, number=1, checks=checks, sets={b"record/c": b"3"}, deletes=[b"record/a"])  # type: ignore[arg-type]
        with pytest.raises(Conflict):
            await backend.commit(changes)
    assert list(await backend.get([b"record/a", b"record/c"])) == [b"1", None]
    right: dict[bytes, bytes | bool | None] = {b"record/a": b"1", b"record/b": None}
    await backend.commit(Changes(fence=lease, number=1, checks=right, sets={b"record/c": b"3"}, deletes=[b"record/a"]))  # type: ignore[arg-type]
    await backend.commit(Changes(fence=lease, number=2, checks={b"record/c": True}))
    assert list(await backend.get([b"record/a", b"record/c"])) == [None, b"3"]


async def test_a_commit_whose_predecessor_is_lost_changes_nothing(backend: Backend) -> None:
    lease = await leased(backend)
    await backend.commit(Changes(fence=lease, number=1, sets={b"record/a": b"1"}))
    for number in (3, 4):  # the node has the answer of the second one, from a store that another one has replaced
        with pytest.raises(Fenced):
            await backend.commit(Changes(fence=lease, number=number, sets={b"record/a": b"3"}))
    assert list(await backend.get([b"record/a"])) == [b"1"]
    assert [await backend.renew(lease, HOUR, b"", number) for number in (0, 1, 2)] == [True, True, False]
    await backend.commit(Changes(fence=lease, number=2, sets={b"record/a": b"2"}))
    with pytest.raises(Fenced):  # nor does one that was under way for long
        await backend.commit(Changes(fence=lease, number=1, sets={b"record/a": b"1"}))
    assert list(await backend.get([b"record/a"])) == [b"2"]
    await backend.release(lease)
    newer = await leased(backend)
    assert not await backend.renew(newer, HOUR, b"", 1)  # what is counted is of one lease
    await backend.commit(Changes(fence=newer, number=1, sets={b"record/a": b"4"}))


async def test_a_commit_that_comes_twice_takes_effect_once(backend: Backend) -> None:
    lease = await leased(backend)
    changes = Changes(fence=lease, number=1, checks={b"record/a": None}, sets={b"record/a": b""}, adds={b"sum/a": 2})
    for _ in range(2):
        await backend.commit(changes)
    assert list(await backend.get([b"sum/a"])) == [b"2"]
    await backend.release(lease)
    newer = await leased(backend)
    await backend.commit(Changes(fence=newer, number=1, adds={b"sum/a": 2}))  # another lease counts anew
    assert list(await backend.get([b"sum/a"])) == [b"4"]


async def test_who_has_no_lease_changes_nothing(backend: Backend) -> None:
    first = await leased(backend, seconds=MOMENT)

    async def has_ended() -> bool:
        return not await backend.leases()

    await eventually(has_ended)
    assert not await backend.renew(first, HOUR, b"")
    second = await leased(backend)
    assert second.epoch > first.epoch
    for stale in (first, Lease("b", second.epoch), Lease("a", second.epoch + 1)):
        for number in (0, 1):
            with pytest.raises(Fenced):
                await backend.commit(Changes(fence=stale, number=number, sets={b"record/a": b""}))
    assert list(await backend.get([b"record/a"])) == [None]
    await backend.commit(Changes(fence=second, sets={b"record/a": b"mine"}))
    await backend.release(first)  # nothing to it
    assert await backend.renew(second, HOUR, b"more")
    assert [(one.node, one.epoch, one.told) for one in await backend.leases()] == [("a", second.epoch, b"more")]


async def test_a_node_has_one_lease_which_others_see_until_it_ends(backend: Backend) -> None:
    one = await leased(backend, "a")
    assert await backend.acquire("a", HOUR, b"") is None
    other = await leased(backend, "b", MOMENT)
    assert await backend.bury(one) is False

    async def is_over() -> bool:
        return await backend.bury(other)

    await eventually(is_over)
    assert await backend.bury(other), "a second time too"
    assert not await backend.renew(other, HOUR, b"")
    assert [(lease.node, lease.told) for lease in await backend.leases()] == [("a", b"told by a")]
    await backend.release(one)
    assert list(await backend.leases()) == []
    assert await backend.bury(one)


async def test_of_many_who_ask_at_once_one_is_the_first(backend: Backend) -> None:
    firsts = await asyncio.gather(*(backend.take_once("ticket", HOUR) for _ in range(5)))
    assert sorted(firsts) == [False] * 4 + [True]
    assert await backend.take_once("another", MOMENT)

    async def again() -> bool:
        return await backend.take_once("another", MOMENT)

    await eventually(again)


async def test_counters_are_added_up_and_expire(backend: Backend) -> None:
    assert await backend.add_up({}, HOUR) == {}
    assert await backend.add_up({"x": 2, "y": 1}, HOUR) == {"x": 2, "y": 1}
    assert await backend.add_up({"x": 3}, HOUR) == {"x": 5}
    await backend.add_up({"z": 7}, MOMENT)

    async def is_new() -> bool:
        return await backend.add_up({"z": 0}, MOMENT) == {"z": 0}

    await eventually(is_new)


async def test_commits_at_once_from_many_nodes_lose_no_addition(backend: Backend) -> None:
    leases = [await leased(backend, node) for node in ("a", "b", "c")]

    async def count(lease: Lease) -> int:
        """Add one to a value that is read and checked, again and again."""
        num_conflicts = 0
        for number in range(1, 11):
            while True:
                [value] = await backend.get([b"record/n"])
                sets = {b"record/n": b"%d" % (int(value or b"0") + 1)}
                changes = Changes(
                    fence=lease, number=number, checks={b"record/n": value}, sets=sets, adds={b"sum/n": 1}
                )
                try:
                    await backend.commit(changes)
                except Conflict:
                    num_conflicts += 1
                else:
                    break
        return num_conflicts

    await asyncio.gather(*map(count, leases))
    assert list(await backend.get([b"record/n", b"sum/n"])) == [b"30", b"30"]


@pytest.mark.parametrize("kind", ["redis", "postgres"])
async def test_who_is_not_let_in_is_told_so(kind: str, store_servers: StoreServers) -> None:
    url = store_servers[kind].url()
    with pytest.raises(Denied, match="password" if kind == "redis" else "InvalidCatalogName"):
        await opened_and_closed(url.replace("unix://", "unix://nobody:secret@").replace("/postgres?", "/nothing?"))


async def opened_and_closed(url: str) -> None:
    backend = make_backend(url)
    try:
        await backend.open()
    finally:
        await backend.close()


async def open_as(patch: pytest.MonkeyPatch, url: str, form: int) -> None:
    """Open a store as a server does whose stores have this form."""
    for module in (redis_backend, postgres_backend):
        patch.setattr(module, "FORM", form)
    await opened_and_closed(url)


@pytest.mark.parametrize("kind", ["redis", "postgres"])
async def test_a_store_has_the_form_of_who_opened_it_first(
    kind: str, store_servers: StoreServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = store_servers[kind].url()
    await open_as(monkeypatch, url, 2)
    await open_as(monkeypatch, url, 2)
    with pytest.raises(Refused, match=r"a newer version .*form 2, this one has 1"):
        await open_as(monkeypatch, url, 1)
    with pytest.raises(Refused, match=r"an older version .*form 2, this one has 3"):
        await open_as(monkeypatch, url, 3)
    await open_as(monkeypatch, url, 2)  # nobody has changed it


async def test_a_schema_of_another_form_keeps_its_function(
    store_servers: StoreServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = store_servers["postgres"].url()
    await open_as(monkeypatch, url, 2)
    monkeypatch.setattr(postgres_schema, "COMMIT", "CREATE FUNCTION {schema}.another() RETURNS integer AS 'x'")
    with pytest.raises(Refused, match="a newer version"):
        await open_as(monkeypatch, url, 1)


async def test_redis_that_was_used_before_there_were_marks_has_the_first_form(
    store_servers: StoreServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = store_servers["redis"].url()
    backend = make_backend(url)
    await leased(backend)  # without having opened it
    await backend.close()
    with pytest.raises(Refused, match=r"an older version .*form 1, this one has 2"):
        await open_as(monkeypatch, url, 2)
    await open_as(monkeypatch, url, 1)


SECRET = "s3cr3t-of-mine"


@pytest.mark.parametrize(
    "url",
    [
        f"redis://u:{SECRET}@127.0.0.1:1/0", f"rediss://u:{SECRET}@127.0.0.1:1", f"postgresql://u:{SECRET}@127.0.0.1:1/d",
        f"postgresql://u:{SECRET}@127.0.0.1:1/d?sslmode=verify-full", f"redis://u:{SECRET}@host:notaport",
        f"postgresql://u:{SECRET}@host:notaport/d", f"redis://u:{SECRET}@h?namespace=A-B", f"mysql://u:{SECRET}@h",
        f"redis://u:{SECRET}@[::1", f"redis://u:{SECRET}@127.0.0.1:1,127.0.0.1:2/0?sentinel=x&sentinel_password={SECRET}",
        f"redis://u:{SECRET}@127.0.0.1:1,h:notaport/0?sentinel=x", f"redis://u:{SECRET}@,/0?sentinel=x", f"postgresql://u:{SECRET}@127.0.0.1:1/d?sslmode=what",
    ],
)  # fmt: skip
async def test_no_error_tells_the_password(url: str) -> None:
    assert SECRET not in shown(url)
    with pytest.raises((Away, Refused)) as caught:
        await opened_and_closed(url)
    error: BaseException | None = caught.value
    assert SECRET not in str(error)
    assert error is not None
    assert error.__cause__ is None


async def test_however_much_is_looked_up_a_lease_is_renewed_and_everybody_is_answered(backend: Backend) -> None:
    """As when a node has died, and all its clients come to this one at once."""
    lease = await leased(backend)
    await backend.commit(Changes(fence=lease, sets={b"owner/1": b"me"}, number=1))
    await asyncio.gather(*(backend.get([b"owner/1"]) for _ in range(30)), backend.renew(lease, HOUR, b""))
    before: list[str] = []  # from now on there are connections

    async def look_up() -> Sequence[bytes | None]:
        found = await backend.get([b"owner/1"])
        before.append("look-up")
        return found

    async def renew() -> None:
        await asyncio.sleep(0)  # behind all look-ups
        assert await backend.renew(lease, HOUR, b"")
        before.append("renewal")

    async def commit() -> None:
        await asyncio.sleep(0)
        await backend.commit(Changes(fence=lease, sets={b"owner/2": b"me"}, number=2))
        before.append("commit")

    found = await asyncio.gather(*(look_up() for _ in range(300)), renew(), commit())
    assert found[:-2] == [[b"me"]] * 300
    if not isinstance(backend, MemoryBackend):  # which has no connections
        assert max(before.index("renewal"), before.index("commit")) < 150, "they waited for the look-ups"
