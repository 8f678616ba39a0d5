"""The thread of a cluster's store: what becomes of its errors."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from realtime.store.cluster.backend import Away
from realtime.store.cluster.hosts import ThreadHost
from realtime.wire.errors import ErrorCode, WireError


@pytest.fixture
def host() -> Iterator[ThreadHost]:
    host = ThreadHost()
    yield host
    host.finish(nothing(), 10)


async def nothing() -> None:
    pass


async def away() -> None:
    raise Away("it does not answer")


async def test_an_error_is_raised_where_it_was_asked_for(host: ThreadHost) -> None:
    with pytest.raises(WireError) as refused:
        await host.ask(away())
    assert refused.value.code is ErrorCode.STORE_UNAVAILABLE
    with pytest.raises(ZeroDivisionError):
        await host.ask(bug())


async def bug() -> None:
    raise ZeroDivisionError


async def test_an_error_for_somebody_who_is_gone_is_no_news(host: ThreadHost) -> None:
    """A call that is cut off fails in the thread, when nobody waits for it any more."""
    told: list[dict[str, Any]] = []
    host._loop.set_exception_handler(lambda loop, context: told.append(context))
    begun = threading.Event()

    async def cut_off() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise Away("the connection is closed") from None

    asked = asyncio.create_task(host.ask(cut_off()))
    await asyncio.to_thread(begun.wait)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    for _ in range(3):  # behind the cancellation
        await host.ask(nothing())
    gc.collect()
    await host.ask(nothing())
    assert told == []
