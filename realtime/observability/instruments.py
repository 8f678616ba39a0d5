"""Counters and histograms, read out as families of prometheus-client.

They belong to the event loop, on which they are fed and read, so they need no lock and cost a fraction of that
package's own; and a histogram takes many equal values as one observation, as an engine step has them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.utils import floatToGoString

Labels = tuple[str, ...]


class Tally:
    """A counter, with one series for each combination of label values. `name` is without `_total`."""

    def __init__(self, name: str, text: str, labels: Sequence[str] = (), begin: Sequence[Labels] = ()) -> None:
        """begin: label values whose series are there before anything was counted, so that rates have a first point."""
        self.name = name
        self._text = text
        self._labels = labels
        self._counts: Counter[Labels] = Counter(dict.fromkeys(begin if labels else [()], 0))

    def add(self, number: float = 1, *labels: str) -> None:
        """Count."""
        self._counts[labels] += number  # type: ignore[assignment]

    def __getitem__(self, labels: Labels) -> float:
        return self._counts[labels]

    def collect(self) -> Iterator[Metric]:
        """Read out."""
        family = CounterMetricFamily(self.name, self._text, labels=self._labels)
        for labels, number in self._counts.items():
            family.add_metric(labels, number)
        yield family


class Distribution:
    """A histogram, with one series for each combination of label values. `bounds` are upper ones, ascending."""

    def __init__(
        self, name: str, text: str, bounds: Sequence[float], labels: Sequence[str] = (), begin: Sequence[Labels] = ()
    ) -> None:
        """begin: as of a Tally."""
        self.name = name
        self._text = text
        self._labels = labels
        self._bounds = tuple(bounds)
        self._series = {key: _Series(len(self._bounds) + 1) for key in (begin if labels else [()])}

    def observe(self, value: float, *labels: str, times: int = 1) -> None:
        """Count a value, which came so many times."""
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = _Series(len(self._bounds) + 1)
        series.counts[bisect_left(self._bounds, value)] += times
        series.total += value * times

    def rebound(self, bounds: Sequence[float]) -> None:
        """Count between other bounds. If they differ, what was counted is forgotten."""
        if tuple(bounds) != self._bounds:
            self._bounds = tuple(bounds)
            self._series = {labels: _Series(len(self._bounds) + 1) for labels in self._series}

    def collect(self) -> Iterator[Metric]:
        """Read out."""
        family = HistogramMetricFamily(self.name, self._text, labels=self._labels)
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        for labels, series in self._series.items():
            family.add_metric(labels, list(zip(names, accumulate(series.counts), strict=True)), series.total)
        yield family


class _Series:
    __slots__ = ("counts", "total")

    def __init__(self, num_buckets: int) -> None:
        self.counts = [0] * num_buckets
        self.total = 0.0


def gauge(name: str, text: str, values: dict[Labels, float] | float, labels: Sequence[str] = ()) -> Metric:
    """A momentary value, or one for each combination of label values."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for key, value in values.items() if isinstance(values, dict) else [((), values)]:
        family.add_metric(key, value)
    return family
