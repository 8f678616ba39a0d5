"""All doors and all commands at once, at random: sockets, HTTP, conversations, compaction, MCP, steering, deletions.

`TESTS_SEED=<n>` runs one schedule again. A failure names its seed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from realtime.engine.base import EngineRequest
from realtime.engine.scripted import Die, Fail, Pause, ScriptedTokenizer, Step
from realtime.runs.job import Job
from realtime.runs.run import Run
from realtime.service.run_tasks import RunTasks
from realtime.settings.fields import McpServer
from realtime.store.event_log import EventLog
from realtime.store.memory.conversations import MemoryConversations
from realtime.wire.items import Message
from tests.behaviour.test_mcp_hostile import Rogue, rogue
from tests.support.calls import TAGGED, called
from tests.support.http import check_event
from tests.support.long import effort
from tests.support.memory import ObservedLog
from tests.support.server import Running, changed, running

NUM_SCHEDULES = int(os.environ.get("TESTS_DOORS", effort(12, 240)))
SEED = os.environ.get("TESTS_SEED")
MINE = {"type": "function", "name": "mine", "parameters": {"type": "object", "properties": {}}}
SHELL = {"type": "shell"}
TERMINALS = {"response.completed", "response.incomplete", "response.failed"}


class Model:
    """Talks, calls tools that it may have or not, pauses, fails; what it does depends on the seed and the prompt."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        rng = random.Random(seed)
        self._fails = rng.random() < 0.3
        self._dies = rng.random() < 0.15

    def __call__(self, request: EngineRequest) -> Iterator[Step]:
        rng = random.Random(f"{self._seed} {request.request_id}")
        if "Write the summary" in ScriptedTokenizer().decode(request.prompt_token_ids[-200:]):
            yield from ("sum ", Pause(rng.randint(0, 5)), "mary")
            return
        for _ in range(rng.randint(0, 4)):
            what = rng.random()
            if what < 0.25:
                yield from called("tool", {})
            elif what < 0.35:
                yield from called("mine", {"a": 1})
            elif what < 0.45:
                yield from called("shell", rng.choice([{"commands": ["ls"]}, {"commands": "ls"}, "{", [[]]]))
            elif what < 0.65:
                yield Pause(rng.randint(1, 40))
            elif what < 0.68 and self._fails:
                yield Fail()
            elif what < 0.69 and self._dies:
                yield Die()
            else:
                yield from ["word ", "né ", "x\n"] * rng.randint(1, 8)


async def _moody(server: Rogue, method: str, params: dict[str, Any]) -> Any:
    """An MCP server that is slow, fails, or is fine."""
    what = random.random()
    if method.startswith("tools/") and what < 0.3:
        await asyncio.sleep(0.02)  # long enough for something else to happen meanwhile
    if method.startswith("tools/") and what < 0.1:
        from starlette.responses import Response

        return Response(status_code=500)
    return None


