"""The bench of a cluster runs in its smallest size, and what must hold in any size holds."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import pytest
import uvloop

from bench import lost_node, proxied
from bench.databases import NotInstalled
from bench.nodes import nodes
from bench.servers import Server

TICK, TOKENS = 0.05, 1500


@contextlib.contextmanager
def cluster() -> Iterator[dict[str, Server]]:
    """Nodes, which the tests share; skipped where there is no Redis."""
    with contextlib.ExitStack() as stack:
        try:
            found = stack.enter_context(nodes(("a", "b", "c"), TICK, TOKENS, *lost_node.FLAGS))
        except NotInstalled as error:
            if os.environ.get("TESTS_NEED_STORES") == "1":
                raise
            pytest.skip(f"{error}: the cluster was not measured")
        yield found


def test_what_is_read_elsewhere_is_measured_and_nothing_is_missing_after_a_node_died() -> None:
    with cluster() as found:
        a, b, c = found.values()
        shares: dict[str, Any] = {}
        hows: tuple[proxied.How, ...] = ("unread", "local", "proxied")
        for how in hows:
            shares[how] = uvloop.run(proxied._measure(a, b, 2, how, 0.5))
        beside = proxied._beside(shares)
        assert beside["both proxied to local"] > 0
        lost = uvloop.run(lost_node.measure(a, (b, c), 6))
        assert (lost["streams"], lost["mismatches"]) == (6, 0)
        assert lost["tries of each"] >= 1
