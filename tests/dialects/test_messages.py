"""Items to the messages that chat templates take."""

# ruff: noqa: E501 (tables)
from __future__ import annotations

from typing import Any

import pytest

from realtime.context.request_tools import tool_set
from realtime.dialects.base import RenderError, Sight
from realtime.dialects.messages import to_messages, to_tools
from realtime.wire.items import (
    AdditionalTools,
    ApplyPatchCall,
    ApplyPatchCallOutput,
    ComputerCallOutput,
    ConfigurationUpdate,
    CustomToolCall,
    CustomToolCallOutput,
    DeleteFile,
    FunctionCall,
    FunctionCallOutput,
    InputFile,
    InputImage,
    InputItem,
    InputText,
    LocalShellAction,
    LocalShellCall,
    LocalShellCallOutput,
    McpCall,
    McpListTools,
    Message,
    OutputText,
    PlainText,
    Reasoning,
    ReasoningText,
    Refusal,
    ShellAction,
    ShellCall,
    ShellCallOutput,
    ShellExit,
    ShellOutput,
    SummaryText,
    ToolSearchCall,
    ToolSearchOutput,
    WebSearchCall,
)

USER = Message(role="user", content="q")
THOUGHT = Reasoning(content=[ReasoningText(text="h"), ReasoningText(text="m")])
ANSWER = Message(role="assistant", content=[OutputText(text="a"), Refusal(refusal="b")])
CALL = FunctionCall(call_id="c1", name="f", arguments='{"x": 1}')
OTHER = FunctionCall(call_id="c2", name="g", arguments="", namespace="home")
NOTE = CustomToolCall(call_id="c3", name="note", input="free")


def called(call_id: str, name: str, arguments: Any) -> dict[str, Any]:
    """A call in Chat Completions' form, with the arguments as a value."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def assistant(content: str = "", **members: Any) -> dict[str, Any]:
    """The assistant's message."""
    return {"role": "assistant", "content": content, **members}


