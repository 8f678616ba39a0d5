"""How long those that wait will wait: a look ahead at who runs when, from what responses have taken until now. Pure.

A guess, and told as one. It knows how long responses of each tenant have run lately, how long those that run have been
at it, and in which order the others are likely to follow.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from .tickets import Used

_SMOOTHING = 0.2  # weight of the newest one in a running mean
_LEAST_LEFT = 0.5  # of its mean duration, that one which has run for longer than that is expected to go on
_FIRST_SECONDS = 1.0  # a guess, before anything has ended


class Means:
    """Running means of what responses have taken: of each tenant, and of all."""

    def __init__(self) -> None:
        self.known = False  # something has ended
        self.seconds = _FIRST_SECONDS
        self.output = 0.0  # tokens
        self._seconds_of: dict[str, float] = {}
        self._output_of: dict[str, float] = {}
        self._cached_of: dict[str, float] = {}

    def note(self, tenant: str, seconds: float, used: Used) -> None:
        """A response is over."""
        output = float(used.num_output)
        self.seconds += _SMOOTHING * (seconds - self.seconds)
        self.output = self.output + _SMOOTHING * (output - self.output) if self.known else output
        _learn(self._seconds_of, tenant, seconds)
        _learn(self._output_of, tenant, output)
        if used.num_input:
            _learn(self._cached_of, tenant, used.num_cached / used.num_input)
        self.known = True

    def seconds_of(self, tenant: str) -> float:
        """How long a response of this tenant is likely to run."""
        return self._seconds_of.get(tenant, self.seconds)

    def output_of(self, tenant: str) -> float:
        """How many tokens it is likely to be."""
        return self._output_of.get(tenant, self.output)

    def new_of(self, tenant: str) -> float:
        """What part of its prompts is likely not to be cached."""
        return 1.0 - self._cached_of.get(tenant, 0.0)


def _learn(means: dict[str, float], tenant: str, newest: float) -> None:
    before = means.get(tenant, newest)
    means[tenant] = before + _SMOOTHING * (newest - before)


class Runs(msgspec.Struct, frozen=True):
    """What runs, as the forecast needs it. `most`: how many of its tenant may."""

    tenant: str
    elapsed: float


def waits(
    order: Sequence[str], running: Iterable[Runs], places: int, most_of: Mapping[str, int], means: Means
) -> list[float]:
    """Return after how many seconds each of those that wait will run. `order`: their tenants, in the order of their
    turns. `most_of`: how many of a tenant may run at once.
    """
    free: list[float] = []  # when a place is free
    free_of: dict[str, list[float]] = {}  # ... and when a tenant may use it
    for one in running:
        mean = means.seconds_of(one.tenant)
        left = max(mean - one.elapsed, _LEAST_LEFT * mean)
        free.append(left)
        free_of.setdefault(one.tenant, []).append(left)
    free += [0.0] * max(0, places - len(free))
    for heap in (free, *free_of.values()):
        heapq.heapify(heap)
    found = []
    for tenant in order:
        at, own = free[0] if free else 0.0, free_of.setdefault(tenant, [])
        if len(own) >= most_of.get(tenant, places):
            at = max(at, heapq.heappop(own))
        found.append(at)
        end = at + means.seconds_of(tenant)
        heapq.heappush(own, end)
        if free:
            heapq.heapreplace(free, end)
    return found
