"""Sessions in which the model calls tools of the client's, and items of every kind. Each public coroutine is one."""

from __future__ import annotations

from typing import Any

from tests.support.calls import TAGGED, called, spoken_call
from tests.support.marked import MarkedParsers
from tests.support.pictures import question
from tests.support.recorded_session import playing
from tests.support.recording import Recording

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
FOUND = {"type": "function", "name": "found_tool", "parameters": {"type": "object", "properties": {"x": {}}}}
NOTE = {"type": "custom", "name": "note", "description": "Free text"}
RED = (  # 40 times 30 pixels; the bytes are given, because encoders differ
    "iVBORw0KGgoAAAANSUhEUgAAACgAAAAeCAIAAADRv8uKAAAAKElEQVR42u3NsQ0AAAjAoP7/tJ6hAwk7TZ1ILBaLxWKxWCwWi8V/"
    "4wU+nauNixxYhAAAAABJRU5ErkJggg=="
)
SHELL_OUTPUT = [{"stdout": "a.txt", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]


def _output(call: dict[str, Any], text: str) -> dict[str, Any]:
    kind = call["type"].removesuffix("_call") + "_call_output"
    return {"type": kind, "call_id": call["call_id"], "output": text}


async def function_call(recording: Recording) -> None:
    """A call, its output in the next turn, an answer."""
    answers = spoken_call("get_weather", '{"city"', ': "Paris"}'), ("Sunny.",)
    async with playing(recording, *answers, family=TAGGED) as stage, stage.socket() as ws:
        last = await ws.create("Paris?", tools=[WEATHER])
        await ws.follow(last, [_output(last["response"]["output"][0], "sunny")], tools=[WEATHER])


async def function_call_by_stream(recording: Recording) -> None:
    """The same over HTTP, by a client that holds its history."""
    answers = ("I look. ", *spoken_call("get_weather", '{"city": "Paris"}')), ("Sunny.",)
    async with playing(recording, *answers, family=TAGGED) as stage, stage.http() as http:
        events = await http.create("Paris?", tools=[WEATHER], stream=True, store=False)
        said = events[-2]["response"]["output"]
        held = [{"role": "user", "content": "Paris?"}, *said, _output(said[-1], "sunny")]
        await http.create(held, tools=[WEATHER], store=False)


async def parallel_calls(recording: Recording) -> None:
    """Two calls at once, both answered; and at most one, where the client wants it so."""
    both = (*spoken_call("get_weather", '{"city": "A"}'), *spoken_call("get_weather", '{"city": "B"}'))
    async with playing(recording, both, ("Fine.",), both, family=TAGGED) as stage, stage.socket() as ws:
        last = await ws.create("A or B?", tools=[WEATHER], tool_choice="required")
        outputs = [_output(call, text) for call, text in zip(last["response"]["output"], ("sun", "rain"), strict=True)]
        await ws.follow(last, outputs, tools=[WEATHER], tool_choice="none")
        await ws.create("A or B?", tools=[WEATHER], parallel_tool_calls=False)


async def custom_tool_call(recording: Recording) -> None:
    """Free text as a tool's input, and its output."""
    answers = ("call:note", 'args:{"input": "so', 'args: it is"}'), ("done",)
    async with playing(recording, *answers, parsers=MarkedParsers()) as stage, stage.socket() as ws:
        last = await ws.create("note it", tools=[NOTE, WEATHER], tool_choice={"type": "custom", "name": "note"})
        await ws.follow(last, [_output(last["response"]["output"][0], "noted")], tools=[NOTE])


async def calls_in_a_namespace(recording: Recording) -> None:
    """Tools of a namespace, hidden tools beside them, a choice among what is allowed."""
    space = {"type": "namespace", "name": "geo", "description": "Places", "tools": [WEATHER]}
    answers = [spoken_call("geo__get_weather", '{"city": "A"}')]
    async with playing(recording, *answers, family=TAGGED) as stage, stage.socket() as ws:
        choice = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search"}, {"type": "namespace"}]}
        await ws.create("A?", tools=[space, {"type": "web_search"}, FOUND], tool_choice="auto")
        await ws.create("A?", tools=[{"type": "web_search"}], tool_choice={"type": "web_search"})
        await ws.create("A?", tools=[FOUND, {"type": "web_search"}], tool_choice={**choice, "tools": [FOUND]})
        await ws.create("A?", tools=[{"type": "nonsense"}])


async def calls_that_end_badly(recording: Recording) -> None:
    """Cut in its arguments; arguments that are no JSON; an output that answers nothing."""
    cut, bad = spoken_call("get_weather", '{"city": ', '"A"}'), called("shell", "ls -l")
    async with playing(recording, cut, family=TAGGED) as stage, stage.socket() as ws:
        await ws.create("A?", tools=[WEATHER], max_output_tokens=3)
        for kind in ("function_call_output", "shell_call_output", "mcp_approval_response"):
            await ws.create([{"type": kind, "call_id": "c_9", "approval_request_id": "c_9", "approve": True}])
        await ws.create([{"type": "function_call_output", "call_id": "c_9", "output": "x"}])
    async with playing(recording, bad, family=TAGGED) as stage, stage.socket() as ws:
        await ws.create("A?", tools=[{"type": "shell"}])


async def _by_client(recording: Recording, kind: str, tool: Any, arguments: Any, answer: dict[str, Any]) -> None:
    """A tool that the client runs is called, answered, and seen by the model."""
    async with playing(recording, called(kind, arguments), family=TAGGED) as stage, stage.socket() as ws:
        last = await ws.create("go", tools=[tool])
        output = {"call_id": last["response"]["output"][0]["call_id"], **answer}
        await ws.follow(last, [output], tools=[tool])


async def client_shell(recording: Recording) -> None:
    """A call of `shell`, two commands."""
    arguments = {"commands": ["ls", "pwd"], "max_output_length": 9}
    tool = {"type": "shell", "environment": {"type": "local"}}
    answer = {"type": "shell_call_output", "output": SHELL_OUTPUT, "max_output_length": 9}
    await _by_client(recording, "shell", tool, arguments, answer)


async def client_local_shell(recording: Recording) -> None:
    """A call of `local_shell`."""
    answer = {"type": "local_shell_call_output", "output": "a.txt"}
    await _by_client(recording, "local_shell", {"type": "local_shell"}, {"command": ["ls"], "timeout_ms": 5}, answer)


async def client_apply_patch(recording: Recording) -> None:
    """A call of `apply_patch`."""
    arguments = {"type": "update_file", "path": "a.txt", "diff": "@@\n-a\n+b"}
    answer = {"type": "apply_patch_call_output", "status": "failed", "output": "no such line"}
    await _by_client(recording, "apply_patch", {"type": "apply_patch"}, arguments, answer)


async def client_tool_search(recording: Recording) -> None:
    """A search for tools, and a call of one that it brought."""
    tool = {"type": "tool_search", "execution": "client", "parameters": {"type": "object", "properties": {"q": {}}}}
    answers = called("tool_search", {"q": "weather"}), called("found_tool", {"x": 1})
    async with playing(recording, *answers, family=TAGGED) as stage, stage.socket() as ws:
        last = await ws.create("go", tools=[tool, {**FOUND, "defer_loading": True}])
        call_id = last["response"]["output"][0]["call_id"]
        brought = {"type": "tool_search_output", "call_id": call_id, "tools": [FOUND]}
        last = await ws.follow(last, [brought], tools=[tool])
        await ws.follow(last, [_output(last["response"]["output"][0], "1")], tools=[tool])


async def structured_output(recording: Recording) -> None:
    """A schema, any object, a choice of a tool: what sampling is held to; and a schema that is none."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    form = {"type": "json_schema", "name": "n", "schema": schema, "strict": None}
    async with playing(recording, ('{"a": ', "1}"), ("{}",), family=TAGGED) as stage, stage.socket() as ws:
        await ws.create(text={"format": form})
        await ws.create(text={"format": {"type": "json_object"}})
        await ws.create(tools=[{**WEATHER, "strict": True}], tool_choice={"type": "function", "name": "get_weather"})
        await ws.create(text={"format": {"type": "json_schema", "name": "n"}})
        await ws.create(text={"format": {"type": "xml"}})


async def items_by_reference(recording: Recording) -> None:
    """References to what is stored, and to nothing."""
    async with playing(recording, ("the answer",)) as stage, stage.socket() as ws:
        last = await ws.create("the question")
        item_id = last["response"]["output"][0]["id"]
        await ws.create([{"type": "item_reference", "id": item_id}, {"role": "user", "content": "x"}])
        await ws.follow(last, [{"id": item_id}])
        await ws.create([{"role": "user", "content": "x"}, {"type": "item_reference", "id": "msg_unknown"}])


async def items_that_change_settings(recording: Recording) -> None:
    """`additional_tools` and `configuration_update` hold from their turn on."""
    async with playing(recording, family=TAGGED) as stage, stage.socket() as ws:
        last = await ws.create("go")
        more = {"type": "additional_tools", "role": "developer", "tools": [FOUND]}
        update = {"type": "configuration_update", "reasoning": {"effort": "high"}}
        last = await ws.follow(last, [more, update, {"role": "user", "content": "x"}])
        await ws.follow(last, "y")
        await ws.create([{**more, "tools": [{"type": "nope"}]}])


async def items_of_every_kind(recording: Recording) -> None:
    """A long history of the client's own: all roles, hosted tools, parts of text, refusals."""
    items = [
        {"role": "system", "content": "S"},
        {"role": "developer", "content": [{"type": "input_text", "text": "D"}]},
        {"type": "message", "role": "user", "content": [{"type": "text", "text": "U"}]},
        {"type": "web_search_call", "id": "ws_1", "action": {"type": "search", "query": "hidden"}},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "4"}]},
        {"type": "custom_tool_call", "call_id": "d", "name": "note", "input": "free"},
        {"type": "custom_tool_call_output", "call_id": "d", "output": "noted"},
        {"type": "shell_call", "call_id": "e", "action": {"commands": ["ls"]}},
        {"type": "shell_call_output", "call_id": "e", "output": SHELL_OUTPUT},
        {"role": "user", "content": "go on"},
    ]
    async with playing(recording) as stage, stage.socket() as ws:
        await ws.create(items)
        for bad in ({"type": "nonsense"}, {"role": "user"}, {"role": "nobody", "content": "x"}, {"type": "program"}):
            await ws.create([{"role": "user", "content": "x"}, bad])


async def images_and_files(recording: Recording) -> None:
    """What is seen, described, read, and refused."""
    red = f"data:image/png;base64,{RED}"
    text = {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,aGVsbG8="}
    async with playing(recording, sees=True) as stage, stage.socket() as ws:
        last = await ws.create(question(red))
        await ws.follow(last, [{"role": "user", "content": [text]}])
        for url in ("https://pictures.test/x.png", "data:image/png;base64,AAAA", "data:image/png;base64,!", "nonsense"):
            await ws.create(question(url))
    describe = {"images_without_sight": "describe"}
    async with playing(recording, settings=describe) as stage, stage.socket() as ws:
        await ws.create(question(red))
    async with playing(recording) as stage, stage.socket() as ws:
        await ws.create(question(red))