class Schedule:
    """One random schedule on one server."""

    def __init__(self, seed: int, server: Running, api: httpx2.AsyncClient) -> None:
        self.rng = random.Random(seed)
        self.server = server
        self.api = api
        self.runs: list[Run] = []
        self.conversations: list[str] = []
        self.keys: list[dict[str, Any]] = []

    # -- what is asked for

    def members(self, *, socket: bool) -> dict[str, Any]:
        rng = self.rng
        members: dict[str, Any] = {"input": rng.choice(["hi", "tell me " + "much " * rng.randint(1, 90)])}
        if rng.random() < 0.5:
            approval = rng.choice(["never", "never", "always"])
            members["tools"] = [MINE, SHELL, {"type": "mcp", "server_label": "s", "require_approval": approval}]
        elif rng.random() < 0.5:
            members["tools"] = [MINE, SHELL]
        earlier = [run for run in self.runs if run.over]
        if rng.random() < 0.3 and self.conversations:
            members["conversation"] = rng.choice(self.conversations)
        elif rng.random() < 0.5 and earlier:
            run = rng.choice(earlier[-5:])
            members["previous_response_id"] = run.response_id
            members["input"] = self.answers(run) or members["input"]
        if rng.random() < 0.3:
            members["context_management"] = [{"type": "compaction", "compact_threshold": rng.choice([1, 150, 600])}]
        elif rng.random() < 0.1:
            members["input"] = [{"role": "user", "content": "and"}, {"type": "compaction_trigger"}]
        for name, chance, value in (
            ("store", 0.2, False), ("generate", 0.05, False), ("max_output_tokens", 0.2, rng.randint(1, 30)),
            ("truncation", 0.2, "auto"), ("include", 0.2, ["reasoning.encrypted_content", "token_ids"]),
            ("max_tool_calls", 0.2, 1), ("request_id", 0.2, f"r{rng.randint(0, 9)}"),
            ("allow_missing_outputs", 0.3, True),
            ("on_disconnect", 0.3, {"policy": rng.choice(["continue", "cancel"])}),
        ):  # fmt: skip
            if rng.random() < chance:
                members[name] = value
        if socket and rng.random() < 0.5:
            members["stream_id"] = rng.choice("ab")
        return members

    def answers(self, run: Run) -> list[dict[str, Any]]:
        """Outputs of the calls that a response has made, and approvals."""
        made: list[dict[str, Any]] = []
        for item in run.output:
            kind = type(item).__name__
            if kind == "FunctionCall":
                made.append({"type": "function_call_output", "call_id": item.call_id, "output": "42"})  # type: ignore[union-attr]
            elif kind == "ShellCall":
                made.append({"type": "shell_call_output", "call_id": item.call_id, "output": []})  # type: ignore[union-attr]
            elif kind == "McpApprovalRequest":
                approve = self.rng.random() < 0.7
                made.append({"type": "mcp_approval_response", "approval_request_id": item.id, "approve": approve})
        return made

    def place(self, run: Run | None) -> dict[str, Any]:
        """Where to cut, if there is such a place."""
        items = [item for item in run.output if isinstance(item, Message)] if run is not None else []
        if items and self.rng.random() < 0.5:
            return {"item_id": self.rng.choice(items).id, "num_characters": self.rng.randint(0, 12)}
        return {"through": self.rng.randint(-1, 14)}

    def some(self) -> Run | None:
        return self.rng.choice(self.runs[-6:]) if self.runs else None

    # -- agents

    async def socket(self) -> None:
        """A socket on which much is sent and, perhaps, read."""
        rng = self.rng
        async with self.server.client(native=rng.random() < 0.5) as client:
            reading = asyncio.create_task(self._read(client))
            for _ in range(rng.randint(2, 12)):
                run = self.some()
                name = run.response_id if run is not None else "resp_x"
                what = rng.random()
                if what < 0.45 or run is None:
                    await client.send("response.create", **self.members(socket=True))
                elif what < 0.55:
                    through = {"through": rng.randint(-1, 12)} if rng.random() < 0.5 else {}
                    await client.send("response.cancel", response_id=name, **through)
                elif what < 0.6:
                    await client.send("response.interrupt", response_id=name)
                elif what < 0.67:
                    await client.send("response.truncate", response_id=name, **self.place(run))
                elif what < 0.75:
                    given = self.answers(run) if rng.random() < 0.5 else "turn"
                    await client.send("response.steer", previous_response_id=name, input=given)
                elif what < 0.8:
                    await client.send("response.inject", response_id=name, input=self.answers(run))
                elif what < 0.9:
                    await client.send("response.resume", response_id=name, starting_after=rng.randint(-1, 9))
                elif what < 0.95:
                    await client.send("response.detach", response_id=name)
                else:
                    await client.send("response.ack", response_id=name, through=rng.randint(0, 9))
                await self.pause()
            if rng.random() < 0.3:
                client.connection.transport.abort()
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading

    async def _read(self, client: Any) -> None:
        with contextlib.suppress(Exception):
            while True:
                event = await client.receive(100)
                assert event["type"] != "error" or event["error"]["code"] != "server_error", event

    async def http(self) -> None:
        """Requests, one after another; some are given up."""
        for _ in range(self.rng.randint(2, 8)):
            giving_up = self.rng.choice([None, None, 0.001, 0.02])
            try:
                async with asyncio.timeout(giving_up):
                    response = await self.request()
            except TimeoutError:
                continue
            assert response.status_code != 500 or "model" in response.text or "engine" in response.text, response.text
            await self.pause()

    async def request(self) -> httpx2.Response:
        rng, api, run = self.rng, self.api, self.some()
        name = run.response_id if run is not None else "resp_x"
        conversation = rng.choice(self.conversations) if self.conversations else "conv_x"
        what = rng.random()
        if what < 0.35:
            body = self.members(socket=False)
            if rng.random() < 0.3:
                body["background"] = True
            if rng.random() < 0.5:
                body["stream"] = True
            return await api.post("/v1/responses", json=body)
        if what < 0.45:
            return await api.get(f"/v1/responses/{name}?stream=true&starting_after={rng.randint(-1, 9)}")
        if what < 0.5:
            return await api.get(f"/v1/responses/{name}")
        if what < 0.55:
            return await api.get(f"/v1/responses/{name}/input_items")
        if what < 0.6:
            return await api.post(f"/v1/responses/{name}/cancel")
        if what < 0.65:
            return await api.post(f"/v1/responses/{name}/truncate", json=self.place(run))
        if what < 0.7:
            return await api.delete(f"/v1/responses/{name}")
        if what < 0.78:
            made = await api.post("/v1/conversations", json={"items": [{"role": "user", "content": "before"}]})
            self.conversations.append(made.json()["id"])
            return made
        if what < 0.85:
            items = [{"role": "user", "content": "posted"}]
            return await api.post(f"/v1/conversations/{conversation}/items", json={"items": items})
        if what < 0.95:
            page = await api.get(f"/v1/conversations/{conversation}/items?limit=100")
            if rng.random() < 0.5 and page.status_code == 200 and page.json()["data"]:
                item = rng.choice(page.json()["data"])["id"]
                return await api.delete(f"/v1/conversations/{conversation}/items/{item}")
            return page
        return await api.delete(f"/v1/conversations/{conversation}")

    async def pause(self) -> None:
        for _ in range(self.rng.choice([0, 1, 3, 10, 40])):
            await asyncio.sleep(0)

    # -- what has to be true

    async def verify(self) -> None:
        service = self.server.gateway.service
        async with asyncio.timeout(120):
            while service.num_running or service.run_tasks.tasks:  # noqa: ASYNC110
                await asyncio.sleep(0.001)  # responses that go on alone come to their end
        assert service.queue.scheduler.num_running == service.queue.scheduler.num_waiting == 0
        assert not service.queue.scheduler._groups._of
        assert not self.server.engine._held
        store = service.conversations.store
        assert isinstance(store, MemoryConversations)
        held = [one for shelf in store._tenants.values() for one in shelf.conversations.values()]
        assert not any(one.num_users for one in held)
        assert sum(one.num_bytes for one in held) == store.num_bytes
        for run in self.runs:
            assert run.over
            await self.verify_run(run)

    async def verify_run(self, run: Run) -> None:
        assert isinstance(run.log, ObservedLog)
        events = [json.loads(entry) for entry in run.log.history]
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert [event["done"] for event in events] == [False] * (len(events) - 1) + [True]
        assert [event["type"] in TERMINALS for event in events] == [event["done"] for event in events]
        final = events[-1]["response"]
        assert final["status"] != "in_progress"
        for event in events:
            check_event(event)
        done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
        if final["status"] == "completed":
            assert done == final["output"]
        for index in range(len(done)):
            self.verify_item([event for event in events if event.get("output_index") == index], done[index])
        kinds = [item["type"] for item in done]
        assert kinds.count("compaction") <= 1
        if final["error"] is not None and final["error"]["code"] == "server_error":
            words = final["error"]["message"]
            assert "engine" in words, words
        found = await self.api.get(f"/v1/responses/{run.response_id}")
        if found.status_code == 200:
            self.verify_kept(found.json(), final)

    def verify_kept(self, kept: dict[str, Any], final: dict[str, Any]) -> None:
        """What is kept is what the terminal event said, or the beginning of it."""
        cut = {"output", "truncated", "output_token_ids"} if "truncated" in kept else set()
        without = [{name: value for name, value in one.items() if name not in cut} for one in (kept, final)]
        assert without[0] == without[1]
        assert len(kept["output"]) <= len(final["output"])
        for left, whole in zip(kept["output"], final["output"], strict=False):
            if left != whole:
                assert (left["type"], left["status"], left is kept["output"][-1]) == ("message", "incomplete", True)
                assert whole["content"][0]["text"].startswith(left["content"][0]["text"])

    def verify_item(self, events: list[dict[str, Any]], item: dict[str, Any]) -> None:
        def said(kind: str) -> str:
            return "".join(event["delta"] for event in events if event["type"] == f"response.{kind}.delta")

        match item["type"]:
            case "message":
                assert said("output_text") == "".join(part["text"] for part in item["content"])
            case "function_call":
                assert said("function_call_arguments") == item["arguments"]
            case "mcp_call":
                assert said("mcp_call_arguments") == item["arguments"]


