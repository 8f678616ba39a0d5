"""Where a response is, while it changes hands."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

from realtime.service.directory import Directory
from realtime.store.cluster.membership import Owner


async def test_what_was_adopted_is_here_when_it_has_come() -> None:
    """Who asks in between must not find that it came to nothing: the store names this node, which has no run yet."""
    looks = 0

    async def owners_of(names: Sequence[str]) -> list[Owner]:
        nonlocal looks
        looks += 1
        if looks == 2:
            running[names[0]] = object()
        return [Owner("b", 3)]

    async def get(response_id: str, now: float) -> None:
        return None

    running: dict[str, object] = {}
    registry: Any = SimpleNamespace(running=running, deleted={}, store=SimpleNamespace(get=get))
    stores: Any = SimpleNamespace(membership=SimpleNamespace(node="b", epoch=3, owners_of=owners_of))
    directory = Directory(registry, stores, lambda: nullcontext())
    nodes: Any = SimpleNamespace(get=lambda name, epoch=None: None)
    directory.nodes = nodes
    assert await directory.running_at("resp_a_" + "0" * 32) is None
    assert looks == 2


async def test_a_home_that_has_joined_a_moment_ago_is_asked() -> None:
    """Its claim of a request may be in the store before this node has heard of it, and its response not yet."""
    peers: dict[str, object] = {}
    other = object()

    async def look() -> None:
        peers["a"] = other

    async def nothing(*asked: Any) -> None:
        return None

    async def nobody(names: Sequence[str]) -> list[None]:
        return [None for _ in names]

    registry: Any = SimpleNamespace(running={}, deleted={}, store=SimpleNamespace(get=nothing))
    stores: Any = SimpleNamespace(membership=SimpleNamespace(node="b", epoch=3, owners_of=nobody, look=look))
    directory = Directory(registry, stores, lambda: nullcontext())
    nodes: Any = SimpleNamespace(get=lambda name, epoch=None: peers.get(name))
    directory.nodes = nodes
    assert await directory.running_at("resp_a_" + "0" * 32) is other
    assert await directory.running_at("resp_b_" + "0" * 32) is None
    peers.clear()

    async def there(response_id: str, now: float) -> object:
        return object()

    registry.store.get = there
    assert await directory.running_at("resp_a_" + "0" * 32) is None
    assert await directory.keeper_of("resp_a_" + "0" * 32) is other, "it may hold what is to be changed"
