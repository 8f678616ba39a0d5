"""Virtual Token Counter: how much service each tenant has had, so that the one with the least is next. Pure.

The algorithm is from Sheng et al., "Fairness in Serving Large Language Models" (OSDI 2024), with weights: a charge is
divided by the weight. The service of two tenants that both wait all the time differs by at most 2 max(w_in L, w_out M),
where L is the longest prompt and M the number of tokens that a batch can hold.

A tenant that comes back after a pause is lifted to the least counter of those that wait: a pause saves nothing up.
Counting needs no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Counters(Generic[K]):
    """Virtual counters, by name. `weight_of` is called for each charge, so that a new weight counts from then on."""

    def __init__(self, weight_of: Callable[[K], float]) -> None:
        self._weight_of = weight_of
        self._counters: dict[K, float] = {}
        self._last: K | None = None  # who left the queue last
        self._waiting: dict[K, None] = {}

    def __getitem__(self, name: K) -> float:
        """Return the weighted service so far."""
        return self._counters.get(name, 0.0)

    @property
    def waiting(self) -> Collection[K]:
        """Return those that wait."""
        return self._waiting.keys()

    @property
    def _level(self) -> float:
        """Return the counter of a newcomer."""
        if self._waiting:
            return min(map(self.__getitem__, self._waiting))
        return self[self._last] if self._last is not None else 0.0

    def join(self, name: K) -> None:
        """Begin to wait. Lifts its counter, unless it waits already."""
        if name not in self._waiting:
            self._counters[name] = max(self[name], self._level)
            self._waiting[name] = None

    def pass_by(self, name: K) -> None:
        """Begin to wait and stop at once, while nobody waits."""
        counters, last = self._counters, self._last
        own = counters.get(name, 0.0)
        counters[name] = own if last is None else max(own, counters.get(last, 0.0))
        self._last = name

    def leave(self, name: K) -> None:
        """Stop waiting."""
        if name in self._waiting:
            del self._waiting[name]
            self._last = name

    def add(self, name: K, weighted: float) -> None:
        """Add service, divided by the weight. A negative amount takes back what was charged by an estimate."""
        self._counters[name] = self._counters.get(name, 0.0) + weighted

    def charge_elsewhere(self, name: K, service: float, most: float) -> None:
        """Add service that was had elsewhere, but put nobody ahead of where somebody new begins by more than `most`."""
        weight = self._weight_of(name)
        self._counters[name] = max(self[name], min(self[name] + service / weight, self._level + most / weight))

    def share_of(self, name: K, service: float) -> float:
        """Return how much a charge would add."""
        return service / self._weight_of(name)
