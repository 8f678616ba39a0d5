"""Sessions with a model that speaks Harmony. Each public coroutine is one."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from tests.support.harmony import steps, text_of
from tests.support.recorded_session import Stage, playing
from tests.support.recording import Recording

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
NEXT = "<|end|><|start|>assistant"
ANSWER = f"<|channel|>analysis<|message|>Hm.{NEXT}<|channel|>final<|message|>Yes.<|return|>"
CALL = '<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city": "A"}<|call|>'
LOOP = f"<|channel|>analysis<|message|>I must look.{NEXT}<|channel|>commentary<|message|>I look.{NEXT}{CALL}"
SHELL = CALL.replace("get_weather", "shell").replace('{"city": "A"}', '{"commands": ["ls"]}')


@contextlib.asynccontextmanager
async def _harmony(recording: Recording, *answers: str, **options: Any) -> AsyncIterator[Stage]:
    """A server whose model is a gpt-oss and says these transcripts."""
    said = [steps(answer) for answer in answers]
    async with playing(recording, *said, decode=text_of, model_type="gpt_oss", max_model_len=65536, **options) as stage:
        yield stage


async def harmony_answer(recording: Recording) -> None:
    """Analysis and an answer, shown and hidden, and a second turn."""
    async with _harmony(recording, ANSWER, ANSWER, ANSWER) as stage, stage.socket() as ws:
        last = await ws.create(include=["reasoning.content"], instructions="Be brief.", reasoning={"effort": "high"})
        await ws.follow(last, "more")
        await ws.create(reasoning={"summary": "auto"}, stop="s.")


async def harmony_call(recording: Recording) -> None:
    """A preamble, a call, its output."""
    async with _harmony(recording, LOOP, ANSWER) as stage, stage.socket() as ws:
        last = await ws.create(tools=[WEATHER])
        call = last["response"]["output"][-1]
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
        await ws.follow(last, [output], tools=[WEATHER])


async def harmony_shell(recording: Recording) -> None:
    """A tool that the client runs, by a client that holds its history."""
    async with _harmony(recording, SHELL, ANSWER) as stage, stage.http() as http:
        response = await http.create(tools=[{"type": "shell"}])
        call = response["output"][0]
        exited = {"stdout": "a.txt", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}
        output = {"type": "shell_call_output", "call_id": call["call_id"], "output": [exited]}
        await http.create([{"role": "user", "content": "hi"}, call, output], tools=[{"type": "shell"}])


async def harmony_constraints(recording: Recording) -> None:
    """What sampling is held to: a schema, a strict tool, a tool that is chosen."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    async with _harmony(recording, ANSWER, LOOP, LOOP, LOOP) as stage, stage.socket() as ws:
        await ws.create(text={"format": {"type": "json_schema", "name": "n", "schema": schema}})
        await ws.create(tools=[{**WEATHER, "strict": True}])
        await ws.create(tools=[WEATHER], tool_choice={"type": "function", "name": "get_weather"})
        await ws.create(tools=[WEATHER], tool_choice="required", parallel_tool_calls=False)


async def harmony_messages(recording: Recording) -> None:
    """The history as Harmony messages, held by the client; and refusals of it."""
    async with _harmony(recording, LOOP, ANSWER) as stage, stage.socket() as ws:
        last = await ws.create(tools=[WEATHER], include=["harmony.messages"])
        response = last["response"]
        held = [*response["input_messages"], *response["output_messages"]]
        call_id = response["output"][-1]["call_id"]
        output = [{"type": "function_call_output", "call_id": call_id, "output": "sunny"}]
        await ws.create(output, previous_input_messages=held)
        await ws.follow(last, "x", previous_input_messages=held)
    async with playing(recording) as stage, stage.socket() as ws:
        await ws.create(previous_input_messages=[{"role": "user", "content": "hi"}])
        await ws.create(include=["harmony.messages"])


async def harmony_odd_output(recording: Recording) -> None:
    """Malformed output is kept and marked; an answer is cut; commentary without tools."""
    odd = "<|channel|>analysis<|message|>Hm.<|start|>assistant<|channel|>odd<|message|>So.<|start|>And so on<|return|>"
    plan = f"<|channel|>commentary<|message|>A plan.{NEXT}<|channel|>final<|message|>Done.<|return|>"
    async with _harmony(recording, odd, ANSWER, plan) as stage, stage.socket() as ws:
        await ws.create(include=["reasoning.content"])
        await ws.create(max_output_tokens=12)
        await ws.create()
