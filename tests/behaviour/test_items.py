"""Items and tools over a real socket: what a client's tools are called with, what the model then sees."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from realtime.engine.base import EngineRequest
from realtime.engine.scripted import ScriptedTokenizer
from realtime.server.keys import KeyFile, write_keys
from tests.support.calls import TAGGED, called
from tests.support.server import Client, changed, running
from tests.support.transcript import assert_error, types


class Turns:
    """A script that says one thing after another, and remembers what it was asked."""

    def __init__(self, *turns: tuple[str, ...]) -> None:
        self._turns = list(turns)
        self.requests: list[EngineRequest] = []

    def __call__(self, request: EngineRequest) -> tuple[str, ...]:
        self.requests.append(request)
        return self._turns.pop(0) if self._turns else ("ok",)

    @property
    def prompts(self) -> list[str]:
        """What the model was given."""
        return [ScriptedTokenizer().decode(request.prompt_token_ids) for request in self.requests]


def serve(script: Any) -> Any:
    return running(script, family=TAGGED)


def output_of(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    assert events[-1]["type"] == "response.completed", events[-1]
    output: list[dict[str, Any]] = events[-1]["response"]["output"]
    return output


def sdk_takes(events: list[dict[str, Any]]) -> None:
    """Every event is what the SDK expects, strictly."""
    for event in events:
        _sdk_event().validate_json(json.dumps(event), strict=True)


@cache
def _sdk_event() -> TypeAdapter[Any]:
    from openai.types.responses import ResponsesServerEvent  # half a second

    return TypeAdapter(ResponsesServerEvent)


SHELL_OUTPUT = [{"stdout": "a.txt", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]
FOUND = {"type": "function", "name": "found_tool", "parameters": {"type": "object", "properties": {"x": {}}}}
CLIENT: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any], str]] = {
    # the tool, what the model says, what the client gets, what it answers, what the model sees of that
    "local_shell": (
        {"type": "local_shell"},
        {"command": ["ls", "-l"], "timeout_ms": 5},
        {"action": {"type": "exec", "command": ["ls", "-l"], "env": {}, "timeout_ms": 5}},
        {"type": "local_shell_call_output", "output": "a.txt"},
        "a.txt",
    ),
    "shell": (
        {"type": "shell", "environment": {"type": "local"}},
        {"commands": ["ls", "pwd"], "max_output_length": 9},
        {"action": {"commands": ["ls", "pwd"], "max_output_length": 9}},
        {"type": "shell_call_output", "output": SHELL_OUTPUT, "max_output_length": 9},
        json.dumps(SHELL_OUTPUT),
    ),
    "apply_patch": (
        {"type": "apply_patch"},
        {"type": "update_file", "path": "a.txt", "diff": "@@\n-a\n+b"},
        {"operation": {"type": "update_file", "path": "a.txt", "diff": "@@\n-a\n+b"}},
        {"type": "apply_patch_call_output", "status": "failed", "output": "no such line"},
        "failed: no such line",
    ),
    "tool_search": (
        {"type": "tool_search", "execution": "client", "parameters": {"type": "object", "properties": {"q": {}}}},
        {"q": "weather"},
        {"arguments": {"q": "weather"}, "execution": "client"},
        {"type": "tool_search_output", "tools": [FOUND]},
        "Available now: found_tool",
    ),
}
EVENTS = {"shell": ["shell_call_command.added", "shell_call_command.delta", "shell_call_command.done"] * 2}


@pytest.mark.parametrize("kind", CLIENT)
async def test_a_tool_of_the_clients_is_called_answered_and_seen(kind: str) -> None:
    tool, arguments, members, answer, told = CLIENT[kind]
    script = Turns(called(kind, arguments), ("done",))
    async with serve(script) as server, server.client() as client:
        first = await client.create("go", tools=[tool])
        (call,) = output_of(first)
        assert call == {
            "type": f"{kind}_call", "id": call["id"], "call_id": call["call_id"], "status": "completed", **members,
        }  # fmt: skip
        assert types(first)[2:-1] == ["output_item.added", *EVENTS.get(kind, []), "output_item.done"]
        sdk_takes(first)
        await client.send(
            "response.create", previous_response_id=first[0]["response_id"], tools=[tool],
            input=[{"call_id": call["call_id"], **answer}],
        )  # fmt: skip
        assert output_of(await client.until_done())[0]["content"][0]["text"] == "done"
        # the same from a client that keeps its own history
        items = [{"role": "user", "content": "go"}, call, {"call_id": call["call_id"], **answer}]
        await client.send("response.create", input=items, tools=[tool])
        await client.until_done()
    before, chained, own = script.prompts
    assert json.loads(before.split("tools\n")[1].split("<|im_end|>")[0])[0]["function"]["name"] == kind
    assert f'"name": "{kind}", "arguments": {json.dumps(arguments)}' in chained
    assert f"<|im_start|>tool\n{told}" in chained
    assert own == chained


async def test_tools_that_a_search_has_found_can_be_called_and_go_on_to_be_there() -> None:
    tool, arguments, _, answer, _ = CLIENT["tool_search"]
    script = Turns(called("tool_search", arguments), called("found_tool", {"x": 1}), ("done",))
    async with serve(script) as server, server.client() as client:
        first = await client.create("go", tools=[tool, {**FOUND, "defer_loading": True}])
        (search,) = output_of(first)
        second = await follow(client, first, [{"call_id": search["call_id"], **answer}], tools=[tool])
        (call,) = output_of(second)
        assert (call["type"], call["name"], call["arguments"]) == ("function_call", "found_tool", '{"x": 1}')
        last = [{"type": "function_call_output", "call_id": call["call_id"], "output": "1"}]
        await follow(client, second, last, tools=[tool], tool_choice={"type": "function", "name": "found_tool"})
    shown = ['"name": "found_tool", "description"' in prompt for prompt in script.prompts]
    assert shown == [False, True, True]


Events = list[dict[str, Any]]


async def follow(client: Client, events: Events, items: list[Any], **members: Any) -> Events:
    await client.send("response.create", previous_response_id=events[0]["response_id"], input=items, **members)
    return await client.until_done()


@pytest.mark.parametrize(
    ("arguments", "status"), [('{"commands": ["rm', "incomplete"), ('{"cmd": ["ls"]}', "completed")]
)
async def test_a_call_that_does_not_fit_its_tool_is_a_function_call_with_all_that_was_said(
    arguments: str, status: str
) -> None:
    script = Turns(called("shell", arguments)[: None if status == "completed" else -1], ("done",))
    async with serve(script) as server, server.client() as client:
        first = await client.create("go", tools=[{"type": "shell"}])
        (call,) = first[-1]["response"]["output"]
        assert (call["type"], call["name"], call["arguments"]) == ("function_call", "shell", arguments)
        assert call["status"] == status
        sdk_takes(first)
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "try again"}
        assert output_of(await follow(client, first, [output], tools=[{"type": "shell"}]))
    assert "try again" in script.prompts[1]


async def test_additional_tools_are_there_from_their_turn_on() -> None:
    script = Turns(("a",), ("b",), ("c",))
    async with serve(script) as server, server.client() as client:
        first = await client.create("go")
        more = {"type": "additional_tools", "role": "developer", "tools": [FOUND]}
        second = await follow(client, first, [more, {"role": "user", "content": "x"}])
        await follow(client, second, [{"role": "user", "content": "y"}])
        await client.send("response.create", input=[{**more, "tools": [FOUND, {"type": "nope"}]}])
        assert_error(await client.receive(), "invalid_request", 400, param="input[0].tools[1].type")
    assert ["found_tool" in prompt for prompt in script.prompts] == [False, True, True]


async def test_a_configuration_update_holds_until_the_next() -> None:
    """The scripted tokenizer shows no settings; the Response says what holds."""
    async with serve(Turns()) as server, server.client() as client:
        schema = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "description": None, "strict": True}
        update = {"type": "configuration_update", "reasoning": {"effort": "high"}, "text": {"format": schema}}
        first = await follow_settings(client, None, [update, {"role": "user", "content": "x"}])
        assert settings(first) == ("high", schema)
        second = await follow_settings(client, first, "y")
        assert settings(second) == ("high", schema)
        plain = {"type": "configuration_update", "text": {"format": {"type": "text"}}}
        third = await follow_settings(client, second, [plain, {"role": "user", "content": "z"}])
        assert settings(third) == ("high", {"type": "text"})
        assert settings(await follow_settings(client, third, "w", reasoning={"effort": "low"}))[0] == "low"


async def follow_settings(client: Client, before: Any, given: Any, **members: Any) -> list[dict[str, Any]]:
    previous = before[0]["response_id"] if before else None
    await client.send("response.create", input=given, previous_response_id=previous, **members)
    return await client.until_done()


def settings(events: list[dict[str, Any]]) -> tuple[str, Any]:
    response = events[-1]["response"]
    return response["reasoning"]["effort"], response["text"]["format"]


async def test_a_reference_is_the_item_it_names() -> None:
    script = Turns(("the answer",), ("b",), ("c",))
    async with serve(script) as server, server.client() as client:
        first = await client.create("the question")
        (message,) = output_of(first)
        # in a new chain, from what is stored
        reference = {"type": "item_reference", "id": message["id"]}
        await client.send("response.create", input=[reference, {"role": "user", "content": "x"}])
        await client.until_done()
        # in the same chain; and without a type
        await follow(client, first, [{"id": message["id"]}])
    assert "<|im_start|>assistant\nthe answer<|im_end|>" in script.prompts[1]
    assert "the question" not in script.prompts[1]
    assert script.prompts[2].count("the answer") == 2


async def test_a_reference_to_nothing_is_refused_and_the_socket_goes_on() -> None:
    async with serve(Turns()) as server, server.client() as client:
        hidden = await client.create("x", store=False)
        (message,) = output_of(hidden)
        for item_id in ("msg_unknown", message["id"]):
            items = [{"role": "user", "content": "x"}, {"type": "item_reference", "id": item_id}]
            await client.send("response.create", input=items, stream_id="other")
            assert_error(await client.receive(), "invalid_request", 400, param="input[1].id")
        # but the lane that holds the turn has its items
        assert output_of(await follow(client, hidden, [{"type": "item_reference", "id": message["id"]}]))


async def test_items_of_hosted_tools_are_accepted_and_not_shown() -> None:
    script = Turns()
    hosted = [
        {"type": "web_search_call", "id": "ws_1", "action": {"type": "search", "query": "SECRET"}},
        {"type": "code_interpreter_call", "id": "ci_1", "code": "SECRET", "outputs": None},
        {"type": "computer_call_output", "call_id": "c", "output": {"image_url": "SECRET"}},
    ]  # fmt: skip
    async with serve(script) as server, server.client() as client:
        await client.send("response.create", input=[*hosted, {"role": "user", "content": "hi"}])
        assert output_of(await client.until_done())
    assert "SECRET" not in script.prompts[0]


ORPHANS = [
    {"type": "shell_call_output", "call_id": "c_9", "output": []},
    {"type": "local_shell_call_output", "id": "c_9", "output": ""},
    {"type": "apply_patch_call_output", "call_id": "c_9", "status": "completed"},
    {"type": "tool_search_output", "call_id": "c_9", "tools": []},
    {"type": "mcp_approval_response", "approval_request_id": "c_9", "approve": True},
]


@pytest.mark.parametrize("orphan", ORPHANS, ids=lambda item: item["type"])
async def test_an_output_that_answers_nothing_is_refused_with_its_id(orphan: dict[str, Any]) -> None:
    async with serve(Turns()) as server, server.client() as client:
        await client.send("response.create", input=[orphan])
        event = await client.receive()
        assert_error(event, "invalid_request", 400)
        assert "'c_9'" in event["error"]["message"]


@pytest.mark.parametrize("kind", ["local_shell", "shell", "apply_patch", "tool_search"])
async def test_sampling_is_held_to_the_tool_that_was_chosen(kind: str) -> None:
    script = Turns()
    async with running(script, family=TAGGED) as server, server.client() as client:
        await client.create("x", tools=[{"type": kind, "execution": "client"}, FOUND], tool_choice={"type": kind})
        hidden = {"type": "web_search"}
        await client.send("response.create", input="x", tools=[hidden], tool_choice=hidden)
        assert_error(await client.receive(), "invalid_request", 400, param="tool_choice.type")
    assert script.requests[0].constraint is not None
    assert f'"<tool_call>{kind} "' in script.requests[0].constraint.value
    assert '"<tool_call>found ' not in script.requests[0].constraint.value


@pytest.mark.parametrize("tool", ["web_search", "file_search", "image_generation", "computer_use_preview"])
async def test_a_hosted_tool_is_echoed_and_not_shown(tool: str) -> None:
    script = Turns()
    async with serve(script) as server, server.client() as client:
        events = await client.create("x", tools=[{"type": tool, "server_label": "s"}])
        assert events[-1]["response"]["tools"] == [{"type": tool, "server_label": "s"}]
    assert tool not in script.prompts[0]


async def test_of_another_tenant_there_is_no_item(tmp_path: Path) -> None:
    keys, mine = KeyFile().add("anna")
    keys, theirs = keys.add("ben")
    path = tmp_path / "keys.json"
    write_keys(path, keys)
    settings = changed(api_keys_file=str(path))
    async with (
        running(Turns(), settings) as server,
        server.client(key=mine) as me,
        server.client(key=theirs) as them,
    ):
        (message,) = output_of(await me.create("x"))
        reference = {"type": "item_reference", "id": message["id"]}
        await me.send("response.create", input=[reference])
        assert output_of(await me.until_done())
        await them.send("response.create", input=[reference])
        assert_error(await them.receive(), "invalid_request", 400, param="input[0].id")
