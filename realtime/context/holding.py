"""Decide, before a response starts, to which tools' parameters sampling is constrained. Pure.

A constraint that is required and impossible is refused. A default one is applied where that is possible and cheap;
otherwise the parameters are only described to the model. So no tool is refused for a member that its client left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from realtime.engine.parsing import Holds
from realtime.wire.errors import WireError, invalid_member
from realtime.wire.holdable import cost, doubt
from realtime.wire.schema_bounds import Measured, Schemas

from .tools import Held, Mode, Tool, ToolSet

MAX_COST = 1000  # of all tools that are held by default, see `holdable.cost`: it delays the first token


def hold(chosen: ToolSet, holds: Holds) -> ToolSet:
    """Decide to which tools' parameters sampling is constrained; required constraints come before default ones."""
    holding = _Holding(holds, forced=chosen.mode is Mode.REQUIRED)
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


def _held(tool: Tool, chosen: ToolSet, holding: _Holding) -> Held:
    if tool.custom:  # made of its grammar, which is bounded by itself
        return Held.ALWAYS
    if tool.strict:
        return holding.strict(tool.parameters, tool.path)
    if _is_forced(tool, chosen):
        return holding.must_call(tool.parameters, tool.path, by_default=tool.strict is None)
    return holding.by_default(tool.parameters, tool.path) if tool.strict is None else Held.NEVER


class _Holding:
    """The decisions about one request's tools. `holds`: the constraints on calls that sampling supports. `forced`: a
    tool must be called.
    """

    def __init__(self, holds: Holds, *, forced: bool) -> None:
        self._holds = holds
        self._forced = forced
        self._schemas = Schemas(holds.limits)
        self._left = MAX_COST

    def strict(self, parameters: dict[str, Any], path: str) -> Held:
        """Constrain a strict tool. Raises WireError if that is impossible."""
        self._schemas.measure(parameters, path)
        if not (self._holds.auto or (self._forced and self._holds.forced)):
            where = path.removesuffix(".parameters") + ".strict"
            raise invalid_member(where, "calls of this model can't be held to a schema: leave it out, or give false")
        if (reason := self._holds.misfit(parameters)) is not None:
            raise invalid_member(path, reason)
        return Held.ALWAYS

    def must_call(self, parameters: dict[str, Any], path: str, *, by_default: bool) -> Held:
        """Constrain a tool that must be called. `by_default`: keep the constraint, if possible and cheap, when it need
        not be called any more. Raises WireError if the model can't be made to call.
        """
        measured = self._schemas.measure(parameters, path)
        if not self._holds.forced:
            raise invalid_member("tool_choice", "this model can't be made to call a tool: use `auto`")
        if by_default and self._holds.auto and self._takes(parameters, measured):
            return Held.ALWAYS
        return Held.WHEN_FORCED if self._holds.misfit(parameters) is None else Held.NEVER

    def by_default(self, parameters: dict[str, Any], path: str) -> Held:
        """Constrain a tool for which the client did not say, if that is possible."""
        if not self._holds.auto:
            return Held.NEVER
        try:
            measured = self._schemas.measure(parameters, path)
        except WireError:
            return Held.NEVER
        return Held.ALWAYS if self._takes(parameters, measured) else Held.NEVER

    def _takes(self, parameters: dict[str, Any], measured: Measured) -> bool:
        """Add a schema to those that are constrained by default, and take its work from the remaining budget."""
        work = cost(measured.reached, measured.pattern_steps)
        if work > self._left or doubt(measured.reached, measured.targets) is not None:
            return False
        if self._holds.misfit(parameters) is not None:
            return False
        self._left -= work
        return True
