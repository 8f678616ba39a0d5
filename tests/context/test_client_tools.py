"""OpenAI's own tools that the client runs: what a model sees of them, and what becomes of what it says."""

from __future__ import annotations

import json
from typing import Any, get_args

import msgspec
import pytest

from realtime.context.client_tools import CLIENT_TOOLS, Kind, read_call, said_call, said_output
from realtime.wire.calls import call_id_of
from realtime.wire.items import (
    ApplyPatchCallOutput,
    ClientCallOutput,
    LocalShellCallOutput,
    ShellCallOutput,
    ShellExit,
    ShellOutput,
    ShellTimeout,
    ToolSearchOutput,
)


def read(kind: Kind, arguments: Any) -> dict[str, Any] | None:
    """The item's own members."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    item = read_call(kind, text, item_id="i", call_id="c")
    if item is None:
        return None
    shown = json.loads(msgspec.json.encode(item))
    assert (shown.pop("id"), shown.pop("call_id"), shown.pop("status")) == ("i", "c", "completed")
    assert shown.pop("type") == f"{kind}_call"
    return dict(shown)


FITS: list[tuple[Kind, Any, dict[str, Any]]] = [
    ("local_shell", {"command": ["ls", "-l"]}, {"action": {"type": "exec", "command": ["ls", "-l"], "env": {}}}),
    (
        "local_shell",
        {"command": ["ls"], "env": {"A": "b"}, "timeout_ms": 5, "user": "me", "working_directory": "/tmp"},
        {"action": {"type": "exec", "command": ["ls"], "env": {"A": "b"}, "timeout_ms": 5, "user": "me",
                    "working_directory": "/tmp"}},
    ),
    ("local_shell", {"command": [], "env": None, "user": None}, {"action": {"type": "exec", "command": [], "env": {}}}),
    ("shell", {"commands": ["ls | wc", "pwd"]}, {"action": {"commands": ["ls | wc", "pwd"]}}),
    (
        "shell",
        {"commands": ["ls"], "timeout_ms": 1, "max_output_length": 2},
        {"action": {"commands": ["ls"], "timeout_ms": 1, "max_output_length": 2}},
    ),
    ("apply_patch", {"type": "create_file", "path": "p", "diff": "+x"},
     {"operation": {"type": "create_file", "path": "p", "diff": "+x"}}),
    ("apply_patch", {"type": "update_file", "path": "p", "diff": ""},
     {"operation": {"type": "update_file", "path": "p", "diff": ""}}),
    ("apply_patch", {"type": "delete_file", "path": "p"}, {"operation": {"type": "delete_file", "path": "p"}}),
    ("apply_patch", {"type": "delete_file", "path": "p", "diff": ""},
     {"operation": {"type": "delete_file", "path": "p"}}),
    ("tool_search", {"query": "x", "deep": [1]}, {"arguments": {"query": "x", "deep": [1]}, "execution": "client"}),
    ("tool_search", "7", {"arguments": 7, "execution": "client"}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "arguments", "item"), FITS)
def test_a_call_that_fits_becomes_the_item_of_its_tool(kind: Kind, arguments: Any, item: dict[str, Any]) -> None:
    assert read(kind, arguments) == item


MISFITS: list[tuple[Kind, Any]] = [
    *[(kind, text) for kind in get_args(Kind) for text in ("", "{", '{"commands": ["ls"]', "[" * 100_000, "NaN")],
    ("local_shell", []), ("local_shell", {}), ("local_shell", {"command": "ls"}),
    ("local_shell", {"command": ["ls"], "why": "it would be lost"}), ("local_shell", {"command": ["ls"], "type": "x"}),
    ("shell", {"commands": "ls"}), ("shell", {"command": ["ls"]}), ("shell", {"commands": ["ls"], "timeout_ms": "1"}),
    ("shell", {"commands": ["ls"], "type": "exec"}), ("shell", {"commands": [1]}),
    ("tool_search", str(10**30)), ("tool_search", "[" * 900 + "]" * 900),
    ("apply_patch", {"path": "p"}), ("apply_patch", {"type": "create_file", "path": "p"}),
    ("apply_patch", {"type": "move_file", "path": "p"}), ("apply_patch", {"type": "update_file", "diff": "+x"}),
    ("apply_patch", '{"type": "delete_file", "path": "p", "diff": "-x"}'),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "arguments"), MISFITS, ids=lambda value: str(value)[:40])
def test_a_call_that_would_lose_something_is_none_of_the_tools(kind: Kind, arguments: Any) -> None:
    found = read(kind, arguments)
    assert found is None or kind == "tool_search"  # which takes any JSON
    if found is not None:
        assert found["arguments"] == json.loads(arguments)


@pytest.mark.parametrize(("kind", "arguments", "item"), FITS)
def test_the_model_sees_a_past_call_as_it_made_it(kind: Kind, arguments: Any, item: dict[str, Any]) -> None:
    call = read_call(kind, arguments if isinstance(arguments, str) else json.dumps(arguments), item_id="i", call_id="c")
    assert call is not None
    name, said = said_call(call)
    assert name == kind
    assert read(kind, said) == item
    assert call_id_of(call) == "c"


OUTPUTS: list[tuple[ClientCallOutput, str]] = [
    (LocalShellCallOutput(call_id="c", output="out"), "out"),
    (
        ShellCallOutput(call_id="c", output=[ShellOutput(stdout="é", stderr="", outcome=ShellExit(exit_code=1))]),
        '[{"stdout": "é", "stderr": "", "outcome": {"type": "exit", "exit_code": 1}}]',
    ),
    (
        ShellCallOutput(call_id="c", output=[ShellOutput(stdout="", stderr="e", outcome=ShellTimeout())]),
        '[{"stdout": "", "stderr": "e", "outcome": {"type": "timeout"}}]',
    ),
    (ApplyPatchCallOutput(call_id="c", status="completed"), "completed"),
    (ApplyPatchCallOutput(call_id="c", status="failed", output="no such file"), "failed: no such file"),
    (ToolSearchOutput(call_id="c", tools=[]), "No tools were found."),
    (
        ToolSearchOutput(call_id="c", tools=[
            {"type": "function", "name": "f"}, {"type": "function", "function": {"name": "g"}}, {"type": "shell"},
            {"type": "mcp", "server_label": "s"},
        ]),
        "Available now: f, g, shell, s",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("output", "text"), OUTPUTS)
def test_what_the_model_is_told_of_an_output(output: ClientCallOutput, text: str) -> None:
    assert said_output(output) == text
    assert call_id_of(output) == "c"


def test_the_output_of_a_local_shell_may_have_the_calls_id_in_either_place() -> None:
    assert call_id_of(LocalShellCallOutput(id="i", output="")) == "i"
    assert call_id_of(LocalShellCallOutput(id="i", call_id="c", output="")) == "c"


@pytest.mark.parametrize("kind", get_args(Kind))
def test_the_schemas_name_the_members_of_the_items(kind: Kind) -> None:
    tool = CLIENT_TOOLS[kind]
    shown = tool.parameters["properties"]
    assert set(tool.parameters["required"]) <= shown.keys()
    fitting = {name for one, arguments, _ in FITS if one == kind and isinstance(arguments, dict) for name in arguments}
    assert shown.keys() <= fitting, "each member that the model may use has a row above"


@pytest.mark.parametrize("kind", get_args(Kind))
def test_what_the_schemas_let_through_fits_the_items(kind: Kind) -> None:
    """Sampling is held to them, so they must be what the engine's grammars can say."""
    import xgrammar  # and torch with it: seconds

    compiler = xgrammar.GrammarCompiler(xgrammar.TokenizerInfo([chr(code) for code in range(128)], stop_token_ids=[0]))
    grammar = compiler.compile_json_schema(json.dumps(CLIENT_TOOLS[kind].parameters), strict_mode=True)

    def lets_through(arguments: dict[str, Any]) -> bool:
        matcher = xgrammar.GrammarMatcher(grammar)
        return bool(matcher.accept_string(json.dumps(arguments))) and bool(matcher.is_completed())

    required = set(CLIENT_TOOLS[kind].parameters["required"])
    rows = [said for one, said, _ in FITS if one == kind and isinstance(said, dict) and required <= said.keys()]
    good = [said for said in rows if None not in said.values() and "deep" not in said] or [{"query": "x"}]
    assert all(lets_through(said) for said in good)
    assert not any(lets_through(said) for one, said in MISFITS if one == kind and isinstance(said, dict))
