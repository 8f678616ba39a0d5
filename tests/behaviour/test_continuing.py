"""Turns on a socket: what a response continues from, what it inherits, what a failure takes along."""

from __future__ import annotations

import asyncio
from typing import Any

from realtime.engine.base import EngineRequest
from realtime.engine.scripted import Fail, ScriptedTokenizer, say
from tests.support.server import running
from tests.support.steps import begin, by_response, engine_holds
from tests.support.transcript import assert_error, check, types


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
        text = (
            f"Previous response with id '{first['id']}' not found. Finished responses are kept for 30 days here, "
            "and with `store: false` only on their socket."
        )
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
