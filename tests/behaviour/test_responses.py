"""The life of a response on a real socket: numbers, order, continuing, lanes, limits, faults."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from realtime.dialects.chat_parser import ChatParser
from realtime.engine.base import EngineRequest, FinishReason, Loaded
from realtime.engine.scripted import Die, Fail, Finish, Pause, RandomScript, ScriptedEngine, ScriptedTokenizer, say
from tests.support.server import Client, Running, changed, running
from tests.support.steps import begin, engine_holds, finish, take_all, until
from tests.support.transcript import assert_error, check, text_of, types


class Prompts:
    """A script that remembers what it was asked and answers with a number."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, request: EngineRequest) -> list[str]:
        self.seen.append(ScriptedTokenizer().decode(request.prompt_token_ids))
        return [f"answer {len(self.seen)}"]


class ByPrompt:
    """A script for each word that a prompt may hold; the last word of the prompt counts."""

    def __init__(self, **scripts: tuple[Any, ...]) -> None:
        self._scripts = scripts

    def __call__(self, request: EngineRequest) -> tuple[Any, ...]:
        prompt = ScriptedTokenizer().decode(request.prompt_token_ids)
        return self._scripts[max(self._scripts, key=prompt.rfind)]


# numbers and order


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize(
    ("script", "members", "status", "text"),
    [
        (("Hel", "lo"), {}, "completed", "Hello"),
        (("a", "b", "c"), {"max_output_tokens": 2}, "incomplete", "ab"),
        (("", "é", "", "", "語"), {}, "completed", "é語"),
        ((), {}, "completed", ""),
        (("\n", "  "), {}, "completed", "\n  "),
        (("\n", "x", "\n"), {}, "completed", "\nx\n"),
        (("one", " two STOP three"), {"stop": "STOP"}, "completed", "one two "),
        (("a", Fail()), {}, "failed", "a"),
        ((Fail(),), {}, "failed", ""),
        (("a", Finish(FinishReason.LENGTH)), {}, "incomplete", "a"),
        (("a", Finish(FinishReason.ABORT)), {}, "failed", "a"),  # the engine gave it up, nobody had asked it to
        (("x",), {"generate": False}, "completed", ""),
        (("x",), {"stream_id": "lane", "store": False}, "completed", "x"),
    ],
)
async def test_every_response_is_numbered_and_done_once(
    native: bool, script: tuple[Any, ...], members: dict[str, Any], status: str, text: str
) -> None:
    async with running(say(*script)) as server, server.client(native=native) as client:
        for _ in range(2):  # numbers are per response, not per socket
            events = await client.create(**members)
            final = check(events)
            assert final["status"] == status
            assert text_of(events) == text
            assert engine_holds(server) == 0


async def test_random_answers_keep_the_rules() -> None:
    async with running(RandomScript(seed=3)) as server, server.client() as client:
        for index in range(30):
            assert check(await client.create(f"question {index}"))["status"] == "completed"


async def test_the_response_object_has_every_member_and_reports_effective_values() -> None:
    async with running(say("x")) as server, server.client() as client:
        final = check(await client.create(temperature=0.5, metadata={"a": "b"}, instructions="be brief"))
    assert set(final) >= {
        "id", "object", "created_at", "completed_at", "status", "incomplete_details", "model", "previous_response_id",
        "instructions", "output", "error", "tools", "tool_choice", "truncation", "parallel_tool_calls", "text", "top_p",
        "presence_penalty", "frequency_penalty", "top_logprobs", "temperature", "reasoning", "usage",
        "max_output_tokens", "max_tool_calls", "store", "background", "service_tier", "metadata", "safety_identifier",
        "prompt_cache_key", "user",
    }  # fmt: skip
    assert "verbosity" not in final["text"]
    assert "cancel" not in final
    assert (final["temperature"], final["metadata"], final["instructions"]) == (0.5, {"a": "b"}, "be brief")
    assert final["usage"]["output_tokens"] == 2


