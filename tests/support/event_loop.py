"""The event loop of production, and a fixture that lets nothing be left behind: for the tests of doors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest
import uvloop

from tests.support.patience import SECONDS

_HANGS_AFTER = 2.0 * SECONDS  # on a fast machine nothing here takes a hundredth of it


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """uvloop, as `realtime.server.process` has it."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
async def nothing_left(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """A task that outlives its test, an exception that nobody saw and a traceback in the log fail the test.

    A test that provokes an error on purpose takes its records out: `caplog.clear()`.
    """
    loop = asyncio.get_running_loop()
    unseen: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: unseen.append(context))
    before = asyncio.all_tasks()
    guard = loop.call_later(_HANGS_AFTER, lambda: [task.cancel("hangs") for task in asyncio.all_tasks() - before])
    yield
    guard.cancel()
    for _ in range(3):  # what is ending may end
        await asyncio.sleep(0)
    left = {task for task in asyncio.all_tasks() - before if task is not asyncio.current_task()}
    names = sorted(f"{task.get_name()}: {task.get_coro()}" for task in left)
    for task in left:
        task.cancel()
    assert not names, "tasks outlived the test"
    assert not unseen, f"exceptions that nobody saw: {unseen}"
    wrong = [record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    assert not wrong, "errors in the log"
