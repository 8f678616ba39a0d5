"""A server that goes down as processes do, while another serves: what its clients have of it.

`tests/acceptance/test_three_nodes.py` has those that are killed and stopped.
"""

from __future__ import annotations

import signal
from typing import Any

import pytest

from tests.support.long import LONG
from tests.support.node_processes import SCRIPTED, processes, rest_of, watch
from tests.support.steps import begin
from tests.support.store_servers import StoreServers

KINDS = ("redis", pytest.param("postgres", marks=pytest.mark.skipif(not LONG, reason="Redis shows the same")))
ASKED: dict[str, Any] = {"seed": 1, "ignore_eos": True, "max_output_tokens": 1500}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_that_goes_down_hands_on_what_it_has(kind: str, store_servers: StoreServers) -> None:
    async with (
        processes(store_servers[kind].url(), {"a": SCRIPTED, "b": SCRIPTED}, secret=None) as (a, b),
        b.client() as reader,
    ):
        assert a.process.said.count("CLUSTER WITHOUT A SECRET") == 1
        async with a.client() as client:
            response_id = await begin(client, "go on", **ASKED)
            events = await watch(reader, response_id)
            a.process.send(signal.SIGTERM)
            await client.connection.wait_closed()
            assert client.connection.close_code == 1012
        assert await a.process.end() == 0
        events = await rest_of(reader, response_id, events)
        assert events[-1]["type"] in ("response.completed", "response.incomplete")