async def test_a_cut_by_length_closes_its_item_as_incomplete() -> None:
    async with running(say("a", "b", "c")) as server, server.client() as client:
        events = await client.create(max_output_tokens=2)
    assert types(events)[-4:] == ["output_text.done", "content_part.done", "output_item.done", "incomplete"]
    assert events[-2]["item"]["status"] == "incomplete"
    assert events[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


async def test_the_nested_form_of_create_is_the_flat_one() -> None:
    async with running(say("x")) as server, server.client() as client:
        await client.send("response.create", response={"input": "hi", "max_output_tokens": 1}, stream_id="a")
        events = await client.until_done()
    assert check(events)["status"] == "incomplete"
    assert events[0]["stream_id"] == "a"


# continuing


async def test_previous_response_id_continues_the_conversation() -> None:
    prompts = Prompts()
    async with running(prompts) as server, server.client() as client, server.client() as other:
        first = check(await client.create("first question"))
        second = check(await client.create("second question", previous_response_id=first["id"]))
        assert second["previous_response_id"] == first["id"]
        third = check(await other.create("third question", previous_response_id=second["id"]))
        assert third["status"] == "completed"
    order = ["first question", "answer 1", "second question", "answer 2", "third question"]
    found = [prompts.seen[-1].find(text) for text in order]
    assert -1 not in found
    assert found == sorted(found)


async def test_any_number_of_forks_leave_the_parent_alone() -> None:
    prompts = Prompts()
    async with running(prompts) as server, server.client() as client:
        parent = check(await client.create("root"))
        for lane in "abc":
            await client.send(
                "response.create", input=f"fork {lane}", stream_id=lane, previous_response_id=parent["id"]
            )
        for _ in "abc":
            await client.until_done()
    for lane, prompt in zip("abc", sorted(prompts.seen[1:], key=lambda text: text[text.find("fork") :]), strict=True):
        assert "root" in prompt
        assert "answer 1" in prompt
        assert [other for other in "abc" if f"fork {other}" in prompt] == [lane]


async def test_an_instruction_is_not_inherited() -> None:
    prompts = Prompts()
    async with running(prompts) as server, server.client() as client:
        first = check(await client.create(instructions="talk like a pirate"))
        await client.create(previous_response_id=first["id"])
    assert "pirate" in prompts.seen[0]
    assert "pirate" not in prompts.seen[1]


async def test_a_response_that_is_not_stored_lives_in_its_lane_only() -> None:
    async with running(say("x")) as server, server.client() as client, server.client() as other:
        first = check(await client.create(store=False))
        assert first["store"] is False
        [refusal] = await other.create(previous_response_id=first["id"])
        text = f"Previous response with id '{first['id']}' not found."
        assert_error(refusal, "previous_response_not_found", 400, param="previous_response_id", message=text)
        # a fork from another lane of the same connection, then the lane itself
        fork = check(await client.create(previous_response_id=first["id"], stream_id="fork", store=False))
        second = check(await client.create(previous_response_id=first["id"], store=False))
        assert (fork["status"], second["status"]) == ("completed", "completed")
        # the lane has moved on: its old turn is gone, the fork's lane still has its own
        [refusal] = await client.create(previous_response_id=first["id"], stream_id="late")
        assert_error(refusal, "previous_response_not_found")
        assert check(await client.create(previous_response_id=fork["id"]))["status"] == "completed"


async def test_a_failed_continuation_takes_its_parent_along_and_a_failed_fork_does_not() -> None:
    async with running(say("x")) as server, server.client() as client:
        first = check(await client.create(store=False))
        for stream_id in ("fork", None):
            [refusal] = await client.create(previous_response_id=first["id"], model="unknown", stream_id=stream_id)
            assert_error(refusal, "model_not_found", 404)
            answer = await client.create(previous_response_id=first["id"], store=False, stream_id="probe")
            if stream_id is None:
                assert_error(answer[0], "previous_response_not_found")
            else:
                assert check(answer)["status"] == "completed"


async def test_a_continuation_that_fails_while_it_runs_takes_its_parent_along() -> None:
    script = ByPrompt(good=("x",), bad=("x", Fail()))
    async with running(script) as server, server.client() as client:
        first = check(await client.create("good", store=False))
        assert check(await client.create("bad", previous_response_id=first["id"], store=False))["status"] == "failed"
        [refusal] = await client.create("good", previous_response_id=first["id"])
        assert_error(refusal, "previous_response_not_found")


async def test_a_parent_is_pinned_when_the_request_comes() -> None:
    """A pipelined turn of the source lane must not pull the parent away from a fork that was sent before it."""
    async with running(say("x")) as server, server.client() as client:
        first = check(await client.create(store=False))
        await client.send("response.create", input="1", stream_id="busy", store=False)
        await client.send("response.create", input="2", stream_id="busy", previous_response_id=first["id"])
        await client.send("response.create", input="3", previous_response_id=first["id"], store=False)
        statuses = [check(events)["status"] for events in await by_response(client, 3)]
    assert statuses == ["completed"] * 3


async def test_a_parent_that_still_runs_is_refused_and_in_the_same_lane_it_is_waited_for() -> None:
    async with running(say("x"), tick_seconds=None) as server, server.client() as client:
        first = await begin(client)
        await client.send("response.create", input="2", stream_id="other", previous_response_id=first)
        assert_error(await client.receive(), "previous_response_in_progress", 409, retry=True)
        await client.send("response.create", input="3", previous_response_id=first)
        asyncio.get_running_loop().call_soon(server.engine.step, 5)
        await client.until_done()
        assert (await client.receive())["type"] == "response.created"


async def test_warm_up_is_created_and_completed_and_can_be_continued() -> None:
    prompts = Prompts()
    async with running(prompts) as server, server.client() as client:
        for store in (True, False):
            events = await client.create("prepare this", generate=False, store=store)
            assert types(events) == ["created", "completed"]
            warm = check(events)
            assert (warm["output"], warm["usage"]["output_tokens"]) == ([], 0)
            assert warm["usage"]["input_tokens"] > 0
            assert check(await client.create("now", previous_response_id=warm["id"]))["status"] == "completed"
            assert "prepare this" in prompts.seen[-1]
            assert engine_holds(server) == 0


# lanes


async def by_response(client: Client, count: int) -> list[list[dict[str, Any]]]:
    """Events until this many responses are done, grouped by response in the order of their creation."""
    groups: dict[str, list[dict[str, Any]]] = {}
    while sum(events[-1]["done"] for events in groups.values()) < count:
        event = await client.receive()
        groups.setdefault(event["response_id"], []).append(event)
    return list(groups.values())


async def test_lanes_run_beside_each_other_and_a_lane_runs_in_order() -> None:
    order: list[str | None] = []
    async with running(say("a", "b"), tick_seconds=None) as server, server.client() as client:
        for text, lane in [("1", None), ("2", None), ("3", "left"), ("4", "right")]:
            members = {} if lane is None else {"stream_id": lane}
            await client.send("response.create", input=text, **members)
        started: list[dict[str, Any]] = []
        while len(started) < 3:
            event = await client.receive()
            started += [event] if event["type"] == "response.in_progress" else []
        assert [event.get("stream_id") for event in started] == [None, "left", "right"], "2 waits for 1"
        assert server.engine.stats().num_running + server.engine.stats().num_waiting == 3
        server.engine.step(3)
        while len(order) < 4:
            event = await client.receive()
            if event["type"] == "response.in_progress":
                asyncio.get_running_loop().call_soon(server.engine.step, 3)
            if event["done"]:
                order.append(event.get("stream_id"))
    assert sorted(order[:3], key=str) == [None, "left", "right"]
    assert order[3] is None


async def test_only_the_default_lane_has_no_stream_id() -> None:
    async with running(say("a")) as server, server.client() as client:
        for lane in ("x", "A_b-c.9", "y" * 256):
            assert {event["stream_id"] for event in await client.create(stream_id=lane)} == {lane}
        for events in (await client.create(), await client.create(stream_id=None)):
            assert not any("stream_id" in event for event in events)


async def test_more_responses_than_run_at_once_are_queued_not_refused() -> None:
    settings = changed(max_in_flight_per_connection=3)
    async with running(say("a"), settings, tick_seconds=None) as server, server.client() as client:
        for lane in range(7):
            await client.send("response.create", input="hi", stream_id=f"s{lane}")
        finished: list[str] = []
        most = 0
        while len(finished) < 7:
            event = await client.receive()
            most = max(most, server.gateway.service.num_running)
            if event["type"] == "response.in_progress":
                asyncio.get_running_loop().call_soon(server.engine.step, 2)
            if event["done"]:
                finished.append(event["stream_id"])
    assert most == 3
    assert sorted(finished) == [f"s{lane}" for lane in range(7)]


async def test_the_limit_of_queued_requests_is_told() -> None:
    settings = changed(max_queued_per_connection=2)
    async with running(say("a"), settings, tick_seconds=None) as server, server.client() as client:
        await begin(client)
        for index in range(3):
            await client.send("response.create", input="hi", event_id=f"e{index}")
        event = await client.receive()
        assert_error(event, "too_many_queued_requests", 429, retry=True)
        assert event["event_id"] == "e2"


async def test_the_limit_of_distinct_stream_ids_is_told_on_the_lane_and_kept() -> None:
    async with running(say("a")) as server, server.client() as client:
        for lane in range(32):
            assert check(await client.create(stream_id=f"s{lane}", generate=False))
        [refusal] = await client.create(stream_id="s32")
        assert_error(refusal, "websocket_stream_limit_reached", 400, param="stream_id")
        assert refusal["stream_id"] == "s32"
        assert check(await client.create(stream_id="s0"))["status"] == "completed"
        assert check(await client.create())["status"] == "completed", "the default lane is not counted"


async def test_an_old_connection_starts_nothing_more_and_finishes_what_runs() -> None:
    settings = changed(connection_lifetime_seconds=1e-9)
    async with running(say("a"), settings) as server, server.client() as client:
        [refusal] = await client.create(stream_id="lane")
        assert_error(refusal, "websocket_connection_limit_reached", 400)
        assert "stream_id" not in refusal
        await client.connection.wait_closed()
        assert client.connection.close_code == 1012


# admission


async def test_a_response_that_must_wait_says_queued() -> None:
    settings = changed(max_running_responses=1)
    async with (
        running(say("a"), settings, tick_seconds=None) as server,
        server.client() as client,
        server.client() as other,
    ):
        await begin(client)
        await other.send("response.create", input="hi")
        events = [await other.receive(), await other.receive()]
        assert types(events) == ["created", "queued"]
        assert events[1]["response"]["status"] == "queued"
        assert engine_holds(server) == 1
        server.engine.step(2)
        await client.until_done()
        events.append(await other.receive())
        assert types(events)[-1] == "in_progress"
        server.engine.step(2)
        assert check(events + await other.until_done())["status"] == "completed"


async def test_a_full_server_refuses_with_a_time_to_come_back() -> None:
    settings = changed(max_running_responses=1, max_waiting_responses=1)
    async with running(say("a"), settings, tick_seconds=None) as server, server.client() as client:
        await begin(client, stream_id="a")
        await client.send("response.create", input="hi", stream_id="b")
        assert types([await client.receive(), await client.receive()]) == ["created", "queued"]
        [refusal] = await client.create(stream_id="c", event_id="mine")
        assert_error(refusal, "server_is_overloaded", 503, retry=True)
        assert refusal["error"]["retry_after"] >= 1
        assert (refusal["stream_id"], refusal["event_id"]) == ("c", "mine")
        server.engine.step(2)
        await client.until_done()
        await finish(server)
        await client.until_done()
        await client.send("response.create", input="hi", stream_id="c")
        assert (await client.receive())["type"] == "response.created", "the lane is free again"


async def test_a_prompt_that_is_too_long_fails_after_created() -> None:
    async with running(say("a"), max_model_len=40) as server, server.client() as client:
        events = await client.create("x" * 100)
        assert types(events) == ["created", "in_progress", "failed"]
        assert check(events)["error"]["code"] == "context_length_exceeded"
        assert check(await client.create("x"))["status"] in ("completed", "incomplete")


async def test_nothing_to_answer_fails_after_created() -> None:
    async with running(say("a")) as server, server.client() as client:
        await client.send("response.create")
        assert check(await client.until_done())["error"]["code"] == "invalid_prompt"


async def test_an_engine_whose_queue_is_full_says_so() -> None:
    async with (
        running(say("a"), tick_seconds=None, max_num_seqs=1, max_num_waiting=1) as server,
        server.client() as client,
    ):
        await begin(client, stream_id="a")
        events = await client.create(stream_id="b")
        assert check(events)["error"]["code"] == "server_is_overloaded"


@pytest.mark.parametrize("name", ["unknown", "", "starter ", "Starter"])
async def test_an_unknown_model_is_named(name: str) -> None:
    async with running(say("a")) as server, server.client() as client:
        [refusal] = await client.create(model=name)
        assert_error(refusal, "model_not_found", 404, param="model")
        assert name in refusal["error"]["message"]
        assert check(await client.create(model="starter"))["model"] == "starter"


async def test_background_is_refused_on_a_socket() -> None:
    async with running(say("a")) as server, server.client() as client:
        [refusal] = await client.create(background=True)
        assert_error(refusal, "unsupported_parameter", 400, param="background")


# idempotent creates


async def test_the_same_request_attaches_to_the_response_that_runs_and_that_is_over() -> None:
    runs = Prompts()
    async with running(runs, tick_seconds=None) as server, server.client(native=True) as client:
        response_id = await begin(client, request_id="r1")
        async with server.client(native=True) as other:
            await other.send("response.create", input="hi", request_id="r1")
            attached = [await other.receive(), await other.receive()]
            assert {event["response_id"] for event in attached} == {response_id}
            server.engine.step(2)
            attached += await other.until_done()
            first = await client.until_done()
            assert attached[2:] == first
            again = await client.create(request_id="r1")
            assert again == attached
            check(again)
        async with server.client() as late:
            assert await late.create(request_id="r1", event_id="another name for the event") == attached
    assert len(runs.seen) == 1


async def test_another_body_under_the_same_request_id_is_a_conflict() -> None:
    async with running(say("a"), tick_seconds=None) as server, server.client() as client:
        await begin(client, request_id="r1", stream_id="a")
        [refusal] = await client.create("ho", request_id="r1", stream_id="b")
        assert_error(refusal, "idempotency_conflict", 409, param="request_id")
        [refusal] = await client.create(request_id="r1", stream_id="b", max_output_tokens=5)
        assert_error(refusal, "idempotency_conflict", 409)
        assert server.gateway.service.num_running == 1


async def test_a_request_that_was_refused_may_be_sent_again_under_its_id() -> None:
    settings = changed(max_running_responses=1, max_waiting_responses=0)
    async with running(say("a"), settings, tick_seconds=None) as server, server.client() as client:
        await begin(client)
        assert_error((await client.create(stream_id="b", request_id="r"))[0], "server_is_overloaded")
        await finish(server)
        await client.until_done()
        await begin(client, stream_id="b", request_id="r")


# faults


async def ready(server: Running) -> tuple[int, dict[str, Any]]:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"{server.http}/ready")
    return answer.status_code, json.loads(answer.content)


