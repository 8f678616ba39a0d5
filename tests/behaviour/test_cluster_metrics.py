"""What `/metrics` of a node says of its cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from realtime.engine.scripted import say
from realtime.store.records import Unfinished
from realtime.wire.errors import store_unavailable
from tests.observability.scrapes import names, value
from tests.support.cluster import Member, member, nodes
from tests.support.memory_backend import MemoryBackend
from tests.support.server import running
from tests.support.steps import begin, resume, until

SCRIPT = say(*[f"w{n} " for n in range(20)])
ASKED: dict[str, Any] = {"seed": 1, "on_disconnect": {"policy": "linger", "seconds": 600}}


async def scrape(node: Member) -> str:
    return (await node.gateway.exposition.text()).decode()


async def test_a_server_alone_says_nothing_of_it() -> None:
    async with running(say("a")) as server:
        text = (await server.gateway.exposition.text()).decode()
    assert [name for name in names(text) if name.startswith("realtime_cluster")] == []


async def test_what_goes_between_nodes_and_to_their_store() -> None:
    async with (
        nodes("a", "b", script=SCRIPT) as found,
        found.members[0].client(native=True) as one,
        found.members[1].client(native=True) as two,
    ):
        a, b = found.members
        response_id = await begin(one, **ASKED)
        await found.settle()
        assert (await resume(two, response_id))["type"] == "response.resumed"
        text = await scrape(b)
        assert value(text, "realtime_cluster_lease", node="b") == 1
        assert value(text, "realtime_cluster_epoch") == b.cluster.membership.epoch
        assert value(text, "realtime_cluster_peers", state="serving") == 1
        assert value(text, "realtime_cluster_followed") == 1
        assert value(text, "realtime_cluster_sockets", way="to") == 1
        assert value(await scrape(a), "realtime_cluster_sockets", way="from") == 1
        await two.send("response.cancel", response_id=response_id)
        ended = await found.while_stepping(two.until_done(response_id))
        await until(lambda: not b.cluster.nodes.copies, "the end of the copy")
        await found.settle()
        text = await scrape(b)
        assert value(text, "realtime_cluster_calls_total", kind="follow", outcome="done") == 1
        assert value(text, "realtime_cluster_calls_total", kind="cancel", outcome="done") == 1
        assert value(text, "realtime_cluster_call_seconds_count", kind="cancel") == 1
        assert value(text, "realtime_cluster_links_total", outcome="opened") == 1
        assert value(text, "realtime_cluster_copies_total", outcome="opened") == 1
        assert value(text, "realtime_cluster_copied_events_total") == ended[-1]["sequence_number"] + 1
        commits = value(await scrape(a), "realtime_cluster_store_seconds_count", operation="commit")
        assert 0 < commits < ended[-1]["sequence_number"] + 10, "a flush is one, an event none"
        assert value(text, "realtime_cluster_store_seconds_count", operation="lease") > 0
        assert value(text, "realtime_cluster_store_failures_total", operation="commit") == 0
        assert response_id not in text


async def test_a_lost_lease_and_what_others_make_of_it() -> None:
    async with nodes("a", "b", script=SCRIPT) as found, found.members[0].client(native=True) as one:
        a, b = found.members
        response_id = await begin(one, **ASKED)
        await found.settle()
        await a.kill()
        await found.owner(response_id)
        text = await scrape(b)
        assert value(text, "realtime_cluster_adoptions_total", after="death", outcome="gone_on") == 1
        assert value(text, "realtime_cluster_peers") == 0
        await b.lose_lease()
        await until(lambda: b.gateway.observer.cluster.leases_lost._counts[()] == 1, "the loss")
        await until(b.cluster.membership.holds, "a new lease")
        assert value(await scrape(b), "realtime_cluster_leases_lost_total") == 1


async def test_orphans_are_seen_while_nobody_takes_them() -> None:
    backend = MemoryBackend()
    async with member(backend, "a", SCRIPT) as a, a.client(native=True) as one:
        await begin(one, **ASKED)
        await a.opened.node._settled()
        async with member(backend, "b", SCRIPT) as b:
            b.opened.node.adopt = _away  # type: ignore[method-assign]
            await a.kill()
            metrics = b.gateway.observer.cluster
            await until(lambda: metrics.sweeps_failed._counts[()] > 0, "a look that came to nothing")
            assert value(await scrape(b), "realtime_cluster_orphans") == 1


async def _away(
    response_ids: Sequence[str], *, in_own: bool = False, leave: frozenset[str] = frozenset()
) -> AsyncIterator[Unfinished]:
    raise store_unavailable()
    yield


async def test_a_node_that_is_not_reached_and_a_store_that_is_away() -> None:
    backend = MemoryBackend()
    async with member(backend, "a", SCRIPT, secret=b"of another cluster") as a, member(backend, "b", SCRIPT) as b:
        await until(lambda: "a" in b.cluster.membership.peers(), "the other")
        await b.cluster.nodes.tell_all()
        text = await scrape(b)
        assert value(text, "realtime_cluster_links_total", outcome="refused") == 1
        assert value(await scrape(a), "realtime_cluster_strangers_total") == 1
        backend.away = True
        metrics = b.gateway.observer.cluster
        await until(lambda: metrics.store_failures._counts["lease", "away"] > 0, "a renewal that fails")
        backend.away = False
