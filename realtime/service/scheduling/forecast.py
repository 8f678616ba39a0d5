"""A forecast of waiting times: who will run when, simulated from how long recent responses have taken. Pure.

The forecast is a guess, and reported as one. It knows how long each tenant's recent responses ran, how long the running
ones have run so far, how fast prompts are read, and in which order the waiting ones are likely to follow.

In a server's first burst few responses have ended, and those were the shortest. Until more have ended the forecast
counts tokens: the first steps show how fast tokens are read and generated; the length of an answer is guessed from the
running ones, which have some tokens already and will have more, and from what the request allows.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from statistics import NormalDist
from typing import NamedTuple

from realtime.runs.usage import Used

_SMOOTHING = 0.05  # weight of the newest one in a running mean of many
_LEAST_LEFT = 0.5  # of its mean duration, that one which has run for longer than that is expected to go on
_FIRST_SECONDS = 1.0  # a guess, before anything has ended
_FIRST_TOKENS = 256.0  # the same
_REMEMBERED = 16_384  # tokens
_SPREAD = 0.7  # of the logarithms of their lengths
_DOUBTS = 4  # answers that the guess counts for
_MORE = 1.3  # times what one has made already, that it is expected to make at least
_FEW = 32  # responses that are over, before it is known how long they take


class _Mean:
    """A running mean, weighted towards the newest; of the first few, their plain mean."""

    __slots__ = ("number", "value")

    def __init__(self, value: float = 0.0) -> None:
        self.value = value
        self.number = 0

    def add(self, newest: float) -> None:
        self.number += 1
        self.value += max(_SMOOTHING, 1 / self.number) * (newest - self.value)


class _Pace:
    """Seconds per token, over the latest thousands of tokens."""

    __slots__ = ("number", "seconds")

    def __init__(self) -> None:
        self.seconds = self.number = 0.0

    def add(self, seconds: float, number: int) -> None:
        kept = _REMEMBERED / (_REMEMBERED + number)
        self.seconds, self.number = self.seconds * kept + seconds, self.number * kept + number

    @property
    def value(self) -> float:
        return self.seconds / self.number if self.number else 0.0


class Means:
    """Running means of how long recent responses took: for each tenant, and for all."""

    def __init__(self) -> None:
        self._seconds = _Mean(_FIRST_SECONDS)
        self._output = _Mean()
        self._read = _Mean()  # seconds for a token of a prompt, from when it is let in
        self._read_pace = _Pace()  # the same, of all that are read at once
        self._seconds_of: dict[str, _Mean] = {}
        self._output_of: dict[str, _Mean] = {}
        self._cached_of: dict[str, _Mean] = {}
        self._steps = _Pace()  # seconds for a token that is made, behind the first one ...
        self._pure_steps = _Pace()  # ... while nothing was read

    def note_steps(self, seconds: float, number: int, *, pure: bool) -> None:
        """Note that a response generated so many tokens in this time. `pure`: no prompt was read meanwhile."""
        self._steps.add(seconds, number)
        if pure:
            self._pure_steps.add(seconds, number)

    def note(self, tenant: str, seconds: float, used: Used) -> None:
        """Note that a response is over."""
        self._seconds.add(seconds)
        _of(self._seconds_of, tenant).add(seconds)
        self._output.add(used.num_output)
        _of(self._output_of, tenant).add(used.num_output)
        if used.num_input:
            _of(self._cached_of, tenant).add(used.num_cached / used.num_input)

    def note_read(self, num_tokens: int, seconds: float) -> None:
        """Note that a prompt was read. `num_tokens`: those that were not cached."""
        if num_tokens > 0:
            self._read.add(seconds / num_tokens)

    def note_reading(self, num_tokens: int, seconds: float) -> None:
        """Note that prompts of so many tokens in all were read in this time."""
        self._read_pace.add(seconds, num_tokens)

    @property
    def known(self) -> bool:
        """Return whether a forecast is possible: a response has ended, or tokens come while no prompt is read."""
        return self._seconds.number > 0 or self._pure_steps.number > 0

    @property
    def seconds(self) -> float:
        """Return how long a response is likely to run."""
        return self._seconds.value

    @property
    def read_seconds(self) -> float:
        """Return the seconds to read one token of a prompt."""
        return self._read_pace.value if self.is_new else self._read.value

    def seconds_of(self, tenant: str) -> float:
        """Return how long a response of this tenant is likely to run."""
        return self._seconds_of.get(tenant, self._seconds).value

    @property
    def asks_for_pace(self) -> bool:
        """Return whether so few responses have ended that the pace of tokens is needed."""
        return self._seconds.number < _FEW

    @property
    def is_new(self) -> bool:
        """Return whether the forecast goes by tokens: they come, and hardly any response has ended."""
        return self.step_seconds > 0 and self.asks_for_pace

    def first_length(self, tenant: str, seen: float, max_output: int | None) -> float:
        """Return how many tokens an answer is likely to have while hardly any has ended. `seen`: the mean so far of its
        tenant's running answers.
        """
        own = self._output_of.get(tenant, _NONE)
        weight = own.number / (own.number + _DOUBTS)
        guess = max(weight * own.value + (1 - weight) * _FIRST_TOKENS, _MORE * seen)
        return guess if max_output is None else min(guess, max_output)

    @property
    def step_seconds(self) -> float:
        """Return the seconds to generate one token."""
        return self._steps.value if self._seconds.number else self._pure_steps.value

    def output_of(self, tenant: str) -> float:
        """Return how many tokens an answer of this tenant is likely to have."""
        return self._output_of.get(tenant, self._output).value

    def new_of(self, tenant: str) -> float:
        """Return the share of this tenant's prompts that is likely not to be cached."""
        mean = self._cached_of.get(tenant)
        return 1.0 if mean is None else 1.0 - mean.value


