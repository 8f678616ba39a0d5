"""The tools that OpenAI defines and the client runs: shells, patches, and OpenAI's search of tools on the client. Pure.

A model sees each of them as a function with the name of its type. A call becomes an item of the tool's own type if it
fits that type completely; otherwise it stays a `function_call` of that name, so that nothing that was said is lost and
nothing half understood is run. The server runs none of them.
"""

from __future__ import annotations

import json
from typing import Any, Literal

import msgspec

from realtime.wire.items import (
    ApplyPatchCall,
    ApplyPatchCallOutput,
    ClientCall,
    ClientCallOutput,
    CreateFile,
    DeleteFile,
    LocalShellAction,
    LocalShellCall,
    LocalShellCallOutput,
    ShellAction,
    ShellCall,
    ShellCallOutput,
    ToolSearchCall,
    ToolSearchOutput,
    UpdateFile,
)

_MAX_BRACKETS = 500  # in the arguments of a search, which are kept as they are: bounds how deep they can be

Kind = Literal["local_shell", "shell", "apply_patch", "tool_search"]


class ClientTool(msgspec.Struct, frozen=True, kw_only=True):
    """One of these tools as a model sees it. `prefix`: of the ids of its calls' items."""

    description: str
    parameters: dict[str, Any]
    prefix: str


def _object(required: list[str], **properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


def _whole(description: str) -> dict[str, Any]:
    return {"type": "integer", "description": description, "minimum": 1}


_SEARCH = _object(["query"], query=_text("What the tool should be able to do, in a few words."))

CLIENT_TOOLS: dict[Kind, ClientTool] = {
    "local_shell": ClientTool(
        prefix="lsh",
        description="Runs one command on the user's computer and returns its output. No shell interprets it: to use "
        'pipes or redirections, run one, as in ["bash", "-lc", "ls | wc -l"].',
        parameters=_object(
            ["command"],
            command={
                "type": "array",
                "items": {"type": "string"},
                "description": "The program and its arguments, one string each.",
            },
            env={
                "type": "object",
                "additionalProperties": {"type": "string"},
                "description": "Environment variables to set.",
            },
            timeout_ms=_whole("Stop it after this many milliseconds."),
            user=_text("The user to run it as."),
            working_directory=_text("The folder to run it in."),
        ),
    ),
    "shell": ClientTool(
        prefix="sh",
        description="Runs shell commands and returns the stdout, stderr and exit code of each.",
        parameters=_object(
            ["commands"],
            commands={"type": "array", "items": {"type": "string"}, "description": "Shell commands, run in order."},
            timeout_ms=_whole("Stop the commands after this many milliseconds."),
            max_output_length=_whole("The most characters of output to return."),
        ),
    ),
    "apply_patch": ClientTool(
        prefix="apc",
        description="Creates, changes or deletes one file. To create a file, `diff` holds its lines, each with a + "
        "before it. To update one, `diff` holds hunks: each begins with a line @@, which may name the function or "
        "class it is in, followed by about three lines of context before and after what changes; lines of context "
        "begin with a space, removed lines with -, added lines with +.",
        parameters=_object(
            ["type", "path", "diff"],
            type=_text("What to do.", enum=["create_file", "update_file", "delete_file"]),
            path=_text("The file, relative to the workspace."),
            diff=_text("The content or the change; empty for delete_file."),
        ),
    ),
    "tool_search": ClientTool(
        prefix="tsc",
        description="Finds more tools and makes them available. Search before saying that something can't be done.",
        parameters=_SEARCH,
    ),
}


class _Patch(msgspec.Struct):
    """The model's description of a patch. Of a deletion no `diff` is kept, because the item has no place for one."""

    type: Literal["create_file", "update_file", "delete_file"]
    path: str
    diff: str | None = None


def read_call(kind: Kind, arguments: str, *, item_id: str, call_id: str) -> ClientCall | None:
    """Return the item of a complete call; None when the arguments don't fit it: some are missing, unknown or wrong."""
    if kind == "tool_search" and arguments.count("[") + arguments.count("{") > _MAX_BRACKETS:
        return None
    try:
        members = {"id": item_id, "call_id": call_id, "status": "completed"}
        return _call(kind, msgspec.json.decode(arguments), members)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None


def _call(kind: Kind, said: Any, members: dict[str, Any]) -> ClientCall:
    match kind:
        case "local_shell":
            return LocalShellCall(**members, action=_convert(said, LocalShellAction, env={}))
        case "shell":
            return ShellCall(**members, action=_convert(said, ShellAction))
        case "apply_patch":
            return ApplyPatchCall(**members, operation=_operation(_convert(said, _Patch)))
        case "tool_search":
            return ToolSearchCall(**members, arguments=said, execution="client")


def _convert(said: Any, kind: type[Any], **defaults: Any) -> Any:
    """Return the value as `kind`. Raises ValueError, also for members that `kind` does not have: they would be lost."""
    if not isinstance(said, dict) or not said.keys() <= set(kind.__struct_fields__):
        raise ValueError("not the tool's arguments")
    return msgspec.convert({**defaults, **{name: value for name, value in said.items() if value is not None}}, kind)


def _operation(patch: _Patch) -> CreateFile | UpdateFile | DeleteFile:
    if patch.type == "delete_file":
        if patch.diff:
            raise ValueError("a deletion has no diff")
        return DeleteFile(path=patch.path)
    if patch.diff is None:
        raise ValueError("no diff")
    return (CreateFile if patch.type == "create_file" else UpdateFile)(path=patch.path, diff=patch.diff)


def said_call(item: ClientCall) -> tuple[str, Any]:
    """Return a past call as the model made it: the function's name and arguments."""
    match item:
        case LocalShellCall():
            action = msgspec.to_builtins(item.action)
            return "local_shell", {name: value for name, value in action.items() if name != "type" and value != {}}
        case ShellCall():
            return "shell", msgspec.to_builtins(item.action)
        case ApplyPatchCall():
            return "apply_patch", msgspec.to_builtins(item.operation)
        case ToolSearchCall():
            return "tool_search", item.arguments


def said_output(item: ClientCallOutput) -> str:
    """Return a call's output as text for the model."""
    match item:
        case LocalShellCallOutput():
            return item.output
        case ShellCallOutput():
            return json.dumps(msgspec.to_builtins(item.output), ensure_ascii=False)
        case ApplyPatchCallOutput():
            status = item.status or "completed"
            return f"{status}: {item.output}" if item.output else status
        case ToolSearchOutput():
            names = [name for tool in item.tools if (name := _name(tool))]
            return f"Available now: {', '.join(names)}" if names else "No tools were found."


def _name(tool: dict[str, Any]) -> str:
    """Return the name of a tool, for the model to read."""
    inner = tool.get("function")
    name = tool.get("name") or (inner.get("name") if isinstance(inner, dict) else None) or tool.get("server_label")
    return name if isinstance(name, str) else str(tool.get("type", ""))
