"""The tools that a request offers to the model, and which of them it must or may not call. Pure.

The wire has many kinds of tool; a model sees functions only. A `ToolSet` is what remains: every callable tool under the
one name that the model sees, the way back from that name, and the choice. Hosted kinds that this server does not run
are accepted and hidden, because clients always send them; MCP tools come from their servers (`mcp_tools`). Tools may
also come with the items of a conversation (`additional_tools`, `tool_search_output`).
"""

from __future__ import annotations

import enum
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Literal

import msgspec

from realtime.engine.parsing import ALWAYS, Holds
from realtime.wire.bounds import check_grammars
from realtime.wire.errors import ErrorCode, WireError

from .client_tools import CLIENT_TOOLS, Kind
from .holding import Held, Holding

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
SEPARATOR = "__"  # between a namespace and a name, as the model sees them


class Grammar(msgspec.Struct, frozen=True):
    """A grammar that the input of a custom tool must match."""

    syntax: Literal["lark", "regex"]
    definition: str


class McpOrigin(msgspec.Struct, frozen=True):
    """The server of an MCP tool, and whether the user has to approve each call."""

    server_label: str
    needs_approval: bool


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """One callable tool. `shown_as` is its name for the model, `namespace` and `name` are the client's. `strict`: as
    the client set it; None: not set. `held`: when sampling is constrained to it. `path`: the place of its parameters,
    or its grammar, in the request, for refusals.
    """

    name: str
    shown_as: str
    namespace: str | None = None
    description: str | None = None
    parameters: dict[str, Any]
    strict: bool | None = None
    held: Held = Held.NEVER
    custom: bool = False  # free text instead of JSON arguments; the model fills a function's one `input`
    kind: Kind | None = None  # OpenAI's own tools that the client runs: calls have an item type of their own
    grammar: Grammar | None = None
    mcp: McpOrigin | None = None  # the server calls it itself
    path: str = "tools"


class Mode(enum.Enum):
    """The model's freedom to call tools."""

    NONE = "none"
    AUTO = "auto"
    REQUIRED = "required"


class ToolSet(msgspec.Struct, frozen=True, kw_only=True):
    """The tools that the model is shown. `only` names the one that must be called (mode REQUIRED then)."""

    tools: tuple[Tool, ...] = ()
    mode: Mode = Mode.AUTO
    only: Tool | None = None
    parallel: bool = True

    def find(self, shown_as: str) -> Tool | None:
        """Return the tool that the model means by this name."""
        return next((tool for tool in self.tools if tool.shown_as == shown_as), None)

    def holds(self, tool: Tool) -> bool:
        """Return whether sampling is constrained to the tool's parameters."""
        return tool.held is Held.ALWAYS or (tool.held is Held.WHEN_FORCED and self.mode is Mode.REQUIRED)

    def without_defaults(self) -> ToolSet | None:
        """Return the set without the constraints that are not required; None if there are none."""
        if self.mode is not Mode.AUTO or not any(map(_is_by_default, self.tools)):
            return None
        freed = (msgspec.structs.replace(one, held=Held.NEVER) if _is_by_default(one) else one for one in self.tools)
        return msgspec.structs.replace(self, tools=tuple(freed))


def _is_by_default(tool: Tool) -> bool:
    return tool.held is Held.ALWAYS and tool.strict is None and not tool.custom


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


class _Named(msgspec.Struct):
    type: str
    name: str | None = None
    namespace: str | None = None
    server_label: str | None = None
    mode: Literal["auto", "required"] = "auto"
    tools: list[dict[str, Any]] = []


def tool_set(
    tools: list[dict[str, Any]] | None,
    choice: str | dict[str, Any] | None,
    parallel: bool | None,
    more: Sequence[tuple[str, list[dict[str, Any]]]] = (),
    mcp: Sequence[Tool] = (),
    holds: Holds = ALWAYS,
) -> ToolSet:
    """Read the tools of a request. `more`: those that came with items, each list with its path; of two with the same
    name the later one counts. `mcp`: the listings of the request's MCP servers. `holds`: the constraints on calls that
    sampling supports. Raises WireError with the path of what is wrong.
    """
    if not (tools or more or mcp or choice):
        return ToolSet(parallel=parallel is not False)
    most = holds.limits.max_tools
    found = _bounded(_read_all(tools or [], "tools", None, _searches(tools or [])), "tools", most)
    twice = [name for name, count in Counter(tool.shown_as for tool in found).items() if count > 1]
    if twice:
        raise refusal("tools", f"the name '{min(twice)}' is given to more than one tool")
    shown = {tool.shown_as: tool for tool in found}
    for path, brought in more:
        shown.update((tool.shown_as, tool) for tool in _bounded(_read_all(brought, path, None, False), path, most))
        _check_number(len(shown), path, most)
    found = tuple(shown.values())
    _check_number(len(found) + len(mcp), "tools", most)
    chosen = _choose(ToolSet(tools=(*found, *name_apart(found, mcp)), parallel=parallel is not False), choice)
    grammars = ((tool.grammar.syntax, tool.grammar.definition, tool.path) for tool in chosen.tools if tool.grammar)
    check_grammars(grammars, holds.limits)
    return _hold(chosen, holds)


