"""The exposition: all metrics in Prometheus's text format, written family by family without blocking the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from prometheus_client import CollectorRegistry, GCCollector, Metric, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from .instruments import Distribution, Tally

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


Instrument = Tally | Distribution


class Collects(Protocol):
    """A source of metrics."""

    def collect(self) -> Iterable[Instrument | Metric]:
        """Yield the families of metrics, as they are now."""


def process_metrics() -> list[Collects]:
    """Return prometheus-client's metrics of the process and the interpreter, as vLLM's `/metrics` has them."""
    return [
        ProcessCollector(registry=None),
        PlatformCollector(registry=None),
        GCCollector(registry=CollectorRegistry()),
    ]


class Exposition:
    """All metrics of a scrape. A request that comes while a text is being written gets the same text."""

    def __init__(self, collectors: Sequence[Collects], slow: Sequence[Collects] = ()) -> None:
        """slow: sources that read files. They are read in a thread; with many open sockets that takes milliseconds."""
        self._collectors = collectors
        self._slow = slow
        self._writing: asyncio.Task[bytes] | None = None

    async def text(self) -> bytes:
        """Return the metrics as they are now."""
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="metrics")
        return await asyncio.shield(self._writing)

    async def _write(self) -> bytes:
        try:
            parts = await asyncio.to_thread(lambda: list(texts(self._slow)))
            for part in texts(self._collectors):
                parts.append(part)
                await asyncio.sleep(0)  # a family takes a fraction of a millisecond, all of them several
            return b"".join(parts)
        finally:
            self._writing = None


def texts(collectors: Iterable[Collects]) -> Iterator[bytes]:
    """Yield the text of one family after the other."""
    for collector in collectors:
        for family in collector.collect():
            yield generate_latest(_One(family)) if isinstance(family, Metric) else "".join(family.lines()).encode()


class _One(Collector):
    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterable[Metric]:
        return [self._family]
