"""The straight way of text: it is taken, and nothing tells that it was."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from realtime.engine.base import TokenChunk
from realtime.engine.scripted import RandomScript, Script, Token, say
from realtime.runs.endings import Cancelled
from realtime.runs.run import Run
from realtime.runs.straight_way import StraightWay
from realtime.store.memory.responses import MemoryResponses
from tests.support.event_loop import nothing_left
from tests.support.jobs import make_job, make_request, make_serving, turns_until
from tests.support.responses import make_log

__all__ = ["nothing_left"]
SCRIPTS: dict[str, Script] = {
    "text": say("one ", "two ", " three", "", " \u2028 é", " %d", " seven"),
    "several tokens": lambda request: ["a", Token(7, "b"), "c", "d"],
    "layout first": say("\n", " ", "x", " ", "\n"),
    **{f"random {seed}": RandomScript(seed=seed) for seed in range(3)},
}
_CLOCK = re.compile(rb'"(completed_at|abort_ms)":[\d.]+')
Move = Callable[[Run], None]
STOPS: dict[str, Move] = {
    "nothing": lambda run: None,
    "cancel": lambda run: run.cancel(Cancelled("cancelled", run.log.tip - 1)),
    "interrupt": lambda run: run.stop("interrupt"),
    "steer": lambda run: run.stop("steer"),
}


def timeless(entries: Iterable[bytes]) -> list[bytes]:
    """Without what a clock has said."""
    return [_CLOCK.sub(b"", entry) for entry in entries]


class Journal(MemoryResponses):
    """A store that keeps what it is given."""

    has_journals = True

    def __init__(self) -> None:
        super().__init__(max_bytes=1 << 30)
        self.given: list[Any] = []

    def append(self, response_id: str, first: int, events: Any, chunk: Any = None) -> None:
        self.given.append((response_id, first, timeless(events), chunk))


async def lived(script: Script, move: Move, after: int, **members: Any) -> tuple[list[bytes], list[Any], int]:
    """A life with a stop after some ticks: log and journal but for what the clock says, how often a reader is woken."""
    serving, engine = await make_serving(script)
    journal, woken = Journal(), list[int]()
    job = make_job(make_request(**members))
    run = Run(job, serving, make_log(job.response_id), journal, lambda run: None)
    run.audience.follow(lambda: woken.append(run.log.tip))
    task = run.start(admitted=True)
    await turns_until(lambda: engine._held)
    for tick in range(60):
        if tick == after:
            move(run)
        engine.step()
    await task
    return timeless(run.log.read(0, 1 << 20)), journal.given, len(woken)


def watch(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each chunk that was offered was taken."""
    taken: list[bool] = []
    take = StraightWay.take

    def watched(way: StraightWay, chunk: TokenChunk) -> bool:
        taken.append(take(way, chunk))
        return taken[-1]

    monkeypatch.setattr(StraightWay, "take", watched)
    return taken


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("stop", STOPS)
async def test_nothing_tells_which_way_a_chunk_has_gone(name: str, stop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = watch(monkeypatch)
    straight = await lived(SCRIPTS[name], STOPS[stop], 4)
    monkeypatch.setattr(Run, "_straight_way", lambda self, parser: None)
    assert straight == await lived(SCRIPTS[name], STOPS[stop], 4)
    if name == "text":
        assert any(taken)


@pytest.mark.parametrize("members", [{"stop": "wo"}, {"include": ["message.output_text.logprobs"]}])
async def test_text_in_which_more_is_looked_for_goes_the_long_way(
    members: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = watch(monkeypatch)
    await lived(SCRIPTS["text"], STOPS["nothing"], 0, **members)
    assert not any(taken)


async def test_a_journal_that_fails_fails_the_response_and_is_given_no_more(caplog: pytest.LogCaptureFixture) -> None:
    serving, engine = await make_serving(say(*"abcdefgh"), tick_seconds=None)
    journal, given = Journal(), []

    def append(response_id: str, first: int, events: Any, chunk: Any = None) -> None:
        given.append(first)
        if len(given) == 6:
            raise OSError("the disk is full")

    journal.append = append  # type: ignore[method-assign]
    run = Run(make_job(), serving, make_log(), journal, lambda run: None)
    task = run.start(admitted=True)
    await turns_until(lambda: engine._held)
    for _ in range(9):
        engine.step()
    await task
    assert run.response.status == "failed"
    assert len(given) == 6
    assert [record.getMessage().split()[0] for record in caplog.records] == ["assembling"]
    caplog.clear()