def _hold(chosen: ToolSet, holds: Holds) -> ToolSet:
    """Decide to which tools' parameters sampling is constrained; required constraints come before default ones."""
    holding = Holding(holds, forced=chosen.mode is Mode.REQUIRED)
    held = {tool.shown_as: _held(tool, chosen, holding) for tool in sorted(chosen.tools, key=_comes_last(chosen))}
    tools = tuple(msgspec.structs.replace(tool, held=held[tool.shown_as]) for tool in chosen.tools)
    only = chosen.only
    if only is not None:
        only = msgspec.structs.replace(only, held=held[only.shown_as])
    return msgspec.structs.replace(chosen, tools=tools, only=only)


def _comes_last(chosen: ToolSet) -> Callable[[Tool], bool]:
    return lambda tool: not (tool.strict or _is_forced(tool, chosen))


def _is_forced(tool: Tool, chosen: ToolSet) -> bool:
    return chosen.mode is Mode.REQUIRED and (chosen.only is None or chosen.only.shown_as == tool.shown_as)


def _held(tool: Tool, chosen: ToolSet, holding: Holding) -> Held:
    if tool.custom:  # made of its grammar, which is bounded by itself
        return Held.ALWAYS
    if tool.strict:
        return holding.strict(tool.parameters, tool.path)
    if _is_forced(tool, chosen):
        return holding.must_call(tool.parameters, tool.path, by_default=tool.strict is None)
    return holding.by_default(tool.parameters, tool.path) if tool.strict is None else Held.NEVER


def _bounded(tools: Iterator[Tool], path: str, most: int) -> tuple[Tool, ...]:
    """Return the tools, and stop at the most that there may be."""
    found = tuple(islice(tools, most + 1))
    _check_number(len(found), path, most)
    return found


def _check_number(number: int, path: str, most: int) -> None:
    if number > most:
        raise refusal(path, f"there are more tools than the {most} that are accepted: send fewer")


def name_apart(others: Sequence[Tool], mcp: Sequence[Tool]) -> list[Tool]:
    """Make the names of MCP tools unique: the tool's own name if nothing else has it, else with its server's name in
    front.
    """
    names = Counter([*(tool.shown_as for tool in others), *(tool.shown_as for tool in mcp)])
    taken = {tool.shown_as for tool in others}
    marks: Counter[str] = Counter()  # how many each name has got
    named: list[Tool] = []
    for tool in mcp:
        assert tool.mcp is not None
        wanted = tool.shown_as if names[tool.shown_as] == 1 else _shown(tool.shown_as, tool.mcp.server_label)
        while (name := wanted + "_" * marks[wanted]) in taken:  # a server that lists a name twice, or a name like ours
            marks[wanted] += 1
        taken.add(name)
        named.append(msgspec.structs.replace(tool, shown_as=name))
    return named


def unnest(named: Any) -> Any:
    """Return a function's definition or choice with its members at the top. Chat Completions has them in a member
    `function`, and so have clients that come from there.
    """
    if not isinstance(named, dict) or not isinstance(named.get("function"), dict):
        return named
    return {**{name: value for name, value in named.items() if name != "function"}, **named["function"]}


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
            space = _convert(tool, _Namespace, path)
            _check_name(space.name, path)
            yield from _read_all(space.tools, f"{path}.tools", space.name, searches)
        case "tool_search" if namespace is None:
            yield from _search(tool, path)
        case ("local_shell" | "shell" | "apply_patch") as kind if namespace is None:
            yield _client_tool(kind)
        case "mcp" if namespace is None and path.startswith("tools["):
            return  # its tools are known when its server was asked: see mcp_tools
        case "mcp":
            raise refusal(path, "tools of type 'mcp' are accepted in the request's `tools` only")
        case str() as kind if kind in HIDDEN:
            return
        case kind:
            raise refusal(f"{path}.type", f"tool type {str(kind)[:64]!r} is not supported")


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
    read = _convert(tool, _Search, path)
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


def _check_name(name: str, path: str, namespace: str | None = None) -> None:
    """Check a name, which stands in prompts and grammars, and in whatever clients call it by: nothing in it may need
    quoting.
    """
    if not _NAME.fullmatch(name):
        raise refusal(f"{path}.name", "must be 1 to 128 characters of letters, digits, `_`, `-`, `.`, `:` and `/`")
    if len(_shown(name, namespace)) > _MAX_SHOWN:
        text = f"with its namespace before it, the name must have at most {_MAX_SHOWN} characters: use shorter ones"
        raise refusal(f"{path}.name", text)


def _check_parameters(parameters: dict[str, Any] | None, path: str) -> None:
    if not isinstance((parameters or {}).get("properties", {}), dict):
        raise refusal(f"{path}.parameters.properties", "must be an object")


