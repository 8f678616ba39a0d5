"""Sessions in which the server calls tools of MCP servers. Each public coroutine is one."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from realtime.settings.fields import McpServer
from tests.support.calls import TAGGED, called
from tests.support.mcp_server import ToolServer, tool_server
from tests.support.recorded_session import Stage, playing
from tests.support.recording import Recording

PARIS = called("get_weather", {"city": "Paris"})
FEW = ["get_weather", "fail"]


@contextlib.asynccontextmanager
async def _calling(
    recording: Recording, *answers: Sequence[str], **settings: Any
) -> AsyncIterator[tuple[Stage, ToolServer]]:
    """A server that may use one MCP server; at the end, what that was called with."""
    async with tool_server() as tools:
        settings = {"mcp_servers": {"weather": McpServer(url=tools.url)}, **settings}
        async with playing(recording, *answers, family=TAGGED, settings=settings) as stage:
            yield stage, tools
        stage.note("tools #", {"calls": tools.calls})


def _use(tools: ToolServer, **members: Any) -> dict[str, Any]:
    own = {"server_label": "s", "server_url": tools.url, "require_approval": "never", "allowed_tools": FEW}
    return {"type": "mcp", **own, **members}


async def mcp_call(recording: Recording) -> None:
    """Tools are listed and called, the model goes on; the next turn lists nothing."""
    answers = ("Look. ", *PARIS), ("Sunny.",), called("get_weather", {"city": "Rome"}), ("Sunny too.",)
    async with _calling(recording, *answers) as (stage, tools), stage.socket() as ws:
        last = await ws.create("Paris?", tools=[_use(tools, authorization="secret", headers={"X-Key": "secret"})])
        await ws.follow(last, "Rome?", tools=[_use(tools)])


async def mcp_over_http(recording: Recording) -> None:
    """The same as a stream, by the operator's name, all tools shown, two calls in one generation."""
    both = (*PARIS, *called("get_weather", {"city": "Rome"}))
    async with _calling(recording, both, ("Sunny.",)) as (stage, _), stage.http() as http:
        tool = {"type": "mcp", "server_label": "weather", "require_approval": "never"}
        await http.create("?", tools=[tool], stream=True)


async def mcp_approval_given(recording: Recording) -> None:
    """The response ends with the question; the answer makes the call, once."""
    async with _calling(recording, PARIS, ("Sunny.",)) as (stage, tools), stage.socket() as ws:
        asking = _use(tools, require_approval="always")
        first = await ws.create("Paris?", tools=[asking])
        asked = first["response"]["output"][-1]
        yes = {"type": "mcp_approval_response", "approval_request_id": asked["id"], "approve": True}
        second = await ws.follow(first, [yes], tools=[asking])
        held = [*first["response"]["output"], yes, *second["response"]["output"], yes]
        await ws.create([{"role": "user", "content": "Paris?"}, *held], tools=[asking])
        await ws.follow(first, [yes])


async def mcp_approval_refused(recording: Recording) -> None:
    """The call is not made, and the model is told why."""
    async with _calling(recording, PARIS, ("Well.",)) as (stage, tools), stage.socket() as ws:
        asking = _use(tools, require_approval={"always": {"tool_names": ["get_weather"]}})
        first = await ws.create("Paris?", tools=[asking])
        no = {"type": "mcp_approval_response", "approve": False, "reason": "too hot"}
        request_id = first["response"]["output"][-1]["id"]
        await ws.follow(first, [{**no, "approval_request_id": request_id}], tools=[asking])
        await ws.follow(first, [{**no, "approval_request_id": "mcpr_none"}], tools=[asking])


async def mcp_call_that_fails(recording: Recording) -> None:
    """By its tool, by its arguments, and because there are too many; the model is told."""
    answers = called("fail", {"why": "broken"}), ("Sorry.",), called("get_weather", "[]"), ("Oh.",), (*PARIS, *PARIS)
    async with _calling(recording, *answers) as (stage, tools), stage.socket() as ws:
        await ws.create("?", tools=[_use(tools)])
        await ws.create("?", tools=[_use(tools)])
        await ws.create("?", tools=[_use(tools)], max_tool_calls=1)


async def mcp_server_that_is_gone(recording: Recording) -> None:
    """The listing fails, and the model answers without it."""
    async with tool_server() as tools:
        settings = {"mcp_servers": {"weather": McpServer(url=tools.url)}}
    async with (
        playing(recording, ("No tools.",), family=TAGGED, settings=settings) as stage,
        stage.socket() as ws,
    ):
        await ws.create("?", tools=[_use(tools)])


async def mcp_and_a_function(recording: Recording) -> None:
    """A call for the client ends the response after the server's own; its output goes on."""
    function = {"type": "function", "name": "mine", "parameters": {"type": "object", "properties": {}}}
    async with _calling(recording, (*PARIS, *called("mine", {}))) as (stage, tools), stage.socket() as ws:
        last = await ws.create("?", tools=[_use(tools), function])
        call_id = last["response"]["output"][-1]["call_id"]
        output = {"type": "function_call_output", "call_id": call_id, "output": "42"}
        await ws.follow(last, [output], tools=[_use(tools), function])


async def mcp_in_the_history(recording: Recording) -> None:
    """A call in the history of later requests, with the tool in the request and without it, chained and held."""
    async with _calling(recording, PARIS, ("Sunny.",)) as (stage, tools), stage.socket() as ws:
        first = await ws.create("Paris?", tools=[_use(tools)])
        await ws.follow(first, "with", tools=[_use(tools)])
        await ws.follow(first, "without")
        held = [{"role": "user", "content": "Paris?"}, *first["response"]["output"]]
        await ws.create([*held, {"role": "user", "content": "with"}], tools=[_use(tools)])
        await ws.create([*held, {"role": "user", "content": "without"}])
        failed = {"type": "mcp_call", "server_label": "s", "name": "fail", "arguments": "{}"}
        await ws.create([{**failed, "error": "broken"}, {"role": "user", "content": "so?"}])


async def mcp_refused(recording: Recording) -> None:
    """Servers that are not allowed, members that are not, a choice of what is not there; and where MCP is off."""
    async with _calling(recording) as (stage, tools), stage.socket() as ws:
        for members in (
            {"server_url": "http://127.0.0.1:1/mcp"}, {"server_url": None}, {"server_label": "1 x"},
            {"connector_id": "connector_gmail"}, {"headers": {"Host": "x"}}, {"require_approval": "sometimes"},
        ):  # fmt: skip
            await ws.create("?", tools=[_use(tools, **members)])
        choice = {"type": "mcp", "server_label": "s", "name": "nothing"}
        await ws.create("?", tools=[_use(tools)], tool_choice=choice)
    async with playing(recording, family=TAGGED) as stage, stage.socket() as ws:
        await ws.create("?", tools=[_use(tools)])
