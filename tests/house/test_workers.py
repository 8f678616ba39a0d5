"""How the tests are given to workers: each runs once, and those of a group in one."""

from __future__ import annotations

from collections import Counter, deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from xdist.remote import Producer

from tests.support.workers import GROUPS, SharedEngines

ROOT = Path(__file__).parents[2]
ALONE = [f"tests/wire/test_one.py::test[{number}]" for number in range(40)]
TOGETHER = {group: [f"{place}::test[{number}]" for number in range(9)] for place, group in GROUPS.items()}


class Worker:
    """As much of a worker as the scheduler asks for; it runs what it was sent when it is told to."""

    def __init__(self, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.todo: deque[int] = deque()
        self.ran: list[int] = []
        self.shutting_down = False

    def send_runtest_some(self, indices: list[int]) -> None:
        self.todo.extend(indices)

    def shutdown(self) -> None:
        self.shutting_down = True

    def step(self) -> int:
        self.ran.append(self.todo.popleft())
        return self.ran[-1]


@pytest.mark.parametrize("num_workers", [1, 2, 3])
def test_each_test_runs_once_and_a_group_in_one_worker(num_workers: int) -> None:
    names = [*ALONE, *(name for group in TOGETHER.values() for name in group)]
    option = SimpleNamespace(loadscopereorder=True)
    config: Any = SimpleNamespace(option=option, getvalue=lambda name: ["popen"] * num_workers)
    scheduler, workers = SharedEngines(config, Producer("")), [Worker(f"gw{at}") for at in range(num_workers)]
    for worker in workers:
        node: Any = worker
        scheduler.add_node(node)
        scheduler.add_node_collection(node, names)
    scheduler.schedule()
    while busy := [worker for worker in workers if worker.todo]:
        assert scheduler.has_pending
        for worker in busy:
            node = worker
            scheduler.mark_test_complete(node, worker.step())
    assert scheduler.tests_finished
    assert not scheduler.has_pending
    assert all(worker.shutting_down for worker in workers)
    assert Counter(names[at] for worker in workers for at in worker.ran) == Counter(names)
    for group in TOGETHER.values():
        assert sum(any(names[at] in group for at in worker.ran) for worker in workers) == 1


def test_what_is_grouped_is_there() -> None:
    assert [place for place in GROUPS if not (ROOT / place.partition("::")[0]).exists()] == []
