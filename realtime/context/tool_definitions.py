"""The definitions of tools as clients write them: functions, custom tools, namespaces, the client's own search, and the
tools of OpenAI's that the client runs. Pure.

Hosted kinds that this server does not run are accepted and hidden, because clients always send them. MCP tools come
from their servers (`mcp_tools`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from realtime.wire.errors import invalid_member

from .client_tools import CLIENT_TOOLS, Kind
from .tools import Grammar, Tool, shown_name

HIDDEN = frozenset(
    {
        "web_search", "web_search_preview", "web_search_2025_08_26", "web_search_preview_2025_03_11", "file_search",
        "code_interpreter", "image_generation", "computer", "computer_use", "computer_use_preview",
        "programmatic_tool_calling",
    }
)  # fmt: skip
MAX_GRAMMAR_CHARS = 32_768  # it is converted while other responses wait
_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")
_MAX_SHOWN = 200  # characters of a name with its namespace: what every family can write
_ESCAPED_IN_JSON = ('"', "\\n", "\\t", "\\r", "\\\\", "\n")  # what a pattern may ask for that a JSON string escapes


class _Function(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class _Format(msgspec.Struct):
    type: Literal["text", "grammar"] = "text"
    syntax: Literal["lark", "regex"] | None = None
    definition: str | None = None


class _Custom(msgspec.Struct):
    name: str
    description: str | None = None
    format: _Format | None = None


class _Namespace(msgspec.Struct):
    name: str
    tools: list[dict[str, Any]]
    description: str | None = None


class _Search(msgspec.Struct):
    execution: Literal["server", "client"] = "server"
    description: str | None = None
    parameters: dict[str, Any] | None = None


def unnest(named: Any) -> Any:
    """Return a function's definition or choice with its members at the top. Chat Completions has them in a member
    `function`, and so have clients that come from there.
    """
    if not isinstance(named, dict) or not isinstance(named.get("function"), dict):
        return named
    return {**{name: value for name, value in named.items() if name != "function"}, **named["function"]}


def read_tools(tools: list[dict[str, Any]], path: str) -> Iterator[Tool]:
    """Yield the tools that the list at this path defines. MCP servers, and a search by the client that finds deferred
    tools, may stand in the request's own list only. Raises WireError with the path of what is wrong.
    """
    return _read_all(tools, path, None, path == "tools" and _searches(tools))


def _searches(tools: list[dict[str, Any]]) -> bool:
    """Return whether the client has a search of its own: then the model does not see deferred tools until a search
    finds them.
    """
    return any(tool.get("type") == "tool_search" and tool.get("execution") == "client" for tool in tools)


def _read_all(tools: list[dict[str, Any]], path: str, namespace: str | None, searches: bool) -> Iterator[Tool]:
    for index, tool in enumerate(tools):
        if not (searches and tool.get("defer_loading") is True):
            yield from _read(tool, f"{path}[{index}]", namespace, searches)


def _read(tool: dict[str, Any], path: str, namespace: str | None, searches: bool) -> Iterator[Tool]:
    match tool.get("type"):
        case "function":
            yield _function(tool, path, namespace)
        case "custom":
            yield _custom(tool, path, namespace)
        case "namespace" if namespace is None:
            space = convert(tool, _Namespace, path)
            _check_name(space.name, path)
            yield from _read_all(space.tools, f"{path}.tools", space.name, searches)
        case "tool_search" if namespace is None:
            yield from _search(tool, path)
        case ("local_shell" | "shell" | "apply_patch") as kind if namespace is None:
            yield _client_tool(kind)
        case "mcp" if namespace is None and path.startswith("tools["):
            return  # its tools are known when its server was asked: see mcp_tools
        case "mcp":
            raise invalid_member(path, "tools of type 'mcp' are accepted in the request's `tools` only")
        case str() as kind if kind in HIDDEN:
            return
        case kind:
            raise invalid_member(f"{path}.type", f"tool type {str(kind)[:64]!r} is not supported")


def _client_tool(kind: Kind) -> Tool:
    shown = CLIENT_TOOLS[kind]
    return Tool(
        name=kind,
        shown_as=kind,
        description=shown.description,
        parameters=shown.parameters,
        kind=kind,
    )


def _search(tool: dict[str, Any], path: str) -> Iterator[Tool]:
    """Yield the client's own search. The server's (OpenAI's default) does not count: tools are never
    deferred for it.
    """
    read = convert(tool, _Search, path)
    if read.execution != "client":
        return
    _check_parameters(read.parameters, path)
    default = _client_tool("tool_search")
    yield msgspec.structs.replace(
        default,
        description=read.description or default.description,
        parameters=read.parameters or default.parameters,
        strict=None if read.parameters is None else False,
        path=f"{path}.parameters",
    )


def _function(tool: dict[str, Any], path: str, namespace: str | None) -> Tool:
    read = convert(unnest(tool), _Function, path)
    _check_name(read.name, path, namespace)
    _check_parameters(read.parameters, path)
    return Tool(
        name=read.name,
        shown_as=shown_name(read.name, namespace),
        namespace=namespace,
        description=read.description,
        parameters=read.parameters or {"type": "object", "properties": {}},
        strict=read.strict,
        path=f"{path}.parameters",
    )


def _custom(tool: dict[str, Any], path: str, namespace: str | None) -> Tool:
    read = convert(tool, _Custom, path)
    _check_name(read.name, path, namespace)
    grammar = None
    if read.format is not None and read.format.type == "grammar":
        if read.format.syntax is None or not read.format.definition:
            raise invalid_member(f"{path}.format", "a grammar needs `syntax` and `definition`")
        if len(read.format.definition) > MAX_GRAMMAR_CHARS:
            raise invalid_member(
                f"{path}.format.definition", f"a grammar has at most {MAX_GRAMMAR_CHARS} characters here"
            )
        grammar = Grammar(read.format.syntax, read.format.definition)
    return Tool(
        name=read.name,
        shown_as=shown_name(read.name, namespace),
        namespace=namespace,
        description=read.description,
        parameters=_custom_parameters(grammar),
        custom=True,
        grammar=grammar,
        path=f"{path}.format.definition",
    )


def _custom_parameters(grammar: Grammar | None) -> dict[str, Any]:
    """Return the parameters of the function that a model sees. A regex becomes a pattern if the input stands in JSON
    unchanged.
    """
    text: dict[str, Any] = {"type": "string"}
    is_regex = grammar is not None and grammar.syntax == "regex"
    if grammar is not None and is_regex and not any(mark in grammar.definition for mark in _ESCAPED_IN_JSON):
        text["pattern"] = grammar.definition
    return {"type": "object", "properties": {"input": text}, "required": ["input"], "additionalProperties": False}


def _check_name(name: str, path: str, namespace: str | None = None) -> None:
    """Check a name, which stands in prompts and grammars, and in whatever clients call it by: nothing in it may need
    quoting.
    """
    if not _NAME.fullmatch(name):
        raise invalid_member(
            f"{path}.name", "must be 1 to 128 characters of letters, digits, `_`, `-`, `.`, `:` and `/`"
        )
    if len(shown_name(name, namespace)) > _MAX_SHOWN:
        text = f"with its namespace before it, the name must have at most {_MAX_SHOWN} characters: use shorter ones"
        raise invalid_member(f"{path}.name", text)


def _check_parameters(parameters: dict[str, Any] | None, path: str) -> None:
    if not isinstance((parameters or {}).get("properties", {}), dict):
        raise invalid_member(f"{path}.parameters.properties", "must be an object")


def convert(value: dict[str, Any], kind: type[Any], path: str) -> Any:
    """Read a definition as this struct. Raises WireError with its path."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise invalid_member(path, str(error)) from None
