"""Clusters that are set up badly, each in one way, and that it is found; nothing is left changed."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from redis.asyncio import Redis

from realtime.engine.scripted import say
from realtime.server.cluster_settings import Node, configured_node
from realtime.server.doctor import cluster
from realtime.server.doctor.access import look_at_access
from realtime.server.doctor.cluster import look_at_cluster
from realtime.server.doctor.finding import Finding
from realtime.settings.fields import GIB, Settings
from realtime.store.cluster.facts import StoreFacts
from realtime.store.cluster.membership import Peer
from realtime.store.cluster.stores import make_backend, open_cluster
from tests.store.cluster.world import BOUNDS
from tests.support.cluster import member
from tests.support.ports import free_port
from tests.support.server import changed
from tests.support.store_servers import StoreServers

ROOT = Path(__file__).parents[3]
SECRET = "a secret of nodes, long enough: 7Q"


@pytest.fixture(params=["redis", "postgres"])
def url(request: pytest.FixtureRequest, store_servers: StoreServers) -> str:
    return store_servers[request.param].url()


def healthy(url: str, folder: Path, **more: Any) -> Settings:
    file = folder / "secret"
    if not file.exists():
        file.write_text(f"{SECRET}\n")
        file.chmod(0o600)
    given = {"cluster": url, "node": "a", "cluster_secret_file": str(file), "port": free_port(), **more}
    return changed(Settings(engine="scripted"), **given)


async def looked_at(settings: Settings) -> list[Finding]:
    return await asyncio.to_thread(lambda: list(look_at_cluster(settings)))


def bad(found: list[Finding]) -> dict[str, Finding]:
    """What is bad, less what is of the tests' own making: a PostgreSQL without fsync, and a machine that is busy."""
    ours = ("fsync", "a round trip takes 1", "a round trip takes 2")
    return {one.name: one for one in found if one.is_bad and not any(word in one.text for word in ours)}


async def test_nothing_is_found_where_nothing_is_wrong_and_nothing_is_changed(url: str, tmp_path: Path) -> None:
    settings = healthy(url, tmp_path)
    for _ in range(2):
        found = await looked_at(settings)
        assert bad(found) == {}
        levels = {one.name: one.level for one in found}
        assert levels == {
            "cluster secret": "ok", "cluster store": "ok", "clock": "ok", "node": "ok", "advertise": "note",
        }  # fmt: skip
        assert "empty" in next(one.text for one in found if one.name == "cluster store" and one.level == "ok")
    assert "store" not in {one.name for one in look_at_access(settings)}, "the file's has no part in it"
    assert list(look_at_cluster(changed(settings, cluster=None))) == []


async def test_a_store_that_is_not_there_or_is_of_another_version(store_servers: StoreServers, tmp_path: Path) -> None:
    for wrong in ("redis://me:hush@127.0.0.1:1", "postgresql://me:hush@127.0.0.1:1/d", "redis://h:x"):
        found = bad(await looked_at(healthy(wrong, tmp_path)))
        assert list(found) == ["cluster store"]
        assert found["cluster store"].level == "error"
        assert "hush" not in str(found)
    url = store_servers["redis"].url()
    await _write(url, "form", "9")
    assert "newer version" in bad(await looked_at(healthy(url, tmp_path)))["cluster store"].text


async def _write(url: str, name: str, value: str) -> None:
    redis: Any = Redis.from_url(url.partition("?")[0])
    await redis.set(f"{url.rpartition('=')[2]}!{name}", value)
    await redis.aclose()


@pytest.mark.parametrize(
    ("mode", "text", "name", "word"),
    [
        (0o604, SECRET, "cluster secret", "can be read by others"),
        (0o620, SECRET, "cluster secret", "can be written by others"),
        (0o600, "a" * 40, "cluster secret", "can be guessed"),
        (0o600, "short", "cluster", "32 to 4096 characters"),
    ],
)
async def test_a_secret_that_is_none(
    mode: int, text: str, name: str, word: str, store_servers: StoreServers, tmp_path: Path
) -> None:
    settings = healthy(store_servers["redis"].url(), tmp_path)
    (tmp_path / "secret").write_text(text)
    (tmp_path / "secret").chmod(mode)
    found = bad(await looked_at(settings))
    assert list(found) == [name]
    assert word in found[name].text
    assert text not in str(found)


