"""All of a tenant is deleted from a cluster, while its nodes run or when none does."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest

from realtime.__main__ import main
from realtime.engine.scripted import say
from realtime.server.cluster_settings import Node
from realtime.server.tenant_deletion import Deletion
from realtime.settings.fields import Settings, StoreSettings
from realtime.store.cluster import keys
from realtime.store.cluster.backend import Backend
from realtime.store.cluster.stores import Opened, make_backend, open_cluster
from realtime.store.event_log import StoredLog
from realtime.store.records import Head, Record
from realtime.wire.items import Message
from realtime.wire.requests import ResponseCreate
from tests.store.cluster.world import BOUNDS
from tests.support.cluster import SECRET, Member, nodes
from tests.support.memory_backend import MemoryBackend
from tests.support.responses import Answer
from tests.support.server import changed
from tests.support.steps import begin, make_keys, until
from tests.support.store_servers import StoreServers

ME = Node("d1", "ws://127.0.0.1:1", SECRET, True)
LINGERS: dict[str, Any] = {"on_disconnect": {"policy": "linger", "seconds": 600}}


def http(member: Member, key: str) -> httpx2.AsyncClient:
    headers = {"authorization": f"Bearer {key}"}
    return httpx2.AsyncClient(base_url=f"{member.http}/v1", timeout=30, trust_env=False, headers=headers)


async def delete(backend: Backend, tenant: str, me: Node = ME) -> tuple[int, list[str]]:
    """Delete as the command does. Return its exit status, and what it says."""
    said: list[str] = []
    return await Deletion(Settings(), me, tenant, said.append).run(backend), said


async def test_while_nodes_run_each_forgets_what_it_has(tmp_path: Path) -> None:
    given = make_keys(tmp_path / "keys.json", "anna", "bert")
    settings = changed(api_keys_file=str(tmp_path / "keys.json"))
    async with (
        nodes("a", "b", script=say("words of ", "annas"), settings=settings) as found,
        http(found.members[0], given["anna"]) as at_a, http(found.members[1], given["anna"]) as at_b,
        http(found.members[0], given["bert"]) as bert,
        found.members[0].client(native=True, key=given["anna"]) as socket,
    ):  # fmt: skip
        conversation = (await at_b.post("/conversations", json={"metadata": {"of": "annas"}})).json()["id"]
        made = [
            (await found.while_stepping(one.post("/responses", json={"input": "annas question"}))).json()["id"]
            for one in (at_a, at_b, bert)
        ]
        await found.while_stepping(at_a.post("/responses", json={"input": "more", "conversation": conversation}))
        running = await begin(socket, **LINGERS)
        for client in (at_a, at_b):  # so that both have seen it
            assert (await client.get(f"/responses/{made[0]}")).status_code == 200
        await found.settle()
        status, said = await found.while_stepping(delete(found.members[0].backend, "anna"))
        assert (status, said) == (0, ["deleted 4 responses and 1 conversations of anna"])
        for client in (at_a, at_b):
            for one in (*made[:2], running):
                assert (await client.get(f"/responses/{one}")).status_code == 404
            assert (await client.get(f"/conversations/{conversation}")).status_code == 404
            assert (await client.get("/responses?limit=5")).json()["data"] == []
        assert (await bert.get(f"/responses/{made[2]}")).status_code == 200
        await until(lambda: not found.members[0].running or found.step(), "the end of what ran")
        await found.settle()
        assert await left(found.members[0].backend, "anna") == 0
        assert (await delete(found.members[0].backend, "anna"))[1] == [
            "deleted 0 responses and 0 conversations of anna"
        ]


async def test_a_node_that_does_not_let_it_in_is_named() -> None:
    async with nodes("a", script=say("a")) as found, found.members[0].client() as client:
        await found.while_stepping(client.create())
        await found.settle()
        stranger = Node("d1", "ws://127.0.0.1:1", b"of another cluster", True)
        status, said = await delete(found.members[0].backend, "local", stranger)
        assert status == 1
        assert said[0] == "deleted 0 responses and 0 conversations of local"
        assert said[1].startswith("node a was not asked")


@pytest.mark.parametrize("kind", ["memory", "redis", "postgres"])
async def test_where_no_node_lives_the_command_does_it_alone(kind: str, store_servers: StoreServers) -> None:
    memory = MemoryBackend()
    url = store_servers[kind].url() if kind != "memory" else ""

    def backend() -> Backend:
        return memory if kind == "memory" else make_backend(url)

    opened = await asyncio.to_thread(open_cluster, backend(), "a", "ws://a", BOUNDS, StoreSettings())
    await opened.node.join()
    for number in range(3):
        write(opened, f"resp_a_{number:032x}", "anna")
    write(opened, f"resp_a_{9:032x}", "bert")
    opened.stores.conversations.create("anna", {"of": "annas"}, 1)
    request = ResponseCreate(items=[Message(role="user", content="annas question")])
    open_one = Head(response_id=f"resp_a_{8:032x}", owner="anna", epoch="e", stream_id=None, request=request)
    opened.stores.responses.open(open_one)
    opened.stores.responses.append(open_one.response_id, 0, [b"{annas}"])
    await asyncio.to_thread(opened.stores.close)
    status, said = await delete(backend(), "anna")
    assert (status, said) == (0, ["deleted 4 responses and 1 conversations of anna"])
    looked_at = backend()
    await looked_at.open()
    assert await left(looked_at, "anna") == 0
    assert await left(looked_at, "bert") > 0
    if kind == "memory":
        assert b"annas" not in b"".join([*memory._values, *memory._values.values()])
    await looked_at.close()


def write(opened: Opened, response_id: str, owner: str) -> None:
    """Store a response that is over."""
    answer = Answer(response_id).say(f"said to {owner}").finish()
    record = Record(
        owner=owner, response=answer.response, epoch="e", turn=answer.turn, continuable=True, expires_at=1e11
    )
    log: StoredLog = answer.log.stored()
    opened.stores.responses.seal(record, log, 0.0)


async def left(backend: Backend, tenant: str) -> int:
    """Count the keys in order that have the tenant's digest, and what is open."""
    found = 0
    for space in keys.SPACES:
        rows = await backend.range(*keys.under(space), 10_000)
        found += sum(keys.digest(tenant) in key and value != b"0" for key, value in rows)
    return found


def test_the_command_says_what_it_can_not_do(
    store_servers: StoreServers, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REALTIME_CLUSTER", store_servers["redis"].url())
    assert main(["store", "delete", "--tenant", "anna"]) == 0
    assert "deleted 0 responses" in capsys.readouterr().err
    assert main(["store", "info"]) == 2
    assert "`store info` is for a file" in capsys.readouterr().err
    assert main(["store", "delete", "--tenant", "anna", "--cluster", "redis://127.0.0.1:1"]) == 1
    assert "can't be used as the cluster's store" in capsys.readouterr().err