async def run_schedule(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    settings = changed(
        mcp_timeout_seconds=5,
        max_running_responses=rng.choice([1, 3, 100]),
        max_waiting_responses=rng.choice([2, 100]),
        max_waiting_per_conversation=rng.choice([0, 2, 50]),
        linger_seconds=0.05,
    )
    runs: list[Run] = []
    enter, new_log = RunTasks._enter, RunTasks._new_log

    def observed_log(self: RunTasks, job: Job) -> EventLog:
        log = new_log(self, job)
        return ObservedLog(
            log.response_id, log.epoch, stream_id=log.stream_id, max_bytes=1 << 26, max_entries=1 << 20,
            on_seal=lambda _: None,
        )  # fmt: skip

    def observed(self: RunTasks, run: Run, task: asyncio.Task[None]) -> None:
        runs.append(run)
        enter(self, run, task)

    monkeypatch.setattr(RunTasks, "_new_log", observed_log)
    monkeypatch.setattr(RunTasks, "_enter", observed)
    async with rogue(_moody) as tools:
        settings = changed(settings, mcp_servers={"s": McpServer(url=tools.url, require_approval="never")})
        script = Model(seed)
        async with (
            running(script, settings, family=TAGGED, max_model_len=8192, abort_ticks=rng.choice([0, 2])) as server,
            httpx2.AsyncClient(base_url=server.http, timeout=60, trust_env=False) as api,
        ):
            schedule = Schedule(seed, server, api)
            schedule.runs = runs
            agents = [schedule.socket() for _ in range(rng.randint(1, 4))] + [
                schedule.http() for _ in range(rng.randint(1, 4))
            ]
            await asyncio.gather(*agents)
            await schedule.verify()


@pytest.mark.parametrize("seed", [int(SEED)] if SEED else range(NUM_SCHEDULES))
async def test_whatever_is_asked_through_whatever_door_every_response_comes_to_one_end(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run_schedule(seed, monkeypatch)