async def test_no_secret_where_others_can_come(store_servers: StoreServers, tmp_path: Path) -> None:
    settings = changed(healthy(store_servers["redis"].url(), tmp_path), cluster_secret_file=None)
    [note] = [one for one in await looked_at(settings) if one.name == "cluster secret"]
    assert (note.level, "account" in note.text) == ("note", True)
    assert "needs a secret" in bad(await looked_at(changed(settings, advertise="ws://10.0.0.1:8000")))["cluster"].text


async def test_a_name_that_another_server_has(url: str, tmp_path: Path) -> None:
    settings = healthy(url, tmp_path)
    opened = await asyncio.to_thread(
        open_cluster, make_backend(url), "a", "ws://10.0.0.9:8000", BOUNDS, settings.store
    )  # fmt: skip
    try:
        await opened.node.join()
        found = bad(await looked_at(settings))
    finally:
        await asyncio.to_thread(opened.stores.close)
    assert "another server that lives, at ws://10.0.0.9:8000" in found["node"].text
    assert "every other machine to itself" in found["advertise"].text


async def test_an_address_that_leads_elsewhere(store_servers: StoreServers, tmp_path: Path) -> None:
    url = store_servers["redis"].url()
    found = bad(await looked_at(healthy(url, tmp_path, advertise="ws://nobody.invalid:8000")))
    assert (found["advertise"].level, "no such host" in found["advertise"].text) == ("error", True)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        found = bad(await looked_at(healthy(url, tmp_path, advertise=f"ws://127.0.0.1:{port}")))
    assert "does not lead to this node" in found["advertise"].text


async def test_other_nodes_that_live_are_visited(store_servers: StoreServers, tmp_path: Path) -> None:
    url = store_servers["redis"].url()
    settings = healthy(url, tmp_path)
    key = configured_node(settings.cluster, settings.server, 1)
    assert key is not None
    backend = cast(Any, make_backend(url))
    async with member(backend, "b", say("a"), secret=key.secret) as other:
        found = await looked_at(settings)
        assert bad(found) == {}
        assert [one.text for one in found if one.name == "other node"] == [
            f"b at ws://127.0.0.1:{other.port} answers, and has the same secret"
        ]
        (tmp_path / "secret").write_text(SECRET[::-1])
        assert "another secret" in bad(await looked_at(settings))["other node"].text
        assert (await looked_at(settings))[-1].level == "error"
        at_b = changed(settings, advertise=f"ws://127.0.0.1:{other.port}")
        assert "the node 'b'" in bad(await looked_at(at_b))["advertise"].text


def test_what_else_is_told_of_a_store() -> None:
    good = StoreFacts(product="Redis", version="7.2", form=1, clock=time.time(), seconds=0.001)
    settings = changed(max_store_bytes=GIB)

    def look(**wrong: Any) -> dict[str, Finding]:
        return bad([*cluster._store(msgspec.structs.replace(good, **wrong), "redis://h", settings)])

    assert look() == {}
    assert look(max_bytes=2 * GIB) == {}
    assert "its maxmemory 1024 MiB" in look(max_bytes=GIB)["cluster store"].text
    assert "600.0 s before that of the store" in look(clock=time.time() - 600)["clock"].text
    assert "above 1 s leases are lost" in look(seconds=0.4)["cluster store"].text


async def test_a_server_that_can_not_join_says_why(store_servers: StoreServers) -> None:
    url = store_servers["redis"].url()
    await _write(url, "form", "9")
    command = ("serve", "--engine", "scripted", "--port", "0", "--cluster", url, "--node", "a")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("REALTIME_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "realtime", *command, cwd=ROOT, env=environ, stderr=asyncio.subprocess.PIPE
    )  # fmt: skip
    _, said = await process.communicate()
    assert process.returncode == 1
    assert b"newer version" in said.splitlines()[-4]
    assert b"realtime: this may be why:\nXX cluster store" in said


def test_a_peer_that_says_what_a_terminal_would_obey_is_shown_without_it() -> None:
    node = Node("a", "ws://127.0.0.1:1", b"", True)
    wrong = cluster._name(node, [Peer("a", 1, "ws://\x1b[2J", "serving", 0)])
    assert "\x1b" not in wrong.text
