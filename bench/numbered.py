"""The cost of a number on each commit of a node, by which a store that has lost acknowledged commits is found out: the
same commits with and without, on a lease of its own, in turns.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Any

import psutil

from realtime.store.cluster import keys
from realtime.store.cluster.backend import Changes, Lease
from realtime.store.cluster.stores import make_backend

from .measure import cpu_seconds, median, percentile, ratio, table

HOWS = ("without", "numbered")
BATCH_BYTES = 2_000  # of the journal, which is what a flush of some dozens of streams writes
REPEATS = 5


async def measure(url: str, pid: int, number: int) -> dict[str, Any]:
    """Return microseconds of CPU for a commit, of the store's processes and of ours, and its time: medians of turns.
    pid: of the store's first process. number: commits of each kind, in all.
    """
    backend = make_backend(url)
    await backend.open()
    lease = await backend.acquire("numbered", 3600.0, b"")
    assert lease is not None
    commits = _Commits(backend.commit, lease)
    await commits.run("numbered", max(1, number // REPEATS), pid)  # to warm up
    turns = [{how: await commits.run(how, max(1, number // REPEATS), pid) for how in HOWS} for _ in range(REPEATS)]
    await backend.release(lease)
    await backend.close()
    found: dict[str, Any] = median(turns)
    without, numbered = (found[how] for how in HOWS)
    return found | {f"{name}, numbered to without": ratio(numbered[name], without[name]) for name in without}


def show(commits: Mapping[str, Any]) -> None:
    """Print the figures of each store."""
    rows = [
        (f"{store}: {name}", found["without"][name], found["numbered"][name], found[f"{name}, numbered to without"])
        for store, found in commits.items()
        for name in found["without"]
    ]
    table("A commit with and without a number, microseconds of CPU, and its time", ("", *HOWS, "ratio"), rows)


class _Commits:
    """Commits of batches of a journal under one lease."""

    def __init__(self, commit: Callable[[Changes], Any], lease: Lease) -> None:
        self._commit = commit
        self._lease = lease
        self._number = 0
        self._written = 0

    async def run(self, how: str, count: int, pid: int) -> dict[str, float]:
        """Make so many, one after the other."""
        took, store, ours = [], _of_all(pid), time.thread_time()
        for _ in range(count):
            changes = self._changes(how == "numbered")
            began = time.perf_counter()
            await self._commit(changes)
            took.append(time.perf_counter() - began)
        ours = time.thread_time() - ours
        store = _of_all(pid) - store
        return {"store us": store / count * 1e6, "ours us": ours / count * 1e6, "p50 us": percentile(took, 0.5) * 1e6}

    def _changes(self, numbered: bool) -> Changes:
        self._written += 1
        self._number += numbered
        key = keys.key("journal", self._lease.node, keys.number(self._written % 100))
        number = self._number if numbered else 0
        return Changes(fence=self._lease, number=number, sets={key: random.randbytes(BATCH_BYTES)})


def _of_all(pid: int) -> float:
    """Return the CPU time of a process and its children: PostgreSQL has one for each connection."""
    return sum(cpu_seconds(one.pid) for one in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)))