_NONE = _Mean()


def _of(means: dict[str, _Mean], tenant: str) -> _Mean:
    """Return a tenant's own mean, a new one for a new tenant."""
    mean = means.get(tenant)
    if mean is None:
        mean = means[tenant] = _Mean()
    return mean


class Runs(NamedTuple):
    """A running response. `num_output`: tokens that it has generated."""

    tenant: str
    elapsed: float
    num_output: int = 0
    max_output: int | None = None


class Waits(NamedTuple):
    """A waiting response. `num_new`: tokens of its prompt that have to be read."""

    tenant: str
    num_new: float
    max_output: int | None = None


def waits(
    order: Iterable[Waits], running: Iterable[Runs], places: int, most_of: Mapping[str, int], means: Means
) -> list[float]:
    """Return the seconds after which each waiting response will run, in the order of their turns. `most_of`: how many
    of a tenant may run at once.
    """
    running = list(running)
    seen, ranks = _seen(running), _Ranks(running)
    left_of, duration_of = (_left, _duration) if means.is_new else (_left_by_mean, _duration_by_mean)
    read_seconds = means.read_seconds
    free: list[float] = []  # when a place is free
    free_of: dict[str, list[float]] = {}  # ... and when a tenant may use it
    for one in running:
        left = left_of(one, seen[one.tenant], ranks.next(one.tenant), means)
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
        reading = max(reading, at) + waiting.num_new * read_seconds
        end = at + duration_of(waiting, seen.get(waiting.tenant, 0.0), means)
        heapq.heappush(own, end)
        heapq.heapreplace(free, end)
    return found


def _seen(running: Iterable[Runs]) -> dict[str, float]:
    """Return the mean number of tokens that each tenant's running responses have generated."""
    made: dict[str, _Mean] = {}
    for one in running:
        mean = made.setdefault(one.tenant, _Mean())
        mean.number += 1
        mean.value += (one.num_output - mean.value) / mean.number
    return {tenant: mean.value for tenant, mean in made.items()}


class _Ranks:
    """Ranks of the running answers of a tenant: the share of them that is likely to end before this one. Answers differ
    in length, so one ends first.
    """

    def __init__(self, running: Iterable[Runs]) -> None:
        self._numbers = Counter(one.tenant for one in running)
        self._next: Counter[str] = Counter()

    def next(self, tenant: str) -> float:
        """Return the rank of the next answer of this tenant, between 0 and 1."""
        self._next[tenant] += 1
        return (self._next[tenant] - 0.5) / self._numbers[tenant]


def _left(one: Runs, seen: float, rank: float, means: Means) -> float:
    mean = max(means.first_length(one.tenant, seen, one.max_output), 1.0)
    lengths = NormalDist(math.log(mean) - _SPREAD**2 / 2, _SPREAD)
    past = lengths.cdf(math.log(one.num_output)) if one.num_output else 0.0
    part = min(past + (1 - past) * rank, 0.999)
    length = math.exp(lengths.inv_cdf(part))
    length = length if one.max_output is None else min(length, one.max_output)
    return max(0.0, length - one.num_output) * means.step_seconds


def _left_by_mean(one: Runs, seen: float, rank: float, means: Means) -> float:
    mean = means.seconds_of(one.tenant)
    return max(mean - one.elapsed, _LEAST_LEFT * mean)


def _duration(waiting: Waits, seen: float, means: Means) -> float:
    return means.first_length(waiting.tenant, seen, waiting.max_output) * means.step_seconds


def _duration_by_mean(waiting: Waits, seen: float, means: Means) -> float:
    return means.seconds_of(waiting.tenant)
