"""A Harmony model behind a real socket: what a client sees of it, and how it continues. H1 to H12 are what broke in
the servers before this one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import pickle
import re
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from tests.support.harmony import Model, text_of
from tests.support.long import effort
from tests.support.server import Client, Running, changed, running

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
NEXT = "<|end|><|start|>assistant"
ANSWER = f"<|channel|>analysis<|message|>Hm.{NEXT}<|channel|>final<|message|>Yes.<|return|>"
CALL = '<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city": "Paris"}<|call|>'
LOOP = f"<|channel|>analysis<|message|>I must look.{NEXT}<|channel|>commentary<|message|>I look.{NEXT}{CALL}"


@contextlib.asynccontextmanager
async def harmony(model: Model, **options: Any) -> AsyncIterator[Running]:
    """A server whose model is a gpt-oss."""
    options = {"max_model_len": 65536, "max_num_seqs": 64, **options}
    async with running(model.script, model_type="gpt_oss", **options) as server:
        yield server


async def create(client: Client, input: Any, **members: Any) -> dict[str, Any]:
    """The terminal's response."""
    await client.send("response.create", input=input, **members)
    events = await client.until_done()
    assert events[-1]["type"].startswith("response."), events[-1]
    response: dict[str, Any] = events[-1]["response"]
    return response


async def refused(client: Client, input: Any, **members: Any) -> dict[str, Any]:
    """The error that answers a create."""
    await client.send("response.create", input=input, **members)
    event = await client.receive()
    assert event["type"] == "error", event
    error: dict[str, Any] = {"status": event["status"], **event["error"]}
    return error


