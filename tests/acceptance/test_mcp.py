"""MCP with everything real: vLLM and the starter model, the official MCP package on both ends, OpenAI's SDK."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.support.mcp_server import tool_server
from tests.support.real import RealServer
from tests.support.sdk import Answer, talking

pytestmark = pytest.mark.vllm


async def test_the_model_calls_an_mcp_tool_and_answers_with_its_result(
    real: RealServer, mcp_socket: socket.socket
) -> None:
    async with tool_server(at=mcp_socket) as tools:
        first, second = await asyncio.to_thread(_talk, real)
    assert tools.calls == [("get_weather", "Paris"), ("get_weather", "London")]
    assert [kind for kind in first.kinds if kind != "reasoning"] == ["mcp_list_tools", "mcp_call", "message"]
    (call,) = first.items("mcp_call")
    assert (call.server_label, call.name, call.output) == ("weather", "get_weather", "sunny in Paris")
    assert "sunny" in first.final.output_text
    # Its second generation reads the first one's tokens from the cache, and so does the next turn.
    assert second.final.usage is not None
    assert second.final.usage.input_tokens_details.cached_tokens > 0
    assert [kind for kind in second.kinds if kind != "reasoning"] == ["mcp_call", "message"]


def _talk(real: RealServer) -> tuple[Answer, Answer]:
    with talking(real) as talk:
        mcp = {"type": "mcp", "server_label": "weather", "allowed_tools": ["get_weather"]}
        first = talk.turn(input="What is the weather in Paris?", tools=[mcp])
        second = talk.turn(input="What is the weather in London?", tools=[mcp], previous_response_id=first.id)
        return first, second
