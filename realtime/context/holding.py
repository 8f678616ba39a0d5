"""Decide, before a response starts, to which tools' parameters sampling is constrained. Pure.

A constraint that is required and impossible is refused. A default one is applied where that is possible and cheap;
otherwise the parameters are only described to the model. So no tool is refused for a member that its client left out.
"""

from __future__ import annotations

import enum
from typing import Any

from realtime.engine.parsing import Holds
from realtime.wire.bounds import Measured, Schemas, refusal
from realtime.wire.errors import WireError
from realtime.wire.holdable import cost, doubt

MAX_COST = 1000  # of all tools that are held by default, see `holdable.cost`: it delays the first token


class Held(enum.Enum):
    """The cases in which sampling is constrained to a tool's parameters."""

    ALWAYS = "always"
    WHEN_FORCED = "when_forced"
    NEVER = "never"


class Holding:
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
            raise refusal(where, "calls of this model can't be held to a schema: leave it out, or give false")
        if (reason := self._holds.misfit(parameters)) is not None:
            raise refusal(path, reason)
        return Held.ALWAYS

    def must_call(self, parameters: dict[str, Any], path: str, *, by_default: bool) -> Held:
        """Constrain a tool that must be called. `by_default`: keep the constraint, if possible and cheap, when it need
        not be called any more. Raises WireError if the model can't be made to call.
        """
        measured = self._schemas.measure(parameters, path)
        if not self._holds.forced:
            raise refusal("tool_choice", "this model can't be made to call a tool: use `auto`")
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
