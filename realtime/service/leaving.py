"""Runs that are lost to this process: they stop here without an end, and another node goes on with them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence

from realtime.runs.run import Run


def to_finish(
    tasks: Collection[asyncio.Task[None]], running: Mapping[str, Run], *, to_others: bool
) -> list[asyncio.Task[None]]:
    """Return those of these tasks that have to come to their end here; `to_others`: others can go on with some."""
    by_name = {task: running.get(task.get_name()) for task in tasks}
    return [task for task, run in by_name.items() if not to_others or run is None or not run.can_be_left]


async def lose(runs: Sequence[Run], tasks: Collection[asyncio.Task[None]], forget: Callable[[Run], None]) -> None:
    """Stop these runs, and return when the engine has let go of them. tasks: that live their lives. forget: takes one
    out of what runs here.
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
