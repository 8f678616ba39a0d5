"""Runs that this process has lost: they stop here without an end, and another node continues them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence

from realtime.runs.run import Run


def to_finish(
    tasks: Collection[asyncio.Task[None]], running: Mapping[str, Run], *, to_others: bool
) -> list[asyncio.Task[None]]:
    """Return the tasks that have to end here. `to_others`: other nodes can continue some of them."""
    by_name = {task: running.get(task.get_name()) for task in tasks}
    return [task for task, run in by_name.items() if not to_others or run is None or not run.can_be_left]


async def lose(runs: Sequence[Run], tasks: Collection[asyncio.Task[None]], forget: Callable[[Run], None]) -> None:
    """Stop these runs, and wait until the engine has aborted them. tasks: the runs' tasks. forget: removes a run from
    this process.
    """
    ids = {run.response_id for run in runs}
    for run in runs:
        run.lose()
    await asyncio.sleep(0)  # a task that is cancelled before its first step never gets to its end
    stopping = [task for task in tasks if task.get_name() in ids]
    for task in stopping:
        task.cancel()
    if stopping:
        await asyncio.wait(stopping)
    for run in runs:
        if not run.over:
            forget(run)
