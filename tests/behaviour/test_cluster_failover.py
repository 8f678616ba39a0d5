"""The store of two servers fails over to a replica that has not everything: what their clients have of it.

`tests/store/cluster/test_failover.py` has the same of a store alone.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.node_processes import SCRIPTED, processes, rest_of, watch
from tests.support.replicas import replicated
from tests.support.steps import begin, resume
from tests.support.transcript import assert_error, text_of

ASKED: dict[str, Any] = {"seed": 1, "ignore_eos": True, "max_output_tokens": 3000}


@pytest.mark.long
@pytest.mark.parametrize("kind", ["redis", "postgres"])
async def test_what_a_fail_over_loses_is_told_and_nothing_is_there_twice(kind: str) -> None:
    """An answer that runs goes on from what is left of it, to the letter. One that was begun and ended meanwhile is not
    there any more, on any node.
    """
    async with (
        replicated(kind) as store,
        processes(store.url, {"a": SCRIPTED, "b": SCRIPTED}) as (a, b),
        b.client() as reader,
    ):
        whole = text_of(await reader.create("go on", **ASKED))
        before = await a.until(True, 1)
        async with a.client() as client, a.client() as another:
            response_id = await begin(client, "go on", **ASKED)
            events = await watch(reader, response_id)
            await store.caught_up()
            await store.part()
            lost = (await another.create("brief", seed=2, max_output_tokens=5))[-1]["response"]["id"]
            store.point()
            store.kill()
            await a.process.says("has lost what it had acknowledged to node=a")
            await client.connection.wait_closed()
            assert client.connection.close_code == 1012
        events = await rest_of(reader, response_id, events)
        assert text_of(events) == whole
        assert events[-1]["response"]["recovery"]["kind"] == "exact"
        assert (await a.until(True, 1))["epoch"] > before["epoch"]
        for node in (a, b):
            assert await node.get(f"/v1/responses/{response_id}") == events[-1]["response"]
            assert (await node.get(f"/v1/responses/{lost}"))["error"]["code"] == "response_not_found"
            async with node.client() as client:
                assert_error(await resume(client, lost), "response_not_found")
        print(f"\n{kind}: {len(events)} events of the answer that ran, as if nothing had happened")


@pytest.mark.long
async def test_a_primary_that_is_killed_costs_nothing_that_was_acknowledged() -> None:
    """PostgreSQL with a synchronous standby, and both hosts in the nodes' URL."""
    async with replicated("postgres") as store:
        await store.wait_for_each_other()
        flags = (*SCRIPTED, "--deliver", "after_commit")
        async with processes(store.url_of_both, {"a": flags, "b": flags}) as (a, b), b.client() as reader:
            whole = text_of(await reader.create("go on", **ASKED))
            async with a.client() as client, b.client() as another:
                response_id = await begin(client, "go on", **ASKED)
                events = await watch(reader, response_id)
                over = (await another.create("brief", seed=2, max_output_tokens=5))[-1]["response"]
                store.kill()
                await store.part()
                events = await rest_of(reader, response_id, events)
            assert text_of(events) == whole
            for node in (a, b):
                await node.until(True, 1)
                assert await node.get(f"/v1/responses/{response_id}") == events[-1]["response"]
                assert await node.get(f"/v1/responses/{over['id']}") == over
