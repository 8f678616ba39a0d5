"""MCP over real sockets: a real MCP server of the official package, a scripted model, and what a client sees."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from realtime.settings.fields import McpServer
from tests.behaviour.test_items import Turns, sdk_takes
from tests.support.calls import TAGGED, called
from tests.support.http import http
from tests.support.mcp_server import ToolServer, tool_server
from tests.support.server import Client, Running, changed, running
from tests.support.transcript import assert_error

PARIS = called("get_weather", {"city": "Paris"})
LISTED = ["output_item.added", "mcp_list_tools.in_progress", "mcp_list_tools.completed", "output_item.done"]
CALLED = [
    "output_item.added", "mcp_call.in_progress", "mcp_call_arguments.delta", "mcp_call_arguments.done",
    "mcp_call.completed", "output_item.done",
]  # fmt: skip
SAID = [
    "output_item.added", "content_part.added", "output_text.delta", "output_text.done", "content_part.done",
    "output_item.done",
]  # fmt: skip


def use(tools: ToolServer, label: str = "s", **members: Any) -> dict[str, Any]:
    return {"type": "mcp", "server_label": label, "server_url": tools.url, "require_approval": "never", **members}


@contextlib.asynccontextmanager
async def serving(*tools: ToolServer, script: Any, **settings: Any) -> AsyncIterator[tuple[Running, Client]]:
    servers = {f"server{index}": McpServer(url=one.url) for index, one in enumerate(tools)}
    what = changed(mcp_servers=settings.pop("mcp_servers", servers), **settings)
    async with running(script, what, family=TAGGED) as server, server.client() as client:
        yield server, client
        assert server.engine.stats().num_running == 0


def kinds(events: list[dict[str, Any]]) -> list[str]:
    """Types of events, deltas of one item as one."""
    names = [event["type"].removeprefix("response.") for event in events]
    return [name for index, name in enumerate(names) if not (name.endswith("delta") and name == names[index - 1])]


def items(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    output: list[dict[str, Any]] = events[-1]["response"]["output"]
    return [item for item in output if item["type"] == kind]


async def test_tools_are_listed_and_called_and_the_model_goes_on() -> None:
    script = Turns(PARIS, ("It is sunny.",))
    async with tool_server() as tools, serving(tools, script=script) as (_, client):
        events = await client.create("weather in Paris?", tools=[use(tools)])
    sdk_takes(events)
    assert kinds(events) == ["created", "in_progress", *LISTED, *CALLED, *SAID, "completed"]
    numbers = [event["sequence_number"] for event in events]
    assert numbers == list(range(len(events)))
    (listing,), (call,) = items(events, "mcp_list_tools"), items(events, "mcp_call")
    assert [tool["name"] for tool in listing["tools"]] == ["get_weather", "fail", "write", "wait"]
    assert listing["tools"][0]["annotations"] == {"readOnlyHint": True}
    assert (call["status"], call["output"], call["server_label"]) == ("completed", "sunny in Paris", "s")
    assert json.loads(call["arguments"]) == {"city": "Paris"}
    assert call["id"].startswith("mcp_")
    assert listing["id"].startswith("mcpl_")
    assert tools.calls == [("get_weather", "Paris")]
    assert '"name": "get_weather"' in script.prompts[0]
    assert "sunny in Paris" in script.prompts[1]
    assert "s__get_weather" not in script.prompts[1]  # the call has the name that the tool has
    # Usage is that of both generations, and the second continues the first's very tokens.
    usage = events[-1]["response"]["usage"]
    assert usage["input_tokens"] == sum(len(request.prompt_token_ids) for request in script.requests)
    assert usage["output_tokens"] == len(PARIS) + 1 + 1 + 1


async def test_the_next_turn_asks_no_server_again_for_its_tools() -> None:
    script = Turns(PARIS, ("Sunny.",), called("get_weather", {"city": "Rome"}), ("Sunny too.",))
    async with tool_server() as tools, serving(tools, script=script) as (_, client):
        first = await client.create("Paris?", tools=[use(tools)])
        last = first[-1]["response"]["id"]
        events = await client.create("Rome?", tools=[use(tools)], previous_response_id=last)
        assert kinds(events) == ["created", "in_progress", *CALLED, *SAID, "completed"]
        # The same with a history that the client keeps.
        script._turns += [called("get_weather", {"city": "Oslo"}), ("Sunny.",)]
        held = [*first[-1]["response"]["output"], {"role": "user", "content": "Oslo?"}]
        events = await client.create(held, tools=[use(tools)])
        assert kinds(events) == ["created", "in_progress", *CALLED, *SAID, "completed"]
    assert [city for _, city in tools.calls] == ["Paris", "Rome", "Oslo"]


async def test_calls_of_one_generation_are_made_in_the_models_order() -> None:
    both = ("Look. ", *PARIS, *called("get_weather", {"city": "Rome"}))
    script = Turns(both, ("Sunny.",))
    async with tool_server() as tools, serving(tools, script=script) as (_, client):
        events = await client.create("?", tools=[use(tools)])
    sdk_takes(events)
    assert kinds(events) == ["created", "in_progress", *LISTED, *SAID, *CALLED, *CALLED, *SAID, "completed"]
    assert [call["output"] for call in items(events, "mcp_call")] == ["sunny in Paris", "sunny in Rome"]


async def test_a_call_for_the_client_ends_the_response_after_the_servers_own() -> None:
    function = {"type": "function", "name": "mine", "parameters": {"type": "object", "properties": {}}}
    script = Turns((*PARIS, *called("mine", {})))
    async with tool_server() as tools, serving(tools, script=script) as (_, client):
        events = await client.create("?", tools=[use(tools), function])
        assert [item["type"] for item in events[-1]["response"]["output"]] == [
            "mcp_list_tools", "mcp_call", "function_call",
        ]  # fmt: skip
        call_id = items(events, "function_call")[0]["call_id"]
        answer = [{"type": "function_call_output", "call_id": call_id, "output": "42"}]
        last = events[-1]["response"]["id"]
        await client.create(answer, tools=[use(tools), function], previous_response_id=last)
    assert len(script.requests) == 2
    assert "sunny in Paris" in script.prompts[1]
    assert "42" in script.prompts[1]


@pytest.mark.parametrize("stored", [True, False], ids=["stored", "held by the client"])
async def test_an_approval_makes_the_call(stored: bool) -> None:
    script = Turns(PARIS, ("Sunny.",))
    async with tool_server() as tools, serving(tools, script=script) as (_, client):
        asking = use(tools, require_approval="always")
        first = await client.create("Paris?", tools=[asking])
        sdk_takes(first)
        assert kinds(first) == ["created", "in_progress", *LISTED, "output_item.added", "output_item.done", "completed"]
        (asked,) = items(first, "mcp_approval_request")
        assert (asked["name"], json.loads(asked["arguments"])) == ("get_weather", {"city": "Paris"})
        assert tools.calls == []
        answer = {"type": "mcp_approval_response", "approval_request_id": asked["id"], "approve": True}
        response = first[-1]["response"]
        if stored:
            await client.send("response.create", input=[answer], tools=[asking], previous_response_id=response["id"])
        else:
            await client.send("response.create", input=[*response["output"], answer], tools=[asking])
        second = await client.until_done()
        # Whoever allows it again gets no second call.
        held = [*response["output"], answer, *second[-1]["response"]["output"], answer]
        await client.send("response.create", input=held, tools=[asking])
        assert items(await client.until_done(), "mcp_call") == []
    sdk_takes(second)
    assert kinds(second) == ["created", "in_progress", *CALLED, *SAID, "completed"]
    (call,) = items(second, "mcp_call")
    assert (call["approval_request_id"], call["output"]) == (asked["id"], "sunny in Paris")
    assert tools.calls == [("get_weather", "Paris")]
    assert "sunny in Paris" in script.prompts[1]


async def test_a_call_that_is_not_allowed_is_not_made_and_the_model_knows() -> None:
    script = Turns(PARIS, ("Well.",))
    async with tool_server() as tools, serving(tools, script=script) as (_, client):
        asking = use(tools, require_approval="always")
        first = await client.create("Paris?", tools=[asking])
        (asked,) = items(first, "mcp_approval_request")
        no = {
            "type": "mcp_approval_response", "approval_request_id": asked["id"], "approve": False, "reason": "too hot",
        }  # fmt: skip
        last = first[-1]["response"]["id"]
        await client.send("response.create", input=[no], tools=[asking], previous_response_id=last)
        second = await client.until_done()
    assert kinds(second) == ["created", "in_progress", *SAID, "completed"]
    assert tools.calls == []
    assert "did not allow this call. Reason: too hot" in script.prompts[1]


COUNT = "/v1/responses/input_tokens"
TOLD = "<|im_start|>user\nParis?"  # where the history begins in a prompt


@pytest.mark.parametrize("stored", [True, False], ids=["stored", "held by the client"])
async def test_a_history_is_said_in_one_way_whatever_tools_there_are_and_counted_as_it_is_said(stored: bool) -> None:
    script = Turns(called("fail", {"why": "broken"}), PARIS)
    async with tool_server() as tools, serving(tools, script=script) as (server, client):
        asking = use(tools, require_approval={"never": {"tool_names": ["fail"]}})
        first = await client.create("Paris?", tools=[asking])
        (failed,), (asked,) = items(first, "mcp_call"), items(first, "mcp_approval_request")
        assert failed["status"] == "failed"
        no = {"type": "mcp_approval_response", "approval_request_id": asked["id"], "approve": False, "reason": "hot"}
        held = [{"role": "user", "content": "Paris?"}, *first[-1]["response"]["output"], no]
        body = {"input": [no], "previous_response_id": first[-1]["response"]["id"]} if stored else {"input": held}
        used = []
        for more in ({"tools": [asking]}, {}, {"tools": [{"type": "function", "name": "mine"}]}):
            await client.send("response.create", **body, **more)
            used.append((await client.until_done())[-1]["response"]["usage"]["input_tokens"])
            async with http(server) as door:
                counted = (await door.post(COUNT, json={**body, **more})).json()
            assert counted["input_tokens"] == used[-1]
    with_tools, without, with_another = (TOLD + prompt.partition(TOLD)[2] for prompt in script.prompts[2:])
    assert with_tools == without == with_another
    assert '"name": "fail"' in with_tools
    assert "error: Error executing tool fail" in with_tools
    assert "The user did not allow this call. Reason: hot" in with_tools
    assert used[0] > used[2] > used[1]  # the tools' declarations
    assert tools.calls == [("fail", "broken")]


async def test_no_server_is_asked_for_its_tools_by_a_count() -> None:
    async with tool_server() as tools, serving(tools, script=Turns()) as (server, _), http(server) as door:
        without = (await door.post(COUNT, json={"input": "?"})).json()
        assert (await door.post(COUNT, json={"input": "?", "tools": [use(tools)]})).json() == without
    assert tools.headers == []


APPROVALS: list[tuple[Any, bool]] = [
    ("never", False),
    ("always", True),
    (None, True),
    ({"never": {"tool_names": ["get_weather"]}}, False),
    ({"never": {"tool_names": ["fail"]}}, True),
    ({"never": {"read_only": True}}, False),
    ({"always": {"tool_names": ["get_weather"]}, "never": {"read_only": True}}, True),
]


@pytest.mark.parametrize(("approval", "asks"), APPROVALS)
async def test_who_is_asked(approval: Any, asks: bool) -> None:
    async with tool_server() as tools, serving(tools, script=Turns(PARIS)) as (_, client):
        events = await client.create("?", tools=[use(tools, require_approval=approval)])
    assert bool(items(events, "mcp_approval_request")) is asks
    assert bool(tools.calls) is not asks


FAILING: dict[str, tuple[tuple[str, ...], str]] = {
    "a tool that fails": (called("fail", {"why": "broken"}), "mcp_tool_execution_error"),
    "too much": (called("write", {"length": 300_000}), "mcp_tool_execution_error"),
    "wrong arguments": (called("get_weather", {"town": "Paris"}), "mcp_tool_execution_error"),
    "no JSON": (called("get_weather", '{"city": '), "mcp_protocol_error"),
    "too slow": (called("wait", {}), "mcp_protocol_error"),
}


@pytest.mark.parametrize("name", FAILING)
async def test_a_call_that_fails_is_told_to_the_model(name: str) -> None:
    step, kind = FAILING[name]
    script = Turns(step, ("Sorry.",))
    async with (
        tool_server() as tools,
        serving(tools, script=script, mcp_timeout_seconds=1.0 if name == "too slow" else 10.0) as (_, client),
    ):
        events = await client.create("?", tools=[use(tools)])
    sdk_takes(events)
    failed = [name.replace("mcp_call.completed", "mcp_call.failed") for name in CALLED]
    assert kinds(events) == ["created", "in_progress", *LISTED, *failed, *SAID, "completed"]
    (call,) = items(events, "mcp_call")
    assert (call["status"], call["error"]["type"]) == ("failed", kind)
    assert "output" not in call
    assert "error: " in script.prompts[1]
    assert len(script.prompts[1]) < 10_000


async def test_a_dead_server_is_a_failed_listing_and_the_model_answers_without_it() -> None:
    async with tool_server() as tools:
        url = tools.url
    gone = {"server0": McpServer(url=url)}
    async with serving(script=Turns(("I have no tools.",)), mcp_servers=gone) as (_, client):
        events = await client.create("?", tools=[use(tools)])
    sdk_takes(events)
    failed = [name.replace("completed", "failed") for name in LISTED]
    assert kinds(events) == ["created", "in_progress", *failed, *SAID, "completed"]
    assert "can't be reached" in items(events, "mcp_list_tools")[0]["error"]


async def test_a_cancel_reaches_the_call() -> None:
    async with tool_server() as tools, serving(tools, script=Turns(called("wait", {}))) as (_, client):
        await client.send("response.create", input="?", tools=[use(tools)])
        await tools.waiting.wait()
        await client.send("response.cancel")
        events = await client.until_done()
        await tools.cancelled.wait()
    sdk_takes(events[:-1])  # the reason "cancelled" of the last one is ours
    assert kinds(events)[-3:] == ["mcp_call.failed", "output_item.done", "incomplete"]
    response = events[-1]["response"]
    assert (response["status"], response["output"][-1]["status"]) == ("cancelled", "incomplete")
    assert response["cancel"]["tokens_generated"] == response["usage"]["output_tokens"] > 0


async def test_a_lost_client_ends_the_call() -> None:
    async with tool_server() as tools, serving(tools, script=Turns(called("wait", {}))) as (server, _):
        async with server.client() as other:
            await other.send("response.create", input="?", tools=[use(tools)])
            await tools.waiting.wait()
        await tools.cancelled.wait()


async def test_calls_beyond_the_limit_are_ignored_and_the_model_goes_on_without_tools() -> None:
    again = called("get_weather", {"city": "Rome"})
    script = Turns((*PARIS, *again), ("Enough.",))
    async with tool_server() as tools, serving(tools, script=script) as (_, client):
        events = await client.create("?", tools=[use(tools)], max_tool_calls=1)
    assert kinds(events) == ["created", "in_progress", *LISTED, *CALLED, *SAID, "completed"]
    assert tools.calls == [("get_weather", "Paris")]
    assert '"name": "get_weather"' in script.prompts[0]
    assert '"description": "Weather in a city"' not in script.prompts[1]


async def test_the_operators_limit_holds_for_a_model_that_never_ends() -> None:
    script = Turns(*[PARIS] * 9)
    async with tool_server() as tools, serving(tools, script=script, max_mcp_calls=3) as (_, client):
        events = await client.create("?", tools=[use(tools)])
    assert len(tools.calls) == len(items(events, "mcp_call")) == 3


async def test_a_required_call_is_required_once() -> None:
    script = Turns(PARIS, ("Sunny.",))
    async with tool_server() as tools, serving(tools, script=script) as (_, client):
        choice = {"type": "mcp", "server_label": "s", "name": "get_weather"}
        events = await client.create("?", tools=[use(tools)], tool_choice=choice)
        assert kinds(events) == ["created", "in_progress", *LISTED, *CALLED, *SAID, "completed"]
        held = [request.constraint for request in script.requests if request.constraint is not None]
        (forced,) = (json.loads(constraint.value)["format"] for constraint in held)
        assert [form["type"] for form in forced["elements"]] == ["const_string", "json_schema", "const_string"]
        unknown = {"type": "mcp", "server_label": "s", "name": "nothing"}
        events = await client.create("?", tools=[use(tools)], tool_choice=unknown)
        assert events[-1]["response"]["status"] == "failed"
        assert "nothing" in events[-1]["response"]["error"]["message"]


async def test_all_generations_share_max_output_tokens() -> None:
    script = Turns(PARIS, ("one ", "two ", "three ", "four ", "five "))
    async with tool_server() as tools, serving(tools, script=script) as (_, client):
        events = await client.create("?", tools=[use(tools)], max_output_tokens=len(PARIS) + 3)
    response = events[-1]["response"]
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert response["usage"]["output_tokens"] == len(PARIS) + 3


async def test_a_result_that_fills_the_context_window_ends_the_response_and_keeps_it() -> None:
    script = Turns(called("write", {"length": 5000}), ("ok",))
    async with tool_server() as tools, serving(tools, script=script) as (_, client):
        events = await client.create("?", tools=[use(tools)])
        response = events[-1]["response"]
        assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
        assert items(events, "mcp_call")[0]["status"] == "completed"
        assert response["usage"]["input_tokens"] == len(script.requests[0].prompt_token_ids)


async def test_only_allowed_tools_are_shown() -> None:
    script = Turns(("ok",), ("ok",))
    async with tool_server() as tools, serving(tools, script=script) as (_, client):
        await client.create("?", tools=[use(tools, allowed_tools=["fail"])])
        await client.create("?", tools=[use(tools, allowed_tools={"read_only": True})])
    assert ('"name": "fail"' in script.prompts[0], '"name": "get_weather"' in script.prompts[0]) == (True, False)
    assert ('"name": "fail"' in script.prompts[1], '"name": "get_weather"' in script.prompts[1]) == (False, True)


async def test_two_servers_with_the_same_tools_are_told_apart() -> None:
    script = Turns((*called("a__get_weather", {"city": "X"}), *called("b__get_weather", {"city": "X"})), ("ok",))
    async with (
        tool_server("A ") as one,
        tool_server("B ") as two,
        serving(one, two, script=script) as (_, client),
    ):
        events = await client.create("?", tools=[use(one, "a"), use(two, "b")])
    sdk_takes(events)
    calls = items(events, "mcp_call")
    assert [(call["server_label"], call["name"], call["output"]) for call in calls] == [
        ("a", "get_weather", "A sunny in X"), ("b", "get_weather", "B sunny in X"),
    ]  # fmt: skip


async def test_a_server_is_used_by_the_name_that_the_operator_gave_it() -> None:
    script = Turns(PARIS, ("Sunny.",))
    async with (
        tool_server() as tools,
        serving(script=script, mcp_servers={"weather": McpServer(url=tools.url, require_approval="never")}) as (
            _,
            client,
        ),
    ):
        events = await client.create("?", tools=[{"type": "mcp", "server_label": "weather"}])
    assert kinds(events) == ["created", "in_progress", *LISTED, *CALLED, *SAID, "completed"]


SECRET = "sk-do-not-tell"


async def test_secrets_go_to_the_server_and_nowhere_else(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG, "realtime")
    monkeypatch.setenv("WEATHER_TOKEN", "operators-token")
    script = Turns(*[PARIS, ("Sunny.",)] * 3)
    async with tool_server() as tools:
        allowed = {"weather": McpServer(url=tools.url, prefix=True, token_env="WEATHER_TOKEN")}
        async with serving(script=script, mcp_servers=allowed) as (_, client):
            secret = use(tools, authorization=SECRET, headers={"X-Key": SECRET})
            events = await client.create("?", tools=[secret])
            assert tools.headers[0]["authorization"] == f"Bearer {SECRET}"
            assert all(headers["x-key"] == SECRET for headers in tools.headers)
            shown = events[-1]["response"]["tools"][0]
            assert shown["server_url"] == f"http://127.0.0.1:{tools.port}/<redacted>"
            assert SECRET not in json.dumps(events)
            tools.headers.clear()
            await client.create("?", tools=[use(tools)])
            assert all(headers["authorization"] == "Bearer operators-token" for headers in tools.headers)
    assert SECRET not in caplog.text
    assert "operators-token" not in caplog.text


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"server_url": "http://127.0.0.1:1/mcp"}, "server_url", "mcp_servers"),
    ({"server_url": "http://169.254.169.254/latest"}, "server_url", "mcp_servers"),
    ({"server_url": "http://localhost:9/base/../other"}, "server_url", "mcp_servers"),
    ({"server_url": "http://localhost:9/base/%2e%2e/other"}, "server_url", "mcp_servers"),
    ({"server_url": "http://localhost:9/based"}, "server_url", "mcp_servers"),
    ({"server_url": None}, "server_url", "named 's'"),
    ({"server_label": "1 x"}, "server_label", "letter"),
    ({"connector_id": "connector_gmail"}, "connector_id", "server_url"),
    ({"headers": {"Host": "x"}}, "headers", "Host"),
    ({"headers": {"X": "a\r\nY: b"}}, "headers", "printable"),
    ({"authorization": "a\nb"}, "authorization", "printable"),
    ({"require_approval": "sometimes"}, "", "require_approval"),
]


@pytest.mark.parametrize(("members", "param", "words"), REFUSED)
async def test_what_is_refused(members: dict[str, Any], param: str, words: str) -> None:
    base = McpServer(url="http://localhost:9/base", prefix=True)
    async with serving(script=Turns(), mcp_servers={"base": base}) as (_, client):
        tool = {"type": "mcp", "server_label": "s", "server_url": "http://localhost:9/base/x", **members}
        await client.send("response.create", input="?", tools=[{"type": "web_search"}, tool])
        where = f"tools[1].{param}" if param else "tools[1]"
        event = await client.receive()
        assert_error(event, "invalid_request", 400, param=where)
        assert words in event["error"]["message"]


async def test_without_the_setting_mcp_is_refused_by_name() -> None:
    async with running(Turns(), family=TAGGED) as server, server.client() as client:
        tool = {"type": "mcp", "server_label": "s", "server_url": "http://localhost:9/mcp"}
        await client.send("response.create", input="?", tools=[tool])
        event = await client.receive()
        assert_error(event, "invalid_request", 400, param="tools[0].server_url")
        assert "MCP is off" in event["error"]["message"]


async def test_an_approval_needs_its_server() -> None:
    async with tool_server() as tools, serving(tools, script=Turns(PARIS)) as (_, client):
        first = await client.create("?", tools=[use(tools, require_approval="always")])
        (asked,) = items(first, "mcp_approval_request")
        yes = {"type": "mcp_approval_response", "approval_request_id": asked["id"], "approve": True}
        last = first[-1]["response"]["id"]
        await client.send("response.create", input=[yes], previous_response_id=last)
        assert_error(await client.receive(), "invalid_request", 400, param="tools")
