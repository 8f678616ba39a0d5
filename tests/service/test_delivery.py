"""What is shown when it is committed, and is not when it never will be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from realtime.service.commits import committed
from realtime.service.delivery import Delivery
from realtime.store.packed.batches import Batch, Done
from realtime.store.packed.commits import Commits
from realtime.wire.errors import ErrorCode, WireError
from tests.support.responses import Answer


async def test_what_was_given_up_is_not_taken_for_committed() -> None:
    """The next commit is of other things, and its number is greater."""
    batches: Any = SimpleNamespace(collecting=1, committed=0, on_commit=[])
    stores: Any = SimpleNamespace(responses=None, batches=batches)
    delivery, told = Delivery(stores, after_commit=True, patience_seconds=1.0), list[bool]()
    answer = Answer("resp_1")
    log = answer.log
    committed = delivery.log(log)
    assert committed is not None
    before = committed.tip
    audience = SimpleNamespace(notify=lambda: told.append(log.left))
    run: Any = SimpleNamespace(
        response_id="resp_1", whole_log=log, audience=audience, commit=committed.commit, committed=committed
    )
    delivery.enter(run)
    answer.say("a")
    committed.grown()
    reached = asyncio.get_running_loop().create_future()
    delivery._waiting.append((committed, log.tip, reached))
    delivery.lose()
    assert told == [True]
    with pytest.raises(WireError) as refused:
        await reached
    assert refused.value.code is ErrorCode.STORE_UNAVAILABLE
    batches.committed = 2
    for call in batches.on_commit:
        call()
    assert committed.tip == before


async def test_who_waits_for_a_commit_is_told_that_it_never_comes() -> None:
    commits = Commits(_Never(), 1.0)
    commits.put(lambda: None)
    waiting = asyncio.create_task(committed(commits))
    await asyncio.sleep(0)
    commits.abandon()
    with pytest.raises(WireError) as refused:
        await asyncio.wait_for(waiting, 10)  # guards against hanging only
    assert refused.value.code is ErrorCode.STORE_UNAVAILABLE


class _Never:
    """An executor that commits nothing."""

    def submit(self, batch: Batch, done: Callable[[Done], None]) -> None:
        """See Executor."""

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """See Executor."""
