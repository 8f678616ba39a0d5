"""What a client has after its server was killed, or restarted: the real process, the scripted engine, one file."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from realtime.engine.base import Loaded
from realtime.engine.scripted import ScriptedEngine, say
from realtime.engine.supervisor import SupervisedEngine
from realtime.server.gateway import Gateway
from realtime.settings.fields import ResponseSettings, Settings, StoreSettings
from realtime.store.packed.packing import unpack
from realtime.store.sqlite.stores import bounds_of, open_stores
from tests.support.patience import SECONDS
from tests.support.process import ServerProcess, serve
from tests.support.server import Client, dial, listening, running
from tests.support.steps import until


class Here:
    """A server on a file."""

    def __init__(self, process: ServerProcess, address: str) -> None:
        self.process = process
        self.http = httpx2.AsyncClient(base_url=f"http://{address}/v1", timeout=SECONDS, trust_env=False)
        self.url = f"ws://{address}/v1/responses"

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        async with dial(self.url, native=True) as client:
            yield client

    async def create(self, text: str, **members: Any) -> dict[str, Any]:
        answer = await self.http.post("/responses", json={"input": text, "max_output_tokens": 8, **members})
        assert answer.status_code == 200, answer.text
        response: dict[str, Any] = answer.json()
        return response

    async def get(self, path: str, **params: Any) -> Any:
        answer = await self.http.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def events(self, response_id: str, starting_after: int = -1) -> list[dict[str, Any]]:
        async with self.client() as client:
            await client.send("response.resume", response_id=response_id, starting_after=starting_after)
            first = await client.receive()
            assert first["type"] == "response.resumed", first
            return await client.until_done(response_id)

    async def kill(self) -> None:
        self.process.send(signal.SIGKILL)
        await self.process.end()


@contextlib.asynccontextmanager
async def server(path: Path, *arguments: str) -> AsyncIterator[Here]:
    async with serve("--engine", "scripted", "--store", f"sqlite:{path}", *arguments) as process:
        here = Here(process, await process.ready())
        async with here.http:
            yield here


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_what_was_over_is_as_it_was(path: Path, how: signal.Signals) -> None:
    async with server(path) as here:
        first = await here.create("one", metadata={"a": "b"}, request_id="mine")
        conversation = (await here.http.post("/conversations", json={})).json()["id"]
        in_conversation = await here.create("two", conversation=conversation)
        events = await here.events(first["id"])
        items = await here.get(f"/conversations/{conversation}/items")
        listed = await here.get("/responses", limit=10)
        ticket = (await here.http.post(f"/responses/{first['id']}/tickets", json={"role": "viewer"})).json()
        await asyncio.sleep(0.1)  # a flush: what was said is committed a few milliseconds later
        here.process.send(how)
        await here.process.end()
    async with server(path) as here:
        assert await here.get(f"/responses/{first['id']}") == first
        assert await here.events(first["id"]) == events
        assert await here.events(first["id"], 3) == events[4:]
        assert await here.get(f"/conversations/{conversation}/items") == items
        assert await here.get("/responses", limit=10) == listed
        again = await here.create("one", metadata={"a": "b"}, request_id="mine")
        assert again["id"] == first["id"]
        conflict = await here.http.post("/responses", json={"input": "other", "request_id": "mine"})
        assert conflict.json()["error"]["code"] == "idempotency_conflict"
        forks = [await here.create(f"fork {n}", previous_response_id=first["id"]) for n in range(2)]
        assert [one["previous_response_id"] for one in forks] == [first["id"]] * 2
        assert forks[0]["usage"]["input_tokens"] > first["usage"]["input_tokens"]
        answer = first["output"][0]["id"]
        referring = await here.create([{"type": "item_reference", "id": answer}])  # type: ignore[arg-type]
        assert referring["status"] != "failed"
        await here.create("three", conversation=conversation)
        more = await here.get(f"/conversations/{conversation}/items")
        assert [one["id"] for one in more["data"]][2:] == [one["id"] for one in items["data"]]
        cut = await here.http.post(f"/responses/{first['id']}/truncate", json={"item_id": answer, "num_characters": 1})
        assert len(cut.json()["output"][0]["content"][0]["text"]) == 1
        shown = await here.http.get(
            f"/responses/{first['id']}", headers={"Authorization": f"Bearer {ticket['ticket']}"}
        )
        assert shown.status_code == 200, shown.text
        assert (await here.http.delete(f"/responses/{in_conversation['id']}")).status_code == 200
        await asyncio.sleep(0.1)
        await here.kill()
    async with server(path) as here:
        gone = await here.http.get(f"/responses/{in_conversation['id']}")
        assert gone.status_code == 404
        assert (await here.get(f"/responses/{first['id']}"))["truncated"]
        assert (await here.get(f"/conversations/{conversation}/items")) == more


LONG = {"max_output_tokens": 400, "ignore_eos": True}


async def test_an_answer_goes_on_for_whoever_resumes_it_where_he_was_when_the_server_was_killed(path: Path) -> None:
    async with server(path) as here, here.client() as client:
        whole = (await client.create("go on", **LONG, seed=1))[-1]["response"]
        await client.send("response.create", input="go on", **LONG, seed=1, request_id="mine")
        seen = [await client.receive() for _ in range(60)]
        response_id, epoch = seen[0]["response"]["id"], seen[0]["epoch"]
        await here.kill()  # without a pause: what was sent is ahead of what was stored
    async with server(path) as here, here.client() as client:
        await client.send("response.resume", response_id=response_id, starting_after=len(seen) - 1, epoch=epoch)
        resumed = await client.receive()
        assert resumed["resumed"]["epoch"] == epoch, resumed
        events = [*seen, *await client.until_done(response_id)]
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert [event["done"] for event in events] == [False] * (len(events) - 1) + [True]
        response = events[-1]["response"]
        assert response["recovery"] == {"kind": "exact", "attempts": 2}
        said = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
        assert response["output"][-1]["content"][0]["text"] == said == whole["output"][-1]["content"][0]["text"]
        assert response["usage"]["output_tokens"] == whole["usage"]["output_tokens"]
        assert await here.get(f"/responses/{response_id}") == response
        again = await here.create("go on", **LONG, seed=1, request_id="mine")
        assert again["id"] == response_id
        more = await here.create("more", previous_response_id=response_id)
        assert more["usage"]["input_tokens"] > response["usage"]["output_tokens"]


async def test_what_can_not_go_on_ends_by_a_typed_failure_behind_what_was_said(path: Path) -> None:
    async with server(path) as here, here.client() as client:
        await client.send("response.create", input="go on", max_output_tokens=3000, ignore_eos=True, request_id="mine")
        seen = [await client.receive() for _ in range(60)]
        response_id = seen[0]["response"]["id"]
        await asyncio.sleep(0.1)
        await here.kill()
    async with server(path, "--served-name", "another") as here:  # the scripted engine takes it for another model
        events = await here.events(response_id)
        assert events[: len(seen)] == seen
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert [event["done"] for event in events] == [False] * (len(events) - 1) + [True]
        response = events[-1]["response"]
        assert (events[-1]["type"], response["status"]) == ("response.failed", "failed")
        assert response["error"]["code"] == "server_restarted"
        assert response["recovery"] == {"kind": "failed", "attempts": 2, "reason": "model_changed"}
        said = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
        assert response["output"][-1]["content"][0]["text"] == said
        assert response["output"][-1]["status"] == "incomplete"
        assert await here.get(f"/responses/{response_id}") == response
        refused = await here.http.post("/responses", json={"input": "x", "previous_response_id": response_id})
        assert refused.json()["error"]["code"] == "previous_response_not_found"
        again = await here.create("go on", request_id="mine", max_output_tokens=8)
        assert again["id"] != response_id, "what came to nothing is tried again"
        async with here.client() as client:  # had it got more than was committed, nobody could tell what
            tip = len(events)
            await client.send("response.resume", response_id=response_id, starting_after=tip - 1)
            error = await client.receive()
            assert error["error"]["code"] == "epoch_mismatch"


async def test_what_is_not_to_be_stored_never_touches_the_disk_and_ends_with_the_process(path: Path) -> None:
    async with server(path) as here, here.client() as client:
        await client.send(
            "response.create",
            input="s3cret question",
            instructions="s3cret advice",
            store=False,
            max_output_tokens=3000,
            ignore_eos=True,
        )
        seen = [await client.receive() for _ in range(40)]
        response_id = seen[0]["response"]["id"]
        over = await here.create("s3cret too", store=False)
        await asyncio.sleep(0.1)
        await here.kill()
    said = [event["delta"] for event in seen if event["type"] == "response.output_text.delta"]
    said += [over["output"][0]["content"][0]["text"]]
    content = everything_in(path)
    assert response_id.encode() in content, "the file was read as it is written"
    for text in ("s3cret", *(word for word in said if len(word) > 8)):
        assert text.encode() not in content
    async with server(path) as here:
        async with here.client() as client:
            await client.send("response.resume", response_id=response_id, starting_after=len(seen) - 1)
            while (told := await client.receive())["type"] == "response.resumed":
                pass
        failure = told["error"] if told["type"] == "error" else told["response"]["error"]
        assert failure["code"] == "server_restarted"
        assert (await here.http.get(f"/responses/{response_id}")).status_code == 404


def everything_in(path: Path) -> bytes:
    """The bytes of a store, unpacked."""
    found = [one.read_bytes() for one in path.parent.iterdir() if one.name.startswith(path.name)]
    with contextlib.closing(sqlite3.connect(path)) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in db.execute(f"SELECT * FROM {table}"):
                found += [unpack(value) for value in row if isinstance(value, bytes) and value[:1] in (b"\0", b"\1")]
                found.append(json.dumps([str(value) for value in row if not isinstance(value, bytes)]).encode())
    return b"\n".join(found)


async def test_a_second_server_is_told_who_has_the_file(path: Path) -> None:
    async with server(path) as here, serve("--engine", "scripted", "--store", f"sqlite:{path}") as second:
        assert await second.end() == 1
        assert f"the store {path} is in use by process {here.process.pid}" in second.said


async def test_the_key_beside_the_file_is_made_once_and_for_nobody_else(path: Path) -> None:
    async with server(path) as here:
        await here.create("one")
    key = path.with_name("store.db-key")
    assert key.stat().st_mode & 0o777 == 0o600
    before = key.read_bytes()
    async with server(path):
        assert key.read_bytes() == before


class Loading(ScriptedEngine):
    """An engine that is there when the test lets it be."""

    may_start: asyncio.Event

    async def start(self) -> Loaded:
        await self.may_start.wait()
        return await super().start()


async def test_what_is_stored_is_served_while_the_model_is_loaded(path: Path) -> None:
    bounds = bounds_of(ResponseSettings())
    opened = open_stores(path, bounds, StoreSettings())
    async with running(say("one"), stores=opened.stores, tick_seconds=0) as first, first.client() as client:
        response_id = (await client.create("hi"))[-1]["response_id"]
        await until(lambda: opened.commits.settled, "it is committed")
    opened.stores.close()

    opened = open_stores(path, bounds, StoreSettings())
    engine = Loading(say("two"), tick_seconds=0, name="starter")
    engine.may_start = asyncio.Event()
    gateway = Gateway(Settings(engine="scripted"), SupervisedEngine(lambda: engine), opened.stores)
    await gateway.recover()
    loading = asyncio.create_task(gateway.engine.start())
    async with listening(gateway.settings, gateway, start=False) as (_, port):
        here = f"http://127.0.0.1:{port}/v1"
        async with (
            httpx2.AsyncClient(trust_env=False, timeout=SECONDS) as http,
            dial(f"ws://127.0.0.1:{port}/v1/responses") as client,
        ):
            assert (await http.get(f"{here}/responses/{response_id}")).json()["status"] == "completed"
            assert (await http.get(f"{here}/responses", params={"limit": 1})).json()["data"][0]["id"] == response_id
            refused = await http.post(f"{here}/responses", json={"input": "x", "previous_response_id": response_id})
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "engine_unavailable")
            assert float(refused.headers["retry-after"]) > 0
            await client.send("response.resume", response_id=response_id)
            assert (await client.until_done(response_id))[-1]["type"] == "response.completed"
            engine.may_start.set()
            await loading
            created = await http.post(f"{here}/responses", json={"input": "x", "previous_response_id": response_id})
            assert created.json()["status"] == "completed", created.text
    opened.stores.close()