async def test_an_engine_that_dies_fails_what_runs_and_serves_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(say("a", Pause(1000)), tick_seconds=None) as server:
        restart = asyncio.Event()
        start = ScriptedEngine.start

        async def gated(engine: ScriptedEngine) -> Loaded:
            await restart.wait()
            return await start(engine)

        monkeypatch.setattr(ScriptedEngine, "start", gated)
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


async def test_a_create_in_the_moment_of_death_fails_and_is_not_lost() -> None:
    script = ByPrompt(good=("x",), deadly=(Die(),))
    async with running(script, tick_seconds=None) as server, server.client() as client:
        await begin(client, "deadly", stream_id="a")
        await client.send("response.create", input="good", stream_id="b")
        await until(lambda: engine_holds(server) == 2)
        server.engine.step()
        dones = [(await client.until_done())[-1], (await client.until_done())[-1]]
        assert {event["type"] for event in dones} == {"response.failed"}


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
            patch.setattr(ChatParser, method, broken)
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
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.get(f"{server.http}/health")).status_code == 200


async def test_a_whole_answer_is_the_same_text_on_every_event(caplog: pytest.LogCaptureFixture) -> None:
    async with running(RandomScript(seed=9, min_tokens=50)) as server, server.client(native=True) as client:
        await client.send("response.create", input="hi")
        raw = await take_all(client)
        check([json.loads(message) for message in raw])
        assert [json.loads(message)["sequence_number"] for message in raw] == list(range(len(raw)))
