"""The tools that a model is shown, and which of them it must or may not call. Pure.

The wire has many kinds of tool; a model sees functions only. A `ToolSet` is what remains: every callable tool under the
one name that the model sees, the way back from that name, and the choice. `request_tools` makes it of a request.
"""

from __future__ import annotations

import enum
from typing import Any, Literal

import msgspec

from .client_tools import Kind

SEPARATOR = "__"  # between a namespace and a name, as the model sees them


class Grammar(msgspec.Struct, frozen=True):
    """A grammar that the input of a custom tool must match."""

    syntax: Literal["lark", "regex"]
    definition: str


class McpOrigin(msgspec.Struct, frozen=True):
    """The server of an MCP tool, and whether the user has to approve each call."""

    server_label: str
    needs_approval: bool


class Held(enum.Enum):
    """The cases in which sampling is constrained to a tool's parameters."""

    ALWAYS = "always"
    WHEN_FORCED = "when_forced"
    NEVER = "never"


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


def shown_name(name: str, namespace: str | None) -> str:
    """Return a tool's name with its namespace, as the model sees them."""
    return name if namespace is None else f"{namespace}{SEPARATOR}{name}"