def _function(tool: dict[str, Any], path: str, namespace: str | None) -> Tool:
    read = _convert(unnest(tool), _Function, path)
    _check_name(read.name, path, namespace)
    _check_parameters(read.parameters, path)
    return Tool(
        name=read.name,
        shown_as=_shown(read.name, namespace),
        namespace=namespace,
        description=read.description,
        parameters=read.parameters or {"type": "object", "properties": {}},
        strict=read.strict,
        path=f"{path}.parameters",
    )


def _custom(tool: dict[str, Any], path: str, namespace: str | None) -> Tool:
    read = _convert(tool, _Custom, path)
    _check_name(read.name, path, namespace)
    grammar = None
    if read.format is not None and read.format.type == "grammar":
        if read.format.syntax is None or not read.format.definition:
            raise refusal(f"{path}.format", "a grammar needs `syntax` and `definition`")
        if len(read.format.definition) > MAX_GRAMMAR_CHARS:
            raise refusal(f"{path}.format.definition", f"a grammar has at most {MAX_GRAMMAR_CHARS} characters here")
        grammar = Grammar(read.format.syntax, read.format.definition)
    return Tool(
        name=read.name,
        shown_as=_shown(read.name, namespace),
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


def _choose(offered: ToolSet, choice: str | dict[str, Any] | None) -> ToolSet:
    if choice is None or isinstance(choice, str):
        return _mode(offered, choice or "auto")
    named = _convert(unnest(choice), _Named, "tool_choice")
    if named.type == "allowed_tools":
        allowed = {_find(offered, one).shown_as for one in _allowed(named.tools) if one.type != "mcp"}
        servers = [_server(one) for one in _allowed(named.tools) if one.type == "mcp"]
        kept = tuple(
            tool for tool in offered.tools if tool.shown_as in allowed or any(_is_of(tool, *s) for s in servers)
        )
        return _mode(msgspec.structs.replace(offered, tools=kept), named.mode)
    if named.type == "mcp":
        return _choose_mcp(offered, named)
    if named.type in HIDDEN:
        text = f"this server does not run tools of type '{named.type}', so the model can't be made to call one"
        raise refusal("tool_choice.type", text)
    if named.type not in ("function", "custom", *CLIENT_TOOLS):
        raise refusal("tool_choice.type", f"a tool of type {named.type[:64]!r} can't be called on this server")
    return msgspec.structs.replace(offered, mode=Mode.REQUIRED, only=_find(offered, named))


def _choose_mcp(offered: ToolSet, named: _Named) -> ToolSet:
    """Require a call of one of a server's tools, or of the one that is named."""
    label, name = _server(named)
    kept = tuple(tool for tool in offered.tools if _is_of(tool, label, name))
    if not kept:
        what = f"tool '{name[:64]}' of the" if name else "tool of the"
        raise refusal("tool_choice", f"there is no {what} MCP server '{label[:64]}' that the model may call")
    if name is None:
        return msgspec.structs.replace(offered, tools=kept, mode=Mode.REQUIRED)
    return msgspec.structs.replace(offered, mode=Mode.REQUIRED, only=kept[0])


def _server(named: _Named) -> tuple[str, str | None]:
    if named.server_label is None:
        raise refusal("tool_choice.server_label", "is required for a choice of type 'mcp'")
    return named.server_label, named.name


def _is_of(tool: Tool, label: str, name: str | None) -> bool:
    return tool.mcp is not None and tool.mcp.server_label == label and name in (None, tool.name)


def _allowed(tools: list[dict[str, Any]]) -> Iterator[_Named]:
    """Yield the allowed tools that the model may know of."""
    for index, tool in enumerate(tools):
        named = _convert(unnest(tool), _Named, f"tool_choice.tools[{index}]")
        if named.type not in HIDDEN:
            yield named


def _mode(offered: ToolSet, mode: str) -> ToolSet:
    try:
        wanted = Mode(mode)
    except ValueError:
        raise refusal("tool_choice", "must be `none`, `auto`, `required` or an object that names a tool") from None
    if wanted is Mode.REQUIRED and not offered.tools:
        raise refusal("tool_choice", "`required`, but there is no tool that this server can offer the model")
    only = offered.tools[0] if wanted is Mode.REQUIRED and len(offered.tools) == 1 else None
    if only is not None and only.grammar is None:
        only = None  # it may be called more than once
    return msgspec.structs.replace(offered, mode=wanted, only=only)


def _find(offered: ToolSet, named: _Named) -> Tool:
    wanted = named.name or named.type
    for tool in offered.tools:
        if named.type in CLIENT_TOOLS:
            if tool.kind == named.type:
                return tool
        elif wanted in (tool.name, tool.shown_as) and named.namespace in (None, tool.namespace):
            return tool
    raise refusal("tool_choice", f"there is no tool named '{wanted[:64]}' in `tools`")


def _shown(name: str, namespace: str | None) -> str:
    return name if namespace is None else f"{namespace}{SEPARATOR}{name}"


def _convert(value: dict[str, Any], kind: type[Any], path: str) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise refusal(path, str(error)) from None


def refusal(path: str, reason: str) -> WireError:
    """Return the error for a tool, or a choice of tools, that is not supported."""
    return WireError(ErrorCode.INVALID_REQUEST, f"`{path}`: {reason}.", param=path)
