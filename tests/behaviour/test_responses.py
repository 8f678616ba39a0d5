"""What every response on a socket is: its numbers, their order, and what the Response object says."""

from __future__ import annotations

from typing import Any

import pytest

from realtime.engine.base import FinishReason
from realtime.engine.scripted import Fail, Finish, RandomScript, say
from tests.support.server import running
from tests.support.steps import engine_holds
from tests.support.transcript import check, text_of, types


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
