"""A coding agent's way of using the socket, frame by frame, against the server as a user starts it.

The agent warms up with `generate: false`, sends only what is new with `previous_response_id`, keeps its history from
`response.output_item.done` alone, never stores anything, and after a drop sends everything again on a new socket.
"""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.support.patience import SECONDS
from tests.support.real import RealServer
from tests.support.server import Client, dial
from tests.support.steps import cut

pytestmark = pytest.mark.vllm

FUNCTION = {
    "type": "function", "name": "get_weather", "description": "Weather in a city", "strict": False,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}  # fmt: skip
AGENTS = {
    "type": "namespace", "name": "multi_agent_v1", "description": "Other agents",
    "tools": [{"type": "function", "name": "spawn", "parameters": {"type": "object", "properties": {}}}],
}  # fmt: skip
SETTINGS: dict[str, Any] = {
    "model": "starter", "tools": [FUNCTION, AGENTS, {"type": "web_search", "external_web_access": False}],
    "tool_choice": "auto", "parallel_tool_calls": True, "reasoning": {"summary": "auto"}, "store": False,
    "stream": True, "include": ["reasoning.encrypted_content"], "prompt_cache_key": "thread-1", "temperature": 0,
    "client_metadata": {"session_id": "thread-1"},
}  # fmt: skip
IN_PARIS = "What is the weather in Paris?"


def said(role: str, text: str) -> dict[str, Any]:
    """A message as the agent writes it, with an id of its own."""
    return {"type": "message", "id": f"msg_{role}-{len(text)}", "role": role, "content": [_part(text)]}


def _part(text: str) -> dict[str, Any]:
    return {"type": "input_text", "text": text}


class Agent:
    """The client. `history` is what it would send if it had to begin anew."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.history: list[dict[str, Any]] = []
        self.previous: str | None = None

    async def turn(self, new: list[dict[str, Any]], **members: Any) -> dict[str, Any]:
        """One request with only what is new; the response of its end. A stream that breaks the rules fails here."""
        if self.previous is not None:
            members["previous_response_id"] = self.previous
        await self.client.send("response.create", input=new, **SETTINGS, **members)
        done: list[dict[str, Any]] = []
        while True:
            event = await self.client.receive(timeout=SECONDS)
            assert event["type"] != "error" or isinstance(event["status"], int)
            if event["type"] == "response.output_item.done":
                done.append(event["item"])
            if event["done"]:
                break
        if event["type"] == "error":
            return event
        response: dict[str, Any] = event["response"]
        assert response["usage"]["total_tokens"] > 0
        self.history += [*new, *done]
        self.previous = response["id"]
        return response


async def _until_the_call(agent: Agent) -> dict[str, Any]:
    warm = await agent.turn([said("developer", "Call tools when they help.")], generate=False)
    assert (warm["status"], warm["output"], warm["usage"]["output_tokens"]) == ("completed", [], 0)
    asked = await agent.turn([said("user", IN_PARIS)])
    assert asked["previous_response_id"] == warm["id"]
    call: dict[str, Any]
    (call,) = [item for item in asked["output"] if item["type"] == "function_call"]
    assert call["name"] == "get_weather"
    return call


async def test_warm_up_turn_tool_output_and_answer_on_one_socket(real: RealServer) -> None:
    async with dial(real.url) as client:
        agent = Agent(client)
        call = await _until_the_call(agent)
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny, 21 degrees"}
        answer = await agent.turn([output])
        assert answer["status"] == "completed"
        assert answer["usage"]["input_tokens_details"]["cached_tokens"] > 0, "the warm-up has paid"
        assert [item["type"] for item in answer["output"]][-1] == "message"


async def test_the_warm_up_prefills_what_the_next_turn_finds_in_the_cache(real: RealServer) -> None:
    developer = said("developer", "These are rules that only this test has. " * 20)
    async with dial(real.url) as client:
        agent = Agent(client)
        warm = await agent.turn([developer], generate=False)
        turn = await agent.turn([said("user", "hello")])
        cached = turn["usage"]["input_tokens_details"]["cached_tokens"]
        assert cached > 0.8 * warm["usage"]["input_tokens"]


async def test_after_a_drop_everything_is_sent_again_on_a_new_socket(real: RealServer) -> None:
    async with dial(real.url) as client:
        agent = Agent(client)
        call = await _until_the_call(agent)
        await cut(client)
    async with dial(real.url) as client:
        agent.client = client
        lost = await agent.turn([said("user", "and?")])
        assert (lost["error"]["code"], lost["status"]) == ("previous_response_not_found", 400)
        agent.previous = None
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
        again, agent.history = agent.history, []
        answer = await agent.turn([*again, output])
        assert answer["status"] == "completed"
        assert answer["previous_response_id"] is None


async def test_an_interrupted_turn_is_continued_on_the_same_socket(real: RealServer) -> None:
    async with dial(real.url) as client:
        agent = Agent(client)
        await client.send("response.create", input="count to 100", ignore_eos=True, **SETTINGS)
        while (event := await client.receive())["type"] != "response.output_text.delta":
            pass
        await client.send("response.interrupt", response_id=event["response_id"], mode="discard_partial_items")
        final = (await client.until_done())[-1]["response"]
        assert (final["incomplete_details"], final["end_turn"]) == ({"reason": "interrupted"}, False)
        assert [item for item in final["output"] if item["type"] == "message"] == []
        agent.previous = final["id"]
        assert (await agent.turn([said("user", "hello")]))["status"] == "completed"


async def test_a_get_without_an_upgrade_sends_the_agent_to_http(real: RealServer) -> None:
    async with httpx2.AsyncClient(timeout=SECONDS) as http:
        assert (await http.get(f"{real.base_url}/responses")).status_code == 426