def of_type(response: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [item for item in response["output"] if item["type"] == kind]


def output_for(response: dict[str, Any], text: str = "sunny") -> dict[str, Any]:
    (call,) = of_type(response, "function_call")
    return {"type": "function_call_output", "call_id": call["call_id"], "output": text}


# -- what a client sees


async def test_channels_become_items() -> None:
    async with harmony(Model(LOOP)) as server, server.client() as client:
        response = await create(client, "hi", tools=[WEATHER], include=["reasoning.content"])
        reasoning, preamble, call = response["output"]
        assert reasoning["content"] == [{"type": "reasoning_text", "text": "I must look."}]
        assert preamble["phase"] == "commentary"
        assert preamble["content"][0]["text"] == "I look."
        assert (call["name"], json.loads(call["arguments"])) == ("get_weather", {"city": "Paris"})
        assert {item["status"] for item in (preamble, call)} == {"completed"}
        assert response["usage"]["output_tokens_details"]["reasoning_tokens"] == 4


async def test_an_answer_has_its_phase_from_its_first_event_on() -> None:
    async with harmony(Model(ANSWER)) as server, server.client() as client:
        await client.send("response.create", input="hi")
        events = await client.until_done()
        phases = [
            event["item"]["phase"]
            for event in events
            if event["type"].startswith("response.output_item") and event["item"]["type"] == "message"
        ]
        assert phases == ["final_answer", "final_answer"]
        assert "<|" not in json.dumps(events)


async def test_h11_commentary_without_tools_is_not_lost() -> None:
    transcript = f"<|channel|>commentary<|message|>A plan.{NEXT}<|channel|>final<|message|>Done.<|return|>"
    async with harmony(Model(transcript)) as server, server.client() as client:
        response = await create(client, "hi")
        assert [(item["phase"], item["content"][0]["text"]) for item in response["output"]] == [
            ("commentary", "A plan."), ("final_answer", "Done."),
        ]  # fmt: skip


async def test_a_shell_that_the_client_runs_is_called_answered_and_seen() -> None:
    shell = CALL.replace("get_weather", "shell").replace('{"city": "Paris"}', '{"commands": ["ls"]}')
    model = Model(f"<|channel|>commentary<|message|>I look.{NEXT}{shell}", ANSWER, ANSWER)
    async with harmony(model) as server, server.client() as client:
        first = await create(client, "hi", tools=[{"type": "shell"}], include=["harmony.messages"])
        preamble, call = first["output"]
        assert preamble["phase"] == "commentary"
        assert (call["type"], call["action"], call["status"]) == ("shell_call", {"commands": ["ls"]}, "completed")
        assert first["output_messages"][1]["recipient"] == "functions.shell"
        output = {
            "type": "shell_call_output", "call_id": call["call_id"],
            "output": [{"stdout": "a.txt", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}],
        }  # fmt: skip
        update = {"type": "configuration_update", "reasoning": {"effort": "high"}}
        hidden = {"type": "web_search_call", "id": "ws_1", "action": {"type": "search", "query": "SECRET"}}
        await create(client, [output, update], previous_response_id=first["id"], tools=[{"type": "shell"}])
        del preamble["phase"]  # some clients drop it: text before a call is a preamble all the same
        items = [hidden, {"role": "user", "content": "hi"}, preamble, call, output, update]
        await create(client, items, tools=[{"type": "shell"}])
    _, chained, own = model.prompts
    assert "namespace functions" in chained
    assert "type shell = (_:" in chained
    assert f"<|start|>assistant<|channel|>commentary<|message|>I look.<|end|><|start|>assistant{shell}" in chained
    assert re.search(r'<\|start\|>functions\.shell[^{}]*<\|message\|>\[{"stdout": "a\.txt"', chained)
    assert "Reasoning: high" in chained
    assert own == chained
    assert "SECRET" not in own


async def test_malformed_output_is_kept_marked_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    transcript = (
        "<|channel|>analysis<|message|>Hm.<|start|>assistant<|channel|>odd<|message|>So.<|start|>And so on<|return|>"
    )
    async with harmony(Model(transcript)) as server, server.client() as client:
        response = await create(client, "hi", include=["reasoning.content"])
        assert response["status"] == "completed"
        assert [item.get("recovered") for item in response["output"]] == [True, True, True]
        texts = [item["content"][0]["text"] for item in response["output"]]
        assert texts == ["Hm.", "So.", "And so on"]
    warnings = [record for record in caplog.records if "malformed output" in record.getMessage()]
    assert len(warnings) == 1
    assert response["id"] in warnings[0].getMessage()


async def test_a_cut_answer_is_incomplete() -> None:
    async with harmony(Model(ANSWER)) as server, server.client() as client:
        response = await create(client, "hi", max_output_tokens=3)
        assert response["status"] == "incomplete"
        assert [item["status"] for item in response["output"]] == ["incomplete"]


async def test_a_message_that_ended_before_the_cut_is_complete() -> None:
    async with harmony(Model(ANSWER)) as server, server.client() as client:
        response = await create(client, "hi", max_output_tokens=12)
        assert [(item["type"], item["status"]) for item in response["output"]] == [
            ("reasoning", "completed"), ("message", "incomplete"),
        ]  # fmt: skip


async def test_a_stop_string_ends_the_answer_and_does_not_leak() -> None:
    async with harmony(Model(ANSWER.replace("Yes.", "Yes. STOP here."))) as server, server.client() as client:
        response = await create(client, "hi", stop="STOP")
        assert response["output"][-1]["content"][0]["text"] == "Yes. "


# -- continuing


async def test_h8_and_h9_a_chain_keeps_calls_and_not_instructions() -> None:
    model = Model(LOOP, ANSWER)
    async with harmony(model) as server, server.client() as client:
        first = await create(client, "hi", tools=[WEATHER], instructions="Be brief.")
        await create(client, [output_for(first)], previous_response_id=first["id"], tools=[WEATHER])
    assert "Be brief." in model.prompts[0]
    assert "Be brief." not in model.prompts[1]
    assert CALL in model.prompts[1]
    assert "<|start|>functions.get_weather<|channel|>commentary to=assistant<|message|>sunny" in model.prompts[1]


async def test_h3_an_output_without_its_call_is_refused_by_its_id() -> None:
    async with harmony(Model(ANSWER)) as server, server.client() as client:
        first = await create(client, "hi")
        output = {"type": "function_call_output", "call_id": "call_nobody", "output": "x"}
        error = await refused(client, [output], previous_response_id=first["id"])
        assert error["status"] == 400
        assert "call_nobody" in error["message"]


async def test_h4_reasoning_items_of_any_shape_are_accepted() -> None:
    shapes: list[dict[str, Any]] = [
        {"summary": []}, {"summary": [], "content": []}, {"summary": [], "content": None}, {},
        {"summary": [], "content": [{"type": "reasoning_text", "text": text} for text in "abc"]},
    ]  # fmt: skip
    async with harmony(Model(ANSWER)) as server, server.client() as client:
        for shape in shapes:
            response = await create(client, [{"role": "user", "content": "hi"}, {"type": "reasoning", **shape}])
            assert response["status"] == "completed"


async def test_h2_a_parent_that_is_still_generating_is_refused() -> None:
    model = Model(ANSWER)
    async with harmony(model, tick_seconds=None) as server, server.client() as client, server.client() as other:
        await client.send("response.create", input="hi")
        created = await client.receive()
        error = await refused(other, "more", previous_response_id=created["response"]["id"])
        assert error["code"] == "previous_response_in_progress"


async def test_h10_a_history_given_twice_is_refused() -> None:
    async with harmony(Model(ANSWER)) as server, server.client() as client:
        first = await create(client, "hi", include=["harmony.messages"])
        held = [*first["input_messages"], *first["output_messages"]]
        error = await refused(client, "x", previous_response_id=first["id"], previous_input_messages=held)
        assert (error["status"], error["param"]) == (400, "previous_input_messages")


async def test_messages_are_for_models_that_speak_harmony() -> None:
    async with running() as server, server.client() as client:
        error = await refused(client, "x", previous_input_messages=[{"role": "user", "content": "hi"}])
        assert (error["code"], error["param"]) == ("unsupported_parameter", "previous_input_messages")
        error = await refused(client, "x", include=["harmony.messages"])
        assert (error["code"], error["param"]) == ("unsupported_parameter", "include")


async def test_h5_and_h7_held_messages_carry_tools_channels_and_call_ids() -> None:
    in_analysis = CALL.replace("commentary", "analysis").replace(" <|constrain|>json", " code")
    model = Model(in_analysis, ANSWER, ANSWER)
    async with harmony(model) as server, server.client() as client:
        first = await create(client, "hi", tools=[WEATHER], include=["harmony.messages"])
        (call,) = first["output"]
        (said,) = first["output_messages"]
        assert call["channel"] == said["channel"] == "analysis"
        assert said["call_id"] == call["call_id"]
        held = [*first["input_messages"], *first["output_messages"]]
        await create(client, [output_for(first)], previous_input_messages=held)
        await create(client, [output_for(first)], previous_response_id=first["id"], tools=[WEATHER])
    assert "type get_weather = " in model.prompts[1]
    assert "analysis" in model.prompts[1].rsplit("to=functions.get_weather", 1)[1]
    assert model.prompts[1] == model.prompts[2]


async def test_what_can_not_be_rendered_fails_with_its_reason_whatever_is_included() -> None:
    wordy = {"type": "function", "name": "f", "description": "x" * 4000}
    async with harmony(Model(ANSWER)) as server, server.client() as client:
        response = await create(client, "hi", tools=[wordy], include=["harmony.messages", "token_ids"])
        assert response["error"]["code"] == "invalid_prompt"
        assert "word" in response["error"]["message"]


async def test_token_ids_on_request() -> None:
    model = Model(ANSWER)
    async with harmony(model) as server, server.client() as client:
        response = await create(client, "hi", include=["token_ids"])
        assert response["input_token_ids"] == list(model.requests[0].prompt_token_ids)
        assert text_of(response["output_token_ids"]) == ANSWER
        assert response["usage"]["output_tokens"] == len(response["output_token_ids"])
        assert "input_token_ids" not in await create(client, "hi")


async def test_held_messages_can_be_continued_by_their_response() -> None:
    model = Model(ANSWER)
    async with harmony(model) as server, server.client() as client:
        held = [{"role": "user", "content": "My name is Anna."}]
        first = await create(client, "hi", previous_input_messages=held)
        await create(client, "again", previous_response_id=first["id"])
    assert "My name is Anna." in model.prompts[1]


# -- many at once


async def test_h1_hundreds_of_children_of_one_parent_do_not_see_each_other() -> None:
    """All of them on several sockets at once; the parent is the same to the byte before and after."""
    count = effort(200, 300)

    def answer(prompt: str) -> str:
        number = re.findall(r"Child (\d+)", prompt)
        return ANSWER.replace("Yes.", f"I am {number[-1]}." if number else "I am the parent.")

    model = Model(answer=answer)
    settings = changed(max_running_responses=64, max_waiting_responses=1000, max_queued_per_connection=400)
    async with harmony(model, settings=settings) as server, contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(server.client())
        parent = await create(client, "I am Anna.", instructions="Be brief.")
        record = await server.gateway.service.registry.store.get(parent["id"], 0.0)
        assert record is not None
        before = pickle.dumps([record.turn, msgspec.json.encode(record.response)])
        clients = [await stack.enter_async_context(server.client()) for _ in range(10)]

        async def fork(client: Client, numbers: range) -> list[dict[str, Any]]:
            for number in numbers:
                members = {"previous_response_id": parent["id"], "stream_id": f"lane-{number % 30}"}
                await client.send("response.create", input=f"Child {number}.", **members)
            done: list[dict[str, Any]] = []
            while len(done) < len(numbers):
                event = await client.receive(60)
                assert event["type"] != "error", event
                if event["done"]:
                    done.append(event["response"])
            return done

        shares = [range(index * count // 10, (index + 1) * count // 10) for index in range(10)]
        children = [child for done in await asyncio.gather(*map(fork, clients, shares)) for child in done]
        assert len(children) == count
        texts = {child["output"][-1]["content"][0]["text"] for child in children}
        assert texts == {f"I am {number}." for number in range(count)}
        after = await server.gateway.service.registry.store.get(parent["id"], 0.0)
        assert after is not None
        assert pickle.dumps([after.turn, msgspec.json.encode(after.response)]) == before
    prompts = model.prompts[1:]
    assert len(prompts) == count
    assert all(len(re.findall(r"Child \d+", prompt)) == 1 for prompt in prompts)
    assert len({re.sub(r"Child \d+", "Child", prompt) for prompt in prompts}) == 1


# -- a loop of calls, and three ways to continue it

STEPS = effort(10, 20)


def step_of_loop(prompt: str) -> str:
    """A model that takes some steps. It thinks, speaks and calls at each."""
    step = prompt.count("<|call|>") + 1
    if step > STEPS:
        return (
            "<|channel|>analysis<|message|>All done.<|end|><|start|>assistant<|channel|>final<|message|>Done.<|return|>"
        )
    preamble = f"<|channel|>commentary<|message|>Now {step}.{NEXT}" if step % 3 == 0 else ""
    return (
        f"<|channel|>analysis<|message|>Step {step} of {STEPS}: naïve 🙂.{NEXT}{preamble}"
        f'<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{{"city": "C{step}"}}<|call|>'
    )


async def loop(client: Client, way: str) -> list[int]:
    """Play the loop to its end, in one of the ways; the cached tokens of each step."""
    members: dict[str, Any] = {
        "tools": [WEATHER], "instructions": "Do it.", "include": ["reasoning.content", "harmony.messages"],
    }  # fmt: skip
    items: list[Any] = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hello."}]
    items.append({"role": "user", "content": "go"})
    response = await create(client, items, **members)
    cached: list[int] = []
    while of_type(response, "function_call"):
        new = [output_for(response, f"It is {len(cached)} degrees.")]
        items = [*items, *response["output"], *new]
        match way:
            case "previous_response_id":
                response = await create(client, new, previous_response_id=response["id"], **members)
            case "held messages":
                held = [*response["input_messages"], *response["output_messages"]]
                response = await create(client, new, previous_input_messages=held, **members)
            case _:
                response = await create(client, items, **members)
        cached.append(response["usage"]["input_tokens_details"]["cached_tokens"])
    assert len(cached) == STEPS
    assert response["output"][-1]["content"][0]["text"] == "Done."
    return cached


async def test_a_loop_of_many_calls_has_the_same_prompts_whoever_holds_the_history() -> None:
    prompts = {}
    for way in ("previous_response_id", "held messages", "all items"):
        model = Model(answer=step_of_loop)
        async with harmony(model) as server, server.client() as client:
            await loop(client, way)
        prompts[way] = [list(request.prompt_token_ids) for request in model.requests]
        assert len(prompts[way]) == STEPS + 1
        for shorter, longer in zip(prompts[way], prompts[way][1:], strict=False):
            assert longer[: len(shorter)] == shorter, "the prefix cache would miss"
    assert prompts["held messages"] == prompts["previous_response_id"]
    assert prompts["all items"] == prompts["previous_response_id"]


async def test_a_prompt_continues_with_exactly_the_tokens_that_were_generated() -> None:
    """Within a loop nothing is dropped, and what is rendered of an answer is what the model wrote."""
    model = Model(answer=step_of_loop)
    async with harmony(model) as server, server.client() as client:
        first = await create(client, "go", tools=[WEATHER], include=["token_ids"])
        await create(client, [output_for(first)], previous_response_id=first["id"], tools=[WEATHER])
    said = [*first["input_token_ids"], *first["output_token_ids"]]
    assert list(model.requests[1].prompt_token_ids)[: len(said)] == said