USER_SAID = {"role": "user", "content": "q"}
CASES: dict[str, tuple[list[InputItem], list[dict[str, Any]]]] = {
    "a string": ([USER], [USER_SAID]),
    "parts": ([Message(role="user", content=[InputText(text="a"), PlainText(text="b")])], [{"role": "user", "content": "ab"}]),
    "no parts": ([Message(role="user", content=[])], [{"role": "user", "content": ""}]),
    "developer is system": ([Message(role="developer", content="d")], [{"role": "system", "content": "d"}]),
    "one turn is one message": (
        [USER, THOUGHT, ANSWER, CALL, OTHER, NOTE],
        [USER_SAID, assistant("ab", reasoning_content="hm", tool_calls=[
            called("c1", "f", {"x": 1}), called("c2", "home__g", {}), called("c3", "note", {"input": "free"}),
        ])],
    ),
    "a call without text": ([CALL], [assistant(tool_calls=[called("c1", "f", {"x": 1})])]),
    "text after a call is the next message": (
        [CALL, ANSWER], [assistant(tool_calls=[called("c1", "f", {"x": 1})]), assistant("ab")],
    ),
    "reasoning after text is the next message": ([ANSWER, THOUGHT], [assistant("ab"), assistant(reasoning_content="hm")]),
    "reasoning in several items is one": ([THOUGHT, THOUGHT], [assistant(reasoning_content="hmhm")]),
    "reasoning that is not shown is left out": (
        [Reasoning(summary=[SummaryText(text="s")]), Reasoning(content=[]), USER], [USER_SAID],
    ),
    "outputs of tools": (
        [CALL, FunctionCallOutput(call_id="c1", output="1"), CustomToolCallOutput(call_id="c3", output=[InputText(text="2")])],
        [assistant(tool_calls=[called("c1", "f", {"x": 1})]), {"role": "tool", "tool_call_id": "c1", "content": "1"},
         {"role": "tool", "tool_call_id": "c3", "content": "2"}],
    ),
    "a call of one of OpenAI's own tools": (
        [ShellCall(call_id="s1", action=ShellAction(commands=["ls"])),
         ShellCallOutput(call_id="s1", output=[ShellOutput(stdout="a", stderr="", outcome=ShellExit(exit_code=0))])],
        [assistant(tool_calls=[called("s1", "shell", {"commands": ["ls"]})]),
         {"role": "tool", "tool_call_id": "s1",
          "content": '[{"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]'}],
    ),
    "a local shell whose output has the call's id in `id`": (
        [LocalShellCall(call_id="l1", action=LocalShellAction(command=["ls"], env={})), LocalShellCallOutput(id="l1", output="a")],
        [assistant(tool_calls=[called("l1", "local_shell", {"command": ["ls"]})]),
         {"role": "tool", "tool_call_id": "l1", "content": "a"}],
    ),
    "a patch": (
        [ApplyPatchCall(call_id="p1", operation=DeleteFile(path="x")), ApplyPatchCallOutput(call_id="p1", status="completed")],
        [assistant(tool_calls=[called("p1", "apply_patch", {"type": "delete_file", "path": "x"})]),
         {"role": "tool", "tool_call_id": "p1", "content": "completed"}],
    ),
    "a search": (
        [ToolSearchCall(call_id="t1", arguments={"q": 1}), ToolSearchOutput(call_id="t1", tools=[{"name": "f"}])],
        [assistant(tool_calls=[called("t1", "tool_search", {"q": 1})]),
         {"role": "tool", "tool_call_id": "t1", "content": "Available now: f"}],
    ),
    "a call that a server made": (
        [McpCall(id="m1", server_label="s", name="t", arguments='{"a": 1}', output="o")],
        [assistant(tool_calls=[called("m1", "s__t", {"a": 1})]), {"role": "tool", "tool_call_id": "m1", "content": "o"}],
    ),
    "one that failed": (
        [McpCall(id="m1", server_label="s", name="t", arguments="{}", error={"code": 5})],
        [assistant(tool_calls=[called("m1", "s__t", {})]), {"role": "tool", "tool_call_id": "m1", "content": 'error: {"code": 5}'}],
    ),
    "what was not said, or by tools that are not here": (
        [AdditionalTools(tools=[]), ConfigurationUpdate(), WebSearchCall(action={}), ComputerCallOutput(call_id="c"),
         McpListTools(server_label="s", tools=[]), USER],
        [USER_SAID],
    ),
    "arguments that were cut stay a string": (
        [FunctionCall(call_id="c", name="f", arguments='{"x')], [assistant(tool_calls=[called("c", "f", '{"x')])],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_items_become_messages(name: str) -> None:
    items, want = CASES[name]
    assert to_messages(None, items) == want


def test_instructions_come_first_and_only_if_there_are_any() -> None:
    assert to_messages("be brief", [USER]) == [{"role": "system", "content": "be brief"}, USER_SAID]
    assert to_messages("", [USER]) == [USER_SAID]


@pytest.mark.parametrize(
    ("arguments", "value"),
    [(r'{"city": "\ud83d"}', {"city": "\ufffd"}), ("[" * 100_000, "[" * 100_000), ('{"a": 1', '{"a": 1')],
)
def test_arguments_are_what_a_tokenizer_can_take(arguments: str, value: Any) -> None:
    (said,) = to_messages(None, [FunctionCall(call_id="c", name="f", arguments=arguments)])
    assert said["tool_calls"][0]["function"]["arguments"] == value


def test_items_are_not_changed() -> None:
    items: list[InputItem] = [USER, THOUGHT, ANSWER, CALL, OTHER, NOTE]
    assert to_messages(None, items) == to_messages(None, items)


@pytest.mark.parametrize(
    ("item", "param"),
    [
        (Message(role="user", content=[InputText(text="a"), InputImage(image_url="x")]), "input[1].content[1]"),
        (Message(role="assistant", content=[InputFile()]), "input[1].content[0]"),
        (FunctionCallOutput(call_id="c", output=[InputImage()]), "input[1].output[0]"),
    ],
)
def test_what_is_no_text_is_refused_with_its_path(item: InputItem, param: str) -> None:
    with pytest.raises(RenderError) as caught:
        to_messages(None, [USER, item])
    assert caught.value.param == param


def test_tools_are_shown_as_functions_with_the_grammar_in_words() -> None:
    tools = tool_set(
        [
            {"type": "function", "name": "f", "description": "does"},
            {"type": "namespace", "name": "home", "tools": [{"type": "function", "name": "g"}]},
            {"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "lark", "definition": "start: X"}},
        ],
        None,
        None,
    )
    f, g, c = (tool["function"] for tool in to_tools(tools))
    assert (f["name"], f["description"]) == ("f", "does")
    assert (g["name"], g["description"]) == ("home__g", "")
    assert c["description"] == "The input must match this lark grammar:\nstart: X"
    assert c["parameters"]["required"] == ["input"]


SHOWN = [Message(role="user", content=[InputText(text="a"), InputImage(image_url="data:"), InputText(text="b")])]


def test_an_image_for_a_template_that_takes_parts() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]
    said = to_messages("be kind", SHOWN, Sight(takes_parts=True))
    assert said[0] == {"role": "system", "content": [{"type": "text", "text": "be kind"}]}
    assert said[1] == {"role": "user", "content": parts}


def test_an_image_for_a_template_that_takes_text() -> None:
    assert to_messages(None, SHOWN, Sight(marker="<image>")) == [{"role": "user", "content": "a<image>b"}]


def test_an_image_for_nobody() -> None:
    with pytest.raises(RenderError, match="reads text only"):
        to_messages(None, SHOWN)
