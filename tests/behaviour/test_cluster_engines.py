"""Nodes with different engines: what a dead node ran goes on where the engine is like its own, if there is one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from realtime.engine.scripted import say
from realtime.server import courtesy
from realtime.service.principal import LOCAL
from tests.support.cluster import Member, Nodes, member
from tests.support.memory_backend import MemoryBackend
from tests.support.steps import begin, until

WORDS = [f"w{n} " for n in range(20)]
ASKED: dict[str, Any] = {"seed": 1, "on_disconnect": {"policy": "continue"}}


@contextlib.asynccontextmanager
async def nodes_of(**models: str) -> AsyncIterator[Nodes]:
    """Start a node for each name, with this model on its engine; none can go on with what another model has begun."""
    backend = MemoryBackend()
    async with contextlib.AsyncExitStack() as stack:
        started = [member(backend, name, say(*WORDS), model=model) for name, model in models.items()]
        found = Nodes([await stack.enter_async_context(one) for one in started])
        await found.know_each_other()
        yield found


def hold(taker: Member, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Have a node look for orphans only once the event is set."""
    may_look, sweep = asyncio.Event(), taker.cluster._sweep

    async def later() -> None:
        if may_look.is_set():
            await sweep()

    monkeypatch.setattr(taker.cluster, "_sweep", later)
    return may_look


async def die(found: Nodes) -> str:
    """Have the first node begin an answer and die of it. Return its id."""
    first = found.members[0]
    async with first.client(native=True) as client:
        response_id = await begin(client, **ASKED)
        first.engine.step(5)
        run = first.gateway.service.registry.running[response_id]
        await until(lambda: run.num_generated == 5, "the beginning of an answer")
        await found.settle()
        await first.kill()
    return response_id


async def test_an_answer_is_left_to_a_node_that_can_go_on_with_it_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    async with nodes_of(a="one", b="two", c="one") as found:
        _, b, c = found.members
        may_look = hold(c, monkeypatch)
        response_id = await die(found)
        await until(lambda: response_id in b.cluster._courtesy._seen, "a look of the node that comes first")
        may_look.set()
        assert await found.owner(response_id) is c
        run = c.gateway.service.registry.running[response_id]
        await until(lambda: found.step() or run.over, "the end")
        assert (run.response.status, run.response.recovery.kind) == ("completed", "exact")  # type: ignore[union-attr]


async def test_it_is_left_for_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The node that could go on with it lives, and does nothing."""
    monkeypatch.setattr(courtesy, "LEAVE_SECONDS", 0.01)
    async with nodes_of(a="one", b="two", c="one") as found:
        _, b, c = found.members
        hold(c, monkeypatch)
        response_id = await die(found)
        await until(lambda: b.gateway.observer.cluster.orphans == 1, "an answer that is left to another node")
        await until(lambda: b.gateway.observer.cluster.orphans == 0, "an answer that is left no longer")
        await until(lambda: response_id not in b.running, "its end")
        shown = await b.gateway.service.show(LOCAL, response_id)
        assert (shown.status, shown.recovery.reason) == ("failed", "model_changed")  # type: ignore[union-attr]
