"""Read what `/metrics` says."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parse(text: str) -> Values:
    """Every series with its value; the parser refuses what Prometheus would."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def names(text: str) -> set[str]:
    """The names of all series."""
    return {name for name, _ in parse(text)}


def value(text: str, name: str, **labels: str) -> float:
    """The sum of the series of this name that have these labels."""
    wanted = labels.items()
    return sum(number for (one, has), number in parse(text).items() if one == name and wanted <= has)
