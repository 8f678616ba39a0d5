"""Counters and histograms come out as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from realtime.observability.exposition import texts
from realtime.observability.instruments import Distribution, Tally, gauge
from tests.observability.scrapes import parse, value


class All:
    def __init__(self, instruments: Sequence[Any]) -> None:
        self._instruments = instruments

    def collect(self) -> Sequence[Any]:
        return self._instruments


def text(*instruments: Any) -> str:
    return b"".join(texts([All(instruments)])).decode()


def test_a_counter_reads_as_prometheus_clients_own() -> None:
    ours, registry = Tally("things", "Things.", ("kind",)), CollectorRegistry()
    theirs = Counter("things", "Things.", ["kind"], registry=registry)
    for kind in ("a", 'b"\\\n', "a"):
        ours.add(2, kind)
        theirs.labels(kind).inc(2)
    expected = {
        key: number for key, number in parse(generate_latest(registry).decode()).items() if "created" not in key[0]
    }
    assert parse(text(ours)) == expected


def test_a_histogram_reads_as_prometheus_clients_own() -> None:
    bounds = (0.1, 1, 10)
    ours, registry = Distribution("time", "Time.", bounds, ("of",)), CollectorRegistry()
    theirs = Histogram("time", "Time.", ["of"], buckets=bounds, registry=registry)
    for number in (0.05, 0.1, 0.5, 10, 11):
        ours.observe(number, "x")
        theirs.labels("x").observe(number)
    expected = {
        key: number for key, number in parse(generate_latest(registry).decode()).items() if "created" not in key[0]
    }
    assert parse(text(ours)) == expected


def test_many_equal_values_are_one_observation() -> None:
    one, many = Distribution("time", "Time.", (1, 2)), Distribution("time", "Time.", (1, 2))
    for _ in range(5):
        one.observe(1.5)
    many.observe(1.5, times=5)
    assert text(one) == text(many)


def test_series_without_labels_are_there_from_the_start() -> None:
    out = text(Tally("a", "A."), Distribution("b", "B.", (1,)), Tally("c", "C.", ("x",), [("y",)]))
    assert value(out, "a_total") == value(out, "b_count") == value(out, "c_total", x="y") == 0
    assert ("a_total", frozenset()) in parse(out)


def test_other_bounds_forget_and_the_same_do_not() -> None:
    sizes = Distribution("size", "Size.", (1, 2), ("of",), [("x",)])
    sizes.observe(1, "x")
    sizes.rebound((1, 2))
    assert value(text(sizes), "size_count", of="x") == 1
    sizes.rebound((1, 5))
    assert value(text(sizes), "size_count", of="x") == 0
    assert value(text(sizes), "size_bucket", le="5.0") == 0


def test_a_gauge() -> None:
    out = text(gauge("now", "Now.", 3), gauge("by", "By.", {("a",): 1, ("b",): 2}, ("x",)))
    assert (value(out, "now"), value(out, "by", x="b")) == (3, 2)
