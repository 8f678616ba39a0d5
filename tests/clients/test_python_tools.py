"""`Client.run`: functions as tools, and the loop that calls them."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, Literal

import msgspec
import pytest

from realtime_client import Event, ToolLoopTooLong
from realtime_client.tools import Tool
from tests.behaviour.test_steer import Recorder
from tests.support.calls import TAGGED, called
from tests.support.server import running
from tests.support.steps import engine_holds, until

from .test_python_client import connect


class Place(msgspec.Struct):
    city: str
    country: str | None = None


async def get_weather(place: Place, unit: Literal["C", "F"] = "C") -> dict[str, Any]:
    """Say what the weather is."""
    return {"city": place.city, "unit": unit}


def add(a: Annotated[int, msgspec.Meta(ge=0)], b: int) -> int:
    """Add two numbers."""
    return a + b


def test_a_schema_is_made_of_the_signature() -> None:
    tool = Tool(add)
    assert tool.declared == {
        "type": "function",
        "name": "add",
        "description": "Add two numbers.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer", "minimum": 0}, "b": {"type": "integer"}},
            "required": ["a", "b"],
            "additionalProperties": False,
        },
    }
    optional = Tool(get_weather).declared
    assert optional["parameters"]["required"] == ["place"]
    assert optional["parameters"]["$defs"]["Place"]["required"] == ["city"]


def test_a_parameter_without_a_name_is_refused_at_once() -> None:
    def tool(*numbers: int) -> int:
        return sum(numbers)

    with pytest.raises(TypeError, match="numbers"):
        Tool(tool)


async def test_the_loop_calls_and_goes_on_until_there_is_an_answer() -> None:
    turns = Recorder(
        (*called("get_weather", {"place": {"city": "Paris"}}), *called("add", {"a": 1, "b": 2})),
        called("add", {"a": -1, "b": 2}),
        ("Sunny", "."),
    )
    seen: list[Event] = []
    async with running(turns, family=TAGGED) as server, connect(server.url) as rt:
        final = await rt.run("How is it?", tools=[get_weather, add], on_event=seen.append)
    assert final.output_text == "Sunny."
    assert '{"city":"Paris","unit":"C"}' in turns.prompts[1]
    assert "3" in turns.prompts[1].rpartition("Paris")[2]
    assert "error: ValidationError: Expected `int` >= 0 - at `$.a`" in turns.prompts[2]
    assert [event["type"] for event in seen].count("response.completed") == 3


async def test_what_goes_wrong_in_a_tool_is_told_to_the_model() -> None:
    async def slow() -> str:
        await asyncio.sleep(60)
        return "never"

    async def broken() -> str:
        raise LookupError("no such city")

    turns = Recorder((*called("slow", {}), *called("broken", {})), ("Sorry.",))
    async with running(turns, family=TAGGED) as server, connect(server.url) as rt:
        final = await rt.run("hi", tools=[slow, broken], tool_timeout_seconds=0.05)
    assert final.output_text == "Sorry."
    assert "error: slow gave no result in 0.05 s" in turns.prompts[1]
    assert "error: LookupError: no such city" in turns.prompts[1]


async def test_a_cancel_stops_the_tools_and_the_response() -> None:
    started, stopped = asyncio.Event(), asyncio.Event()

    async def slow() -> str:
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()
        return "never"

    async with running(Recorder(called("slow", {})), family=TAGGED) as server, connect(server.url) as rt:
        running_loop = asyncio.create_task(rt.run("hi", tools=[slow]))
        await started.wait()
        running_loop.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running_loop
        assert stopped.is_set()

    async with running(Recorder(("word ",) * 5000), tick_seconds=0.001) as server, connect(server.url) as rt:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(rt.run("hi", tools=[slow]), 0.1)  # wherever it is by then
        await until(lambda: engine_holds(server) == 0)


async def test_the_loop_ends() -> None:
    turns = Recorder(called("add", {"a": 1, "b": 2}))
    async with running(turns, family=TAGGED) as server, connect(server.url) as rt:
        with pytest.raises(ToolLoopTooLong):
            await rt.run("hi", tools=[add], max_turns=3)
        assert len(turns.prompts) == 3
        other = await rt.run("hi", tools=[get_weather])  # the model calls what is not ours to call
    assert other["output"][0]["type"] in ("function_call", "message")


async def test_a_forced_call_is_forced_once_and_a_conversation_holds_the_turns() -> None:
    turns = Recorder(called("add", {"a": 1, "b": 2}), ("3",))
    async with running(turns, family=TAGGED) as server, connect(server.url) as rt:
        conversation = await rt.conversations.create()
        final = await rt.run("1 + 2?", tools=[add], tool_choice="required", conversation=conversation["id"])
        items = await rt.conversations.items(conversation["id"], order="asc")
    assert final.output_text == "3"
    assert [item["type"] for item in items["data"]] == ["message", "function_call", "function_call_output", "message"]
    assert json.loads(json.dumps(final))["tool_choice"] == "auto"
