"""The tools of one request: those that it defines, those that came with the items of its conversation
(`additional_tools`, `tool_search_output`), and those of its MCP servers, as one set with its choice. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from realtime.engine.parsing import ALWAYS, Holds
from realtime.wire.errors import invalid_member
from realtime.wire.grammar_bounds import check_grammars

from .holding import hold
from .mcp_tools import name_apart
from .tool_choice import choose
from .tool_definitions import read_tools
from .tools import Tool, ToolSet


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
    found = _bounded(read_tools(tools or [], "tools"), "tools", most)
    twice = [name for name, count in Counter(tool.shown_as for tool in found).items() if count > 1]
    if twice:
        raise invalid_member("tools", f"the name '{min(twice)}' is given to more than one tool")
    shown = {tool.shown_as: tool for tool in found}
    for path, brought in more:
        shown.update((tool.shown_as, tool) for tool in _bounded(read_tools(brought, path), path, most))
        _check_number(len(shown), path, most)
    found = tuple(shown.values())
    _check_number(len(found) + len(mcp), "tools", most)
    chosen = choose(ToolSet(tools=(*found, *name_apart(found, mcp)), parallel=parallel is not False), choice)
    grammars = ((tool.grammar.syntax, tool.grammar.definition, tool.path) for tool in chosen.tools if tool.grammar)
    check_grammars(grammars, holds.limits)
    return hold(chosen, holds)


def _bounded(tools: Iterator[Tool], path: str, most: int) -> tuple[Tool, ...]:
    """Return the tools, and stop at the most that there may be."""
    found = tuple(islice(tools, most + 1))
    _check_number(len(found), path, most)
    return found


def _check_number(number: int, path: str, most: int) -> None:
    if number > most:
        raise invalid_member(path, f"there are more tools than the {most} that are accepted: send fewer")
