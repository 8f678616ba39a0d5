"""How long those that wait will wait: a look ahead at who runs when, from what responses have taken until now. Pure.

A guess, and told as one. It knows how long responses of each tenant have run lately, how long those that run have been
at it, how fast prompts are read, and in which order the others are likely to follow.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from .tickets import Used

_SMOOTHING = 0.05  # weight of the newest one in a running mean of many
_LEAST_LEFT = 0.5  # of its mean duration, that one which has run for longer than that is expected to go on
_FIRST_SECONDS = 1.0  # a guess, before anything has ended


class _Mean:
    """A running mean; of the first few, their mean."""

    __slots__ = ("number", "value")

    def __init__(self, value: float = 0.0) -> None:
        self.value = value
        self.number = 0

    def add(self, newest: float) -> None:
        self.number += 1
        self.value += max(_SMOOTHING, 1 / self.number) * (newest - self.value)


class Means:
    """What responses have taken lately: those of each tenant, and all."""

    def __init__(self) -> None:
        self._seconds = _Mean(_FIRST_SECONDS)
        self._output = _Mean()
        self._read = _Mean()  # seconds for a token of a prompt, from when it is let in
        self._seconds_of: dict[str, _Mean] = {}
        self._output_of: dict[str, _Mean] = {}
        self._cached_of: dict[str, _Mean] = {}

    def note(self, tenant: str, seconds: float, used: Used) -> None:
        """A response is over."""
        for mean in (self._seconds, self._seconds_of.setdefault(tenant, _Mean())):
            mean.add(seconds)
        for mean in (self._output, self._output_of.setdefault(tenant, _Mean())):
            mean.add(used.num_output)
        if used.num_input:
            self._cached_of.setdefault(tenant, _Mean()).add(used.num_cached / used.num_input)

    def note_read(self, num_tokens: int, seconds: float) -> None:
        """A prompt was read. `num_tokens`: those that were not cached."""
        if num_tokens > 0:
            self._read.add(seconds / num_tokens)

    @property
    def known(self) -> bool:
        """Whether something has ended yet."""
        return self._seconds.number > 0

    @property
    def seconds(self) -> float:
        """How long a response is likely to run."""
        return self._seconds.value

    @property
    def read_seconds(self) -> float:
        """How long a token of a prompt takes."""
        return self._read.value

    def seconds_of(self, tenant: str) -> float:
        """How long a response of this tenant is likely to run."""
        return self._seconds_of.get(tenant, self._seconds).value

    def output_of(self, tenant: str) -> float:
        """How many tokens it is likely to be."""
        return self._output_of.get(tenant, self._output).value

    def new_of(self, tenant: str) -> float:
        """What part of its prompts is likely not to be cached."""
        mean = self._cached_of.get(tenant)
        return 1.0 if mean is None else 1.0 - mean.value


class Runs(NamedTuple):
    """One that runs."""

    tenant: str
    elapsed: float


class Waits(NamedTuple):
    """One that waits. `num_new`: tokens of its prompt that have to be read."""

    tenant: str
    num_new: float


def waits(
    order: Iterable[Waits], running: Iterable[Runs], places: int, most_of: Mapping[str, int], means: Means
) -> list[float]:
    """Return after how many seconds each of those that wait will run, in the order of their turns. `most_of`: how many
    of a tenant may run at once.
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
    reading = 0.0  # when the prompts before are read
    for waiting in order:
        at, own = max(free[0], reading), free_of.setdefault(waiting.tenant, [])
        if len(own) >= most_of.get(waiting.tenant, places):
            at = max(at, heapq.heappop(own))
        found.append(at)
        reading = max(reading, at) + waiting.num_new * means.read_seconds
        end = at + means.seconds_of(waiting.tenant)
        heapq.heappush(own, end)
        heapq.heapreplace(free, end)
    return found
