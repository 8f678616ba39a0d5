"""What fails on a socket, alone: an engine that dies, a generation, a parser, a value that JSON cannot say."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from unittest.mock import ANY

import httpx2
import msgspec
import pytest

from realtime.dialects.markup.parser import MarkupParser
from realtime.engine.base import EngineRequest, Loaded
from realtime.engine.scripted import Die, Fail, Pause, RandomScript, ScriptedEngine, ScriptedTokenizer, say
from realtime.runs.going_on import MAX_ATTEMPTS
from tests.support.patience import SECONDS
from tests.support.server import Running, running
from tests.support.steps import begin, by_response, engine_holds, finish, take_all, until
from tests.support.transcript import assert_error, check


class ByPrompt:
    """A script for each word that a prompt may hold; the last word of the prompt counts."""

    def __init__(self, **scripts: tuple[Any, ...]) -> None:
        self._scripts = scripts

    def __call__(self, request: EngineRequest) -> tuple[Any, ...]:
        prompt = ScriptedTokenizer().decode(request.prompt_token_ids)
        return self._scripts[max(self._scripts, key=prompt.rfind)]


async def ready(server: Running) -> tuple[int, dict[str, Any]]:
    async with httpx2.AsyncClient(trust_env=False, timeout=SECONDS) as http:
        answer = await http.get(f"{server.http}/ready")
    return answer.status_code, json.loads(answer.content)


async def test_an_engine_that_takes_no_schemas_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(say("a")) as server:
        assert await ready(server) == (200, ANY)
        stats = msgspec.structs.replace(server.engine.stats(), takes_constraints=False)
        monkeypatch.setattr(ScriptedEngine, "stats", lambda engine: stats)
        status, told = await ready(server)
        assert (status, told["ready"], told["structured_output"]) == (503, False, False)
        async with server.client() as client:
            assert (await client.create())[-1]["type"] == "response.completed", "text is served"


async def test_an_engine_that_dies_and_leaves_nothing_fails_what_runs_and_serves_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    restart, start = asyncio.Event(), ScriptedEngine.start

    async def gated(engine: ScriptedEngine) -> Loaded:
        await restart.wait()
        return msgspec.structs.replace(await start(engine), goes_on=False)

    monkeypatch.setattr(ScriptedEngine, "start", gated)
    restart.set()
    async with running(say("a", Pause(1000)), tick_seconds=None) as server:
        restart.clear()
        async with server.client() as one, server.client(native=True) as two:
            for client, lane in ((one, "a"), (one, "b"), (two, "a"), (two, "b"), (two, "c")):
                await begin(client, stream_id=lane)
            server.engine.step()
            server.engine.kill()
            for client, count in ((one, 2), (two, 3)):
                for _ in range(count):
                    event = (await client.until_done())[-1]
                    assert event["type"] == "response.failed"
                    assert event["response"]["error"]["code"] == "server_error"
            assert server.gateway.service.num_running == 0
            status, body = await ready(server)
            assert (status, body["ready"], body["engine"]) == (503, False, "restarting")
            [refusal] = await one.create(stream_id="a")
            assert_error(refusal, "engine_unavailable", 503, retry=True, retry_after=5.0)
            assert refusal["stream_id"] == "a"
            restart.set()
            await until(lambda: server.gateway.engine.status.num_restarts == 1, "the restart")
            status, body = await ready(server)
            assert (status, body["ready"], body["num_restarts"]) == (200, True, 1)
            await begin(one, stream_id="a")
            assert engine_holds(server) == 1


async def test_what_kills_one_engine_after_another_is_given_up() -> None:
    script = ByPrompt(good=("x",), deadly=(Die(),))
    async with running(script, tick_seconds=None) as server, server.client() as client:
        await begin(client, "deadly", stream_id="a")
        await client.send("response.create", input="good", stream_id="b")
        for number in range(MAX_ATTEMPTS):
            await until(lambda: engine_holds(server) == 2)
            assert server.gateway.engine.status.num_restarts == number
            server.engine.step()
        dones = [(await client.until_done())[-1], (await client.until_done())[-1]]
        assert {event["type"] for event in dones} == {"response.failed"}
        recovery = {"kind": "failed", "attempts": MAX_ATTEMPTS, "reason": "attempts"}
        assert [event["response"]["recovery"] for event in dones] == [recovery] * 2


async def test_followers_of_an_answer_whose_engine_dies_see_a_pause() -> None:
    async with running(say("a", "b", "", "c"), tick_seconds=None) as server, server.client(native=True) as client:
        await begin(client, stop="never", seed=1)
        server.engine.step(2)
        server.engine.kill()
        await until(lambda: server.gateway.engine.status.num_restarts == 1 and engine_holds(server) == 1)
        server.engine.run_until_idle()
        events = await client.until_done()
        assert [event["delta"] for event in events if event["type"] == "response.output_text.delta"] == ["a", "b", "c"]
        assert events[-1]["response"]["recovery"] == {"kind": "exact", "attempts": 2}
        assert events[-1]["response"]["usage"]["output_tokens"] == 5


async def test_a_generation_that_fails_harms_no_other() -> None:
    script = ByPrompt(good=("x", "y", "z"), bad=("x", Fail()))
    async with running(script, tick_seconds=None) as server, server.client() as client:
        await begin(client, "bad", stream_id="bad")
        await begin(client, "good", stream_id="good")
        await finish(server)
        final = {events[0]["stream_id"]: events[-1] for events in await by_response(client, 2)}
    assert final["bad"]["response"]["error"]["code"] == "server_error"
    assert final["good"]["type"] == "response.completed"


@pytest.mark.parametrize("method", ["feed", "close"])
async def test_a_bug_in_the_parser_fails_one_response_and_frees_the_engine(
    method: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug of ours")

    async with running(say("x", "y"), tick_seconds=None) as server, server.client() as client:
        await begin(client)
        with monkeypatch.context() as patch:
            patch.setattr(MarkupParser, method, broken)
            await finish(server)
            events = await client.until_done()
        assert events[-1]["type"] == "response.failed"
        assert events[-1]["response"]["error"]["code"] == "server_error"
        assert "bug" not in json.dumps(events)
        assert engine_holds(server) == 0
        assert server.gateway.service.num_running == 0
        assert "a bug of ours" in caplog.text
        caplog.clear()
        await begin(client)
        await finish(server)
        assert (await client.until_done())[-1]["type"] == "response.completed"


async def test_numbers_that_python_knows_and_json_does_not_bound_are_echoed_or_refused() -> None:
    """Members of free form come back in the response object, so whatever is let in must be encodable."""
    async with running(say("x")) as server, server.client() as client:
        for number in ("1" + "0" * 30, "9" * 400, "-1e-400", "1.5e300"):
            await client.connection.send('{"type":"response.create","input":"x","tools":[{"n":' + number + "}]}")
            event = (await client.until_done())[-1]
            assert event["type"] in ("response.completed", "error")


async def test_before_the_first_start_creates_are_refused_and_health_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(say("x")) as server:
        await server.gateway.engine.shutdown()
        async with server.client() as client:
            assert_error((await client.create())[0], "engine_unavailable", 503)
        status, body = await ready(server)
        assert (status, body["engine"]) == (503, "stopped")
        async with httpx2.AsyncClient(trust_env=False, timeout=SECONDS) as http:
            assert (await http.get(f"{server.http}/health")).status_code == 200


async def test_a_whole_answer_is_the_same_text_on_every_event(caplog: pytest.LogCaptureFixture) -> None:
    async with running(RandomScript(seed=9, min_tokens=50)) as server, server.client(native=True) as client:
        await client.send("response.create", input="hi")
        raw = await take_all(client)
        check([json.loads(message) for message in raw])
        assert [json.loads(message)["sequence_number"] for message in raw] == list(range(len(raw)))
