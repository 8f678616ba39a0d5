"""The plan of a run: in which size each target runs, so that all of them end in time, and what that leaves out.

A target has a size for each name. `full` is what `make bench` runs where it has the time; where it has not, all targets
are shortened alike, and those that come first get back what then is left. A plan is only reckoned, so a target also
has a clock: it repeats nothing that would not end in its time. Whatever is left out is told.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Generic, Literal, TypeVar

import msgspec

Name = Literal["long", "full", "short", "quick", "tiny"]
NAMES: tuple[Name, ...] = ("long", "full", "short", "quick", "tiny")  # tiny is for tests
FAST_MINUTES, SLOW_MINUTES = 5.0, 20.0  # a run may take, unless another length is asked for
QUICK = 1 / 5  # of that, for the quick form
FAST = 1.5  # the pace of a fast machine, at most


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """One size of a target. text: what is done. work: seconds that it took at pace 1. waits: further seconds, which
    pass on any machine.
    """

    text: str
    work: float = 0.0
    waits: float = 0.0

    def reckoned(self, pace: float) -> float:
        """Return the seconds that it takes at this pace."""
        return self.work * pace + self.waits


S = TypeVar("S", bound=Size)
Ladder = Mapping[Name, Size]  # the sizes of a target, from the longest


class Share(Generic[S]):
    """The part of a run that a target has: its size, and its time. `left_out`: what did not fit into it."""

    def __init__(self, size: S, seconds: float = math.inf, clock: Callable[[], float] = time.monotonic) -> None:
        self.size = size
        self.left_out: list[str] = []
        self._clock = clock
        self._ends_at = clock() + seconds

    def repeats(self, number: int, what: str) -> Iterator[int]:
        """Yield 0, 1, and so on: `number` in all, or fewer when the next one would not end in time, but one at least.
        what: what is repeated, for people.
        """
        longest = 0.0
        for done in range(number):
            began = self._clock()
            if done and began + longest > self._ends_at:
                self.left_out.append(f"{what}: {done} of {number} repeats, for want of time")
                return
            yield done
            longest = max(longest, self._clock() - began)


class Part(msgspec.Struct, frozen=True):
    """A target in a plan. seconds: reckoned, at the pace of the machine."""

    name: Name
    size: Size
    seconds: float


class Plan(msgspec.Struct, frozen=True):
    """The parts of a run, by target. most_seconds: that it may take; None: as long as it takes. left_out: the targets
    for which that is not enough.
    """

    parts: Mapping[str, Part]
    most_seconds: float | None
    left_out: Sequence[str] = ()

    @property
    def seconds(self) -> float:
        """Return how long all of it takes by reckoning."""
        return _seconds(self.parts)

    @property
    def shortened(self) -> Sequence[str]:
        """Return the targets that are smaller than in the full form."""
        return [target for target, part in self.parts.items() if NAMES.index(part.name) > NAMES.index("full")]

    def share(self, target: str) -> Share[Size]:
        """Return the target's share, whose time begins now."""
        return Share(self.parts[target].size, self.seconds_of(target))

    def seconds_of(self, target: str) -> float:
        """Return the time that the target has: what is not needed by reckoning is shared out, in case it is."""
        reckoned = self.parts[target].seconds
        if self.most_seconds is None:
            return math.inf
        return max(reckoned, self.most_seconds * reckoned / self.seconds) if self.seconds else self.most_seconds


def minutes_for(pace: float) -> float:
    """Return how long the full form may take on a machine of this pace."""
    return FAST_MINUTES if pace <= FAST else SLOW_MINUTES


def in_size(ladders: Mapping[str, Ladder], name: Name, pace: float) -> Plan:
    """Plan every target in this size, however long it takes."""
    return Plan({target: _part(ladder, name, pace) for target, ladder in ladders.items()}, None)


def within(ladders: Mapping[str, Ladder], minutes: float, pace: float, longest: Name = "full") -> Plan:
    """Plan the longest size in which all targets end in time. What is left of the time goes to the first ones that can
    be longer with it, a size at a time. Where not even the quick forms of all fit, the first ones that do are planned,
    but one at least.
    """
    most = minutes * 60
    names = NAMES[NAMES.index(longest) : NAMES.index("quick") + 1]
    plans = [in_size(ladders, name, pace) for name in names]
    parts = dict(next((plan for plan in plans if plan.seconds <= most), plans[-1]).parts)
    for target in list(parts)[:0:-1]:
        if _seconds(parts) > most:
            del parts[target]
    for name in reversed(names):
        for target in parts:
            if names.index(name) < names.index(parts[target].name):
                longer = parts | {target: _part(ladders[target], name, pace)}
                if _seconds(longer) <= most:
                    parts = longer
    return Plan(parts, most, [target for target in ladders if target not in parts])


def _seconds(parts: Mapping[str, Part]) -> float:
    return sum(part.seconds for part in parts.values())


def _part(ladder: Ladder, name: Name, pace: float) -> Part:
    return Part(name, ladder[name], ladder[name].reckoned(pace))


def lines(plan: Plan) -> Iterator[str]:
    """Yield the plan for people."""
    limit = "" if plan.most_seconds is None else f", of {plan.most_seconds / 60:g} at most"
    yield f"plan: about {plan.seconds / 60:.1f} minutes{limit}"
    for target, part in plan.parts.items():
        yield f"   {target:10} {part.name:6} {part.seconds / 60:5.1f} min  {part.size.text}"
    for what, targets in (("shortened", plan.shortened), ("left out", plan.left_out)):
        if targets:
            yield f"   {what}: {', '.join(targets)} (--minutes N for a longer run)"
    if plan.most_seconds is not None and plan.seconds > plan.most_seconds:
        yield "   even that takes longer here: wait until the machine is free"
