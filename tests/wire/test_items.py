"""Every input item of the SDK: decoded whole, or refused by its name. One row for each."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from realtime.wire.codec import Limits, Rejected, decode, encode
from realtime.wire.items import ITEM_TYPES
from realtime.wire.requests import ResponseCreate
from tests.support.fuzz import JSON, examples

TEXT = [{"type": "input_text", "text": "a"}]
TOOL = {"type": "function", "name": "f", "parameters": {}, "strict": True}
ITEMS: list[dict[str, Any]] = [
    {"type": "message", "role": "user", "content": "a"},
    {"type": "message", "role": "developer", "content": TEXT, "status": "completed"},
    {"type": "message", "role": "assistant", "id": "msg_1", "status": "completed", "phase": "final_answer",
     "content": [{"type": "output_text", "text": "a", "annotations": [], "logprobs": []},
                 {"type": "refusal", "refusal": "no"}]},
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "s"}],
     "content": [{"type": "reasoning_text", "text": "r"}], "encrypted_content": "x", "status": "completed"},
    {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "namespace": "n", "arguments": "{}",
     "status": "completed"},
    {"type": "function_call_output", "id": "o", "call_id": "c", "output": "x", "status": "completed"},
    {"type": "function_call_output", "call_id": "c", "output": TEXT},
    {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c", "name": "f", "input": "x"},
    {"type": "custom_tool_call_output", "call_id": "c", "output": TEXT},
    {"type": "item_reference", "id": "msg_1"},
    {"type": "additional_tools", "id": "at_1", "role": "developer", "tools": [TOOL]},
    {"type": "tool_search_call", "id": "tsc_1", "call_id": "c", "arguments": {"q": 1}, "execution": "client",
     "status": "completed"},
    {"type": "tool_search_call", "id": None, "call_id": None, "arguments": None},
    {"type": "tool_search_output", "id": "o", "call_id": "c", "tools": [TOOL], "execution": "server",
     "status": "completed"},
    {"type": "configuration_update", "id": "cu_1", "reasoning": {"effort": "high"},
     "text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "description": "d", "strict": True}}},
    {"type": "configuration_update", "text": {"format": {"type": "text"}}},
    {"type": "local_shell_call", "id": "lsh_1", "call_id": "c", "status": "completed",
     "action": {"type": "exec", "command": ["ls"], "env": {"A": "b"}, "timeout_ms": 1, "user": "u",
                "working_directory": "/"}},
    {"type": "local_shell_call_output", "id": "c", "output": "{}", "status": "completed"},
    {"type": "local_shell_call_output", "call_id": "c", "output": "{}"},
    {"type": "shell_call", "id": "sh_1", "call_id": "c", "status": "completed", "environment": {"type": "local"},
     "action": {"commands": ["ls"], "timeout_ms": 1, "max_output_length": 2}},
    {"type": "shell_call_output", "id": "o", "call_id": "c", "max_output_length": 2, "status": "completed",
     "output": [{"stdout": "a", "stderr": "b", "outcome": {"type": "exit", "exit_code": 0}},
                {"stdout": "", "stderr": "", "outcome": {"type": "timeout"}}]},
    {"type": "apply_patch_call", "id": "apc_1", "call_id": "c", "status": "completed",
     "operation": {"type": "create_file", "path": "p", "diff": "+x"}},
    {"type": "apply_patch_call", "call_id": "c", "status": "in_progress",
     "operation": {"type": "update_file", "path": "p", "diff": "@@"}},
    {"type": "apply_patch_call", "call_id": "c", "status": "completed",
     "operation": {"type": "delete_file", "path": "p"}},
    {"type": "apply_patch_call_output", "id": "o", "call_id": "c", "status": "failed", "output": "x"},
    {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "s", "error": "x",
     "tools": [{"name": "t", "input_schema": {}, "description": "d", "annotations": {"a": 1}}]},
    {"type": "mcp_call", "id": "mcp_1", "server_label": "s", "name": "t", "arguments": "{}", "output": "x",
     "approval_request_id": "mcpr_1", "status": "completed"},
    {"type": "mcp_call", "id": "mcp_1", "server_label": "s", "name": "t", "arguments": "{}",
     "error": {"type": "http_error", "code": 500, "message": "m"}, "status": "failed"},
    {"type": "mcp_approval_request", "id": "mcpr_1", "server_label": "s", "name": "t", "arguments": "{}"},
    {"type": "mcp_approval_response", "id": "o", "approval_request_id": "mcpr_1", "approve": False, "reason": "r"},
    {"type": "compaction", "id": "cmp_1", "encrypted_content": "x"},
    {"type": "compaction_trigger"},
    {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
    {"type": "file_search_call", "id": "fs_1", "status": "completed", "queries": ["q"], "results": None},
    {"type": "code_interpreter_call", "id": "ci_1", "status": "completed", "code": "1", "container_id": "k",
     "outputs": None},
    {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": None},
    {"type": "computer_call", "id": "cu_1", "call_id": "c", "status": "completed", "pending_safety_checks": [],
     "action": {"type": "wait"}},
    {"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot", "image_url": "x"}},
]  # fmt: skip
REFUSED: list[dict[str, Any]] = [
    {"type": "program", "id": "p", "call_id": "c", "code": "1", "fingerprint": "f"},
    {"type": "program_output", "id": "p", "call_id": "c", "result": "1", "status": "completed"},
]


def decoded(item: Any) -> Any:
    event = decode(json.dumps({"type": "response.create", "input": [item]}).encode(), Limits())
    assert isinstance(event, ResponseCreate)
    return event.items[0]


def refusal(item: Any) -> tuple[str | None, str]:
    with pytest.raises(Rejected) as caught:
        decoded(item)
    return caught.value.error.param, caught.value.error.message


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item["type"])
def test_an_item_is_read_whole(item: dict[str, Any]) -> None:
    read = decoded({**item, "unknown": {"to": "us"}})
    assert type(read) is ITEM_TYPES[item["type"]]
    assert json.loads(encode(read)) == item, "nothing is lost"
    assert decoded({**item, "id": "foreign/id 1"}).id == "foreign/id 1"


@pytest.mark.parametrize("item", REFUSED, ids=lambda item: item["type"])
def test_items_of_programs_are_refused_by_name(item: dict[str, Any]) -> None:
    param, message = refusal(item)
    assert param == "input[0].type"
    assert f"'{item['type']}' belong to programmatic tool calling" in message


def test_every_input_item_of_the_sdk_has_a_row() -> None:
    from openai.types.responses.response_input_item import ResponseInputItem  # half a second

    kinds = set()
    for model in get_args(get_args(ResponseInputItem)[0]):
        (kind, *_) = get_args(model.model_fields["type"].annotation)
        kinds.add(kind if isinstance(kind, str) else get_args(kind)[0])
    assert kinds == {item["type"] for item in ITEMS + REFUSED}
    assert ITEM_TYPES.keys() == {item["type"] for item in ITEMS}


@pytest.mark.parametrize("item", ITEMS + REFUSED, ids=lambda item: item["type"])
def test_the_rows_are_what_the_sdk_says(item: dict[str, Any]) -> None:
    """Its types for what comes in are dictionaries: pydantic holds a row to them."""
    lenient = {"local_shell_call_output", "computer_call_output"}  # `call_id` of guides; images of any kind
    if item["type"] not in lenient:
        _sdk_item().validate_python({"id": "x", **item})


@cache
def _sdk_item() -> TypeAdapter[Any]:
    from openai.types.responses import ResponseInputItemParam

    return TypeAdapter(ResponseInputItemParam)


@pytest.mark.parametrize("kind", [None, "item_reference", ...])
def test_what_has_an_id_and_no_role_is_a_reference(kind: Any) -> None:
    item = {"id": "msg_1"} if kind is ... else {"id": "msg_1", "type": kind}
    assert json.loads(encode(decoded(item))) == {"type": "item_reference", "id": "msg_1"}


def test_a_message_needs_no_type() -> None:
    for item in (
        {"role": "user", "content": "a", "id": "m"},
        {"role": "user", "content": "a", "id": "m", "type": None},
    ):
        assert json.loads(encode(decoded(item))) == {"type": "message", "role": "user", "content": "a", "id": "m"}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"type": "local_shell_call", "call_id": "c"}, "action"),
    ({"type": "local_shell_call", "call_id": "c", "action": {"type": "exec", "command": "ls"}}, "action.command"),
    ({"type": "local_shell_call_output", "id": "c"}, "output"),
    ({"type": "shell_call", "action": {"commands": []}}, "call_id"),
    ({"type": "shell_call", "call_id": "c", "action": {"commands": [1]}}, "action.commands[0]"),
    ({"type": "shell_call_output", "call_id": "c", "output": "x"}, "output"),
    ({"type": "shell_call_output", "call_id": "c", "output": [{"stdout": "", "stderr": ""}]}, "output[0].outcome"),
    ({"type": "apply_patch_call", "call_id": "c", "operation": {"type": "move", "path": "p"}}, "operation.type"),
    ({"type": "apply_patch_call", "call_id": "c", "operation": {"type": "update_file", "path": "p"}}, "operation.diff"),
    ({"type": "apply_patch_call_output", "status": "completed"}, "call_id"),
    ({"type": "tool_search_output", "tools": {}}, "tools"),
    ({"type": "tool_search_output", "tools": ["f"]}, "tools[0]"),
    ({"type": "additional_tools"}, "tools"),
    ({"type": "configuration_update", "reasoning": {"effort": "much"}}, "reasoning.effort"),
    ({"type": "configuration_update", "text": {}}, "text.format"),
    ({"type": "mcp_call", "server_label": "s", "name": "t"}, "arguments"),
    ({"type": "mcp_list_tools", "server_label": "s", "tools": [{"name": "t"}]}, "tools[0].input_schema"),
    ({"type": "mcp_approval_response", "approval_request_id": "x"}, "approve"),
    ({"type": "compaction"}, "encrypted_content"),
    ({"type": None, "id": 7}, "id"),
]  # fmt: skip


@pytest.mark.parametrize(("item", "path"), WRONG, ids=lambda value: value if isinstance(value, str) else value["type"])
def test_what_is_wrong_is_named_by_its_path(item: dict[str, Any], path: str) -> None:
    param, message = refusal(item)
    assert param == f"input[0].{path}"
    assert f"`input[0].{path}`" in message


@examples(80)
@given(st.sampled_from(ITEMS), st.data())
def test_anything_in_the_place_of_a_member(item: dict[str, Any], data: st.DataObject) -> None:
    """It is an item that can be sent on, or a refusal."""
    changed = {**item, data.draw(st.sampled_from(sorted(item))): data.draw(JSON)}
    found: Any
    try:
        found = decoded(changed)
    except Rejected as rejected:
        found = rejected.error.param
    if isinstance(found, msgspec.Struct):
        encode(found)
    else:
        assert found.startswith("input")
