"""Engines elsewhere, for real: what a node has of a `vllm serve`, and the acceptance tests on one.

With `TESTS_ENGINE=elsewhere` the servers of the acceptance tests have their engines elsewhere. What can't hold there is
named in `CANNOT`, and nowhere else; docs/engines.md has the same list.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from realtime.engine.base import Loaded
from realtime.engine.options import RemoteOptions
from realtime.engine.remote.engine import RemoteEngine
from realtime.observability.fleet_metrics import FleetMetrics
from realtime.observability.progress import Progress
from realtime.settings.fields import Settings
from tests.support.vllm_serve import KEY, STARTER, shared, vllm_serving

ELSEWHERE = os.environ.get("TESTS_ENGINE") == "elsewhere"

#: What an engine elsewhere can't do, as docs/engines.md lists it, and its reason for a test that is left out.
CANNOT = {
    "take an image in several pieces": "PlaceholderRangeInfo has no `is_embed`",
    "tell how far a prompt is read": "no event comes before the first token",
    "tell cached tokens before the end": "only the last event's usage has `prompt_tokens_details`",
    "tell its times": "PerRequestMetrics has none in the last event",
    "tell the use of its KV cache": "no member of an answer has it",
    "give a 20th alternative": "the taken token is one of at most 20",
    "leave processes and files here": "the server starts none for it",
}


def cannot(name: str) -> pytest.MarkDecorator:
    """The mark of a test that can't hold for an engine elsewhere."""
    return pytest.mark.skipif(ELSEWHERE, reason=f"an engine elsewhere can't {name}: {CANNOT[name]}")


def key_flags(folder: str) -> list[str]:
    """What tells a server the key of its engines."""
    key = Path(folder) / "key"
    key.write_text(KEY)
    return ["--engine", "remote", "--engine-key-file", str(key)]


@contextlib.contextmanager
def engine_flags() -> Iterator[list[str]]:
    """What tells the server of the acceptance tests where its engine is."""
    if not ELSEWHERE:
        yield []
        return
    with vllm_serving() as server, tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield [*key_flags(folder), "--engine-url", server.url]


@contextlib.contextmanager
def placed(settings: Settings) -> Iterator[Settings]:
    """The settings of a server that has real vLLM, here or elsewhere."""
    if not ELSEWHERE or settings.engine != "vllm":
        yield settings
        return
    with shared(settings.vllm) as server:
        remote = RemoteOptions(engine_url=(server.url,), engine_key=KEY)
        yield msgspec.structs.replace(settings, engine="remote", remote=remote)


class Elsewhere(msgspec.Struct, frozen=True):
    """A node's engine on one, as `Engines` has it for the local one."""

    newest: RemoteEngine
    loaded: Loaded
    metrics: FleetMetrics


@contextlib.asynccontextmanager
async def connected(*urls: str) -> AsyncIterator[Elsewhere]:
    """Start a node's engine on these."""
    from realtime.engine.vllm.front import load_front

    front = await asyncio.to_thread(load_front, STARTER, Progress())

    async def loaded_already() -> object:
        return front

    metrics = FleetMetrics()
    engine = RemoteEngine(STARTER, RemoteOptions(engine_url=urls), KEY, loaded_already, metrics)  # type: ignore[arg-type]
    try:
        yield Elsewhere(engine, await engine.start(), metrics)
    finally:
        await engine.shutdown()
