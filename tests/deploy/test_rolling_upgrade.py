"""Three nodes behind HAProxy are upgraded one after the other under many streams: what users have of it.

The long form has 200 of them, on PostgreSQL too, and prints what it took. docs/cluster.md, "Going down", says what is
shown here.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from pathlib import Path

import openai
import pytest

import realtime_client
from tests.support.long import LONG, effort
from tests.support.patience import SECONDS
from tests.support.store_servers import StoreServers

from .proxies import Proxy
from .upgrades import (
    NAMES,
    ORACLE,
    POLICY,
    TURN,
    Answer,
    OurStream,
    PlainStream,
    house,
    javascript,
    kept,
)

NUM_PYTHON = effort(4, 80)
NUM_JS = effort(4, 60)
NUM_PLAIN = effort(2, 30)  # over HTTP, and as many over WebSocket
PER_SOCKET = effort(2, 10)
STORES = ("redis", pytest.param("postgres", marks=pytest.mark.skipif(not LONG, reason="Redis shows the same")))


def text_of(tokens: int) -> str:
    return "".join(ORACLE[:tokens])


def openai_client(found: Proxy) -> openai.AsyncOpenAI:
    """OpenAI's own, with what it does by default: it repeats a request twice. A slow machine may be slow to connect."""
    http = openai.DefaultAsyncHttpxClient(verify=found.tls, trust_env=False)
    return openai.AsyncOpenAI(api_key="unused", base_url=f"{found.http}/v1", http_client=http, timeout=SECONDS)


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the proxy's certificate will be; OpenAI's SDK trusts it over WebSocket."""
    path = tmp_path / "certificate.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return path


@pytest.mark.parametrize("store", STORES)
async def test_users_of_a_cluster_do_not_see_that_it_is_upgraded(
    store: str, store_servers: StoreServers, certificate: Path, tmp_path: Path
) -> None:
    over = asyncio.Event()
    ours = [OurStream(over) for _ in range(NUM_PYTHON)]
    plain = {how: [PlainStream(over) for _ in range(NUM_PLAIN)] for how in ("http", "websocket")}
    async with (
        house(store_servers[store].url(), tmp_path) as (here, found),
        openai_client(found) as client,
        javascript(found, NUM_JS, PER_SOCKET, certificate) as theirs,
        contextlib.AsyncExitStack() as stack,
    ):
        sockets = [
            await stack.enter_async_context(
                realtime_client.connect(found.url, policy=POLICY, ssl=found.tls, proxy=None)
            )
            for _ in range(0, NUM_PYTHON, PER_SOCKET)
        ]
        async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as group:
            for number, stream in enumerate(ours):
                group.create_task(stream.go(sockets[number // PER_SOCKET], number))
            for one in plain["http"]:
                group.create_task(one.over_http(client))
            for one in plain["websocket"]:
                group.create_task(one.over_websocket(client))
            await theirs.begun()
            began = time.monotonic()
            for name in NAMES:
                await here.restart(name)
            took = time.monotonic() - began
            over.set()
        javascripts = await theirs.answers()
        stored = await kept(here.ports[0])
    of_ours = [*javascripts, *(answer for one in ours for answer in one.answers)]
    of_plain = [answer for streams in plain.values() for one in streams for answer in one.answers]
    for answer in of_ours:
        assert (answer.text, answer.tokens) == (text_of(len(ORACLE)), len(ORACLE) + 1), "all, and the end of sequence"
    for answer in of_plain:
        assert (answer.text, answer.tokens) == (text_of(TURN), TURN)
    # One generation each: what the store has is what the clients had, and nothing else.
    ids = Counter(answer.id for answer in [*of_ours, *of_plain])
    assert set(ids.values()) == {1}
    assert stored.keys() == ids.keys()
    moved = [answer for answer in of_ours if answer.recovery is not None]
    assert moved, "no answer was handed on: this test shows nothing"
    assert {_kind(answer) for answer in moved} == {("exact", 1)}
    _report(took, of_ours, moved, of_plain, ours, plain)


def _kind(answer: Answer) -> tuple[str, int]:
    assert answer.recovery is not None
    return answer.recovery["kind"], answer.recovery["attempts"]


def _report(
    took: float, of_ours: list[Answer], moved: list[Answer], of_plain: list[Answer], ours: list[OurStream],
    plain: dict[str, list[PlainStream]],
) -> None:  # fmt: skip
    pauses = sorted(one.pause for one in ours)
    print(f"\nupgraded in {took:.1f} s: {len(of_ours)} answers to our clients, of which {len(moved)} were handed on")
    print(f"longest pause of a stream: median {pauses[len(pauses) // 2]:.2f} s, greatest {pauses[-1]:.2f} s")
    refused = sum(one.refused for one in plain["websocket"])
    print(f"{len(of_plain)} answers to plain clients, none cut; sockets closed or refused: {refused}")
