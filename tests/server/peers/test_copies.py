"""A copy whose response has lost its node: it is looked for as long as that may help."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from realtime.server.peers import copies
from realtime.server.peers.copies import Copy
from realtime.server.peers.link import Over
from realtime.service.principal import Principal
from realtime.service.remote import Remote
from realtime.store.copied_log import CopiedLog, State
from realtime.wire.errors import ErrorCode, WireError
from tests.support.patience import SECONDS
from tests.support.responses import PLENTY, make_response


@pytest.mark.parametrize("code", [ErrorCode.SERVER_RESTARTED, ErrorCode.RESPONSE_NOT_FOUND])
async def test_what_went_with_its_node_is_not_looked_for_any_longer(
    code: ErrorCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request may be sent again; the response won't come again."""
    answers = [WireError(ErrorCode.NODE_UNAVAILABLE, "not yet"), WireError(code, "gone")]

    async def reopen(self: Copy) -> None:
        raise answers.pop(0)

    why: Over = "lost"
    copy, log = copied()
    monkeypatch.setattr(Copy, "_reopen", reopen)
    ended = asyncio.create_task(copy._ended.wait())
    async with asyncio.timeout(SECONDS):  # guards against hanging only
        assert await copy._again(why, ended) is None
    ended.cancel()
    assert log.failure is not None
    assert (log.failure.code, log.failure.response_id) == (code, "resp_1")
    assert not answers


async def test_the_next_node_knows_of_who_came_while_it_was_asked() -> None:
    """Else it takes the response for one that nobody follows, and ends it."""
    told: list[str] = []
    upstream = SimpleNamespace(begin=lambda: None, attend=lambda how, detached: told.append(how))

    async def open_at(*arguments: Any) -> Any:
        told.append(arguments[-1])
        copy._attend("follows", False)
        return upstream, State("e", 0), make_response("resp_1")

    async def running_at(response_id: str) -> Any:
        return SimpleNamespace(open=open_at)

    copies: Any = SimpleNamespace(directory=SimpleNamespace(running_at=running_at))
    copy = Copy(copies, Principal("t"), "resp_1", created=False)
    log = CopiedLog("resp_1", State("e", 0), max_bytes=PLENTY, max_entries=PLENTY)
    copy.remote = Remote("t", log, make_response("resp_1"), copy._attend)
    await copy._reopen()
    assert told == ["watches", "follows"]


async def test_a_node_whose_follows_end_at_once_is_not_asked_in_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as one of a later version, whose answer is not known here: there is a pause, and an end of it."""
    copy, log = copied()
    now, pauses, opened = [0.0], [], 0

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return now[0]

    async def pause(ended: asyncio.Task[bool]) -> None:
        pauses.append(now[0])
        now[0] += 0.1

    async def reopen(self: Copy) -> Any:
        nonlocal opened
        opened += 1
        if opened == 3:
            log.take(0, [b'{"type":"response.created","response":{}}'])
        over = asyncio.get_running_loop().create_future()
        over.set_result("lost")
        return SimpleNamespace(over=over, close=lambda: None)

    monkeypatch.setattr(copies, "time", Clock)
    monkeypatch.setattr(copies, "_pause", pause)
    monkeypatch.setattr(Copy, "_reopen", reopen)
    copy._upstream = await reopen(copy)
    async with asyncio.timeout(SECONDS):  # guards against hanging only
        await copy._follow_on()
    assert log.failure is not None
    assert log.failure.code is ErrorCode.NODE_UNAVAILABLE
    assert len(pauses) == opened - 3, "not before the first time, and not behind an event"
    assert copies.LOST_SECONDS <= now[0] < copies.LOST_SECONDS + 1, "from the newest event on"


def copied() -> tuple[Copy, CopiedLog]:
    """A copy that follows nothing yet, and its log."""
    room: Any = SimpleNamespace(counts=SimpleNamespace(add=lambda *told: None))
    copy = Copy(room, Principal("t"), "resp_1", created=False)
    log = CopiedLog("resp_1", State("e", 0), max_bytes=PLENTY, max_entries=PLENTY)
    copy.remote = Remote("t", log, make_response("resp_1"), lambda how, detached: None)
    return copy, log
