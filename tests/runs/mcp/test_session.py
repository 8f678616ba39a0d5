"""One session with a real MCP server: what comes back of its listing and of calls, and how it ends."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from realtime.context.mcp_tools import servers_of
from realtime.runs.mcp.session import McpFailure, McpSession
from realtime.settings.fields import McpServer, McpSettings
from tests.support.mcp_server import ToolServer, tool_server


def session(server: McpServer, *, timeout_seconds: float = 10, max_bytes: int = 4096, **members: Any) -> McpSession:
    tool = {"type": "mcp", "server_label": "s", **members}
    (use,) = servers_of([tool], McpSettings(mcp_servers={"s": server}))
    return McpSession(use, "resp_1", timeout_seconds=timeout_seconds, max_bytes=max_bytes)


@contextlib.asynccontextmanager
async def connected(**options: Any) -> AsyncIterator[tuple[ToolServer, McpSession]]:
    async with tool_server() as tools:
        opened = session(McpServer(url=tools.url), **options)
        try:
            yield tools, opened
        finally:
            await opened.close()


async def test_one_connection_serves_the_listing_and_the_calls() -> None:
    async with connected(authorization="secret", headers={"X-Key": "k"}) as (tools, one):
        listed = await one.list_tools()
        assert [tool.name for tool in listed] == ["get_weather", "fail", "write", "wait"]
        assert (listed[0].description, listed[0].annotations) == ("Weather in a city", {"readOnlyHint": True})
        assert listed[0].input_schema["required"] == ["city"]
        assert (await one.call("get_weather", '{"city": "Paris"}')).output == "sunny in Paris"
    assert tools.calls == [("get_weather", "Paris")]
    assert {(headers["authorization"], headers["x-key"]) for headers in tools.headers} == {("Bearer secret", "k")}
    assert len({headers["mcp-session-id"] for headers in tools.headers if "mcp-session-id" in headers}) <= 1


FAILS: dict[str, tuple[str, str, str, str]] = {
    "the tool": ("fail", '{"why": "broken"}', "mcp_tool_execution_error", "Error executing tool fail"),
    "a missing argument": ("get_weather", "{}", "mcp_tool_execution_error", "city"),
    "no JSON": ("get_weather", '{"city": ', "mcp_protocol_error", "not valid JSON"),
    "no object": ("get_weather", "[]", "mcp_protocol_error", "no object"),
    "too much": ("write", '{"length": 5000}', "mcp_tool_execution_error", "at most 4096"),
}


@pytest.mark.parametrize("name", FAILS)
async def test_a_call_that_fails_is_a_result(name: str) -> None:
    tool, arguments, kind, words = FAILS[name]
    async with connected() as (_, one):
        result = await one.call(tool, arguments)
        assert result.output is None
        assert result.error is not None
        assert result.error["type"] == kind
        assert words in json.dumps(result.error)
        assert (await one.call("get_weather", '{"city": "Rome"}')).output == "sunny in Rome"


async def test_no_arguments_are_an_empty_object() -> None:
    async with connected() as (tools, one):
        tools.release.set()
        assert (await one.call("wait", "")).output == "waited"


async def test_a_server_that_does_not_answer_in_time_is_given_up() -> None:
    async with connected(timeout_seconds=0.3) as (_, one):
        result = await one.call("wait", "{}")
        assert result.error is not None
        assert "did not answer within 0.3 s" in result.error["message"]


async def test_a_listing_that_is_too_long_is_refused() -> None:
    async with connected(max_bytes=300) as (_, one):
        with pytest.raises(McpFailure, match="too long"):
            await one.list_tools()


async def test_a_server_that_is_gone_is_a_failure_without_its_address() -> None:
    async with tool_server() as tools:
        url = tools.url
    one = session(McpServer(url=url), timeout_seconds=2)
    with pytest.raises(McpFailure, match="can't be reached") as caught:
        await one.list_tools()
    assert str(tools.port) not in str(caught.value)
    assert caught.value.error["type"] == "http_error"
    await one.close()


async def test_a_failure_is_logged_with_the_response_and_the_status(caplog: pytest.LogCaptureFixture) -> None:
    async with tool_server() as tools:
        one = session(McpServer(url=tools.url + "/nothing/here"), timeout_seconds=2)
        with pytest.raises(McpFailure):
            await one.list_tools()
        await one.close()
    assert "mcp failed response_id=resp_1 server=" in caplog.text
    assert "status=404" in caplog.text
    assert "/nothing/here" not in caplog.text


async def test_a_token_that_the_operator_forgot_is_a_failure_that_does_not_say_where(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("NO_SUCH_TOKEN", raising=False)
    one = session(McpServer(url="https://nowhere.test/mcp", token_env="NO_SUCH_TOKEN"))
    with pytest.raises(McpFailure, match="has no token") as caught:
        await one.list_tools()
    assert "NO_SUCH_TOKEN" not in str(caught.value)
    assert "NO_SUCH_TOKEN" in caplog.text
    caplog.clear()
    await one.close()


async def test_a_session_that_was_never_used_ends_at_once() -> None:
    one = session(McpServer(url="https://nowhere.test/mcp"))
    await one.close()
    await one.close()
