"""Engines that mean harm, in ways that are not a wrong answer: work, memory, connections, the log."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from realtime.engine.backoff import Backoff
from realtime.engine.base import EngineDead, EngineError, EngineLost, FinishReason
from realtime.engine.remote import endpoint, member
from realtime.engine.remote.member import Member
from realtime.engine.remote.wire import Event, Events, Untrue
from tests.support.token_engine import (
    STREAM,
    TokenEngine,
    answer,
    chunk,
    drip,
    event,
    raw,
    token_engines,
    tokens_then,
)

from .fleet import Fleet, fleet

PROMPT = list(range(1, 130))


def test_an_event_in_small_pieces_costs_what_its_length_does() -> None:
    """If each piece had the ones before it copied, this would be 100 GB."""
    pieces, events = [b" " * 16] * (1 << 17), Events()
    assert list(events.feed(b"data: ")) == []
    assert [one for piece in pieces for one in events.feed(piece)] == []
    [found] = events.feed(event([1]).removeprefix(b"data:"))
    assert isinstance(found, Event)
    with pytest.raises(Untrue):
        [list(events.feed(piece)) for piece in [*pieces, *pieces, *pieces]]


async def test_an_answer_that_is_said_to_be_over_and_is_not_lets_its_connection_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoint, "_END_SECONDS", 0.05)

    async def stays(engine: TokenEngine, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        ids = answer(body["token_ids"], 20)
        writer.write(STREAM + chunk(event(ids, "length")) + chunk(b"data: [DONE]\n\n"))
        await asyncio.Event().wait()

    async with token_engines(1) as (engine,), fleet([engine]) as one:
        engine.play = [stays]
        assert (await one.run(PROMPT)).token_ids == answer(PROMPT, 20)
        await one.until(lambda: engine.running == 0)
        assert (await one.run(PROMPT)).token_ids == answer(PROMPT, 20), "it is no failure of the engine's"


async def test_all_tokens_and_no_end_is_silence() -> None:
    async with token_engines(1) as (engine,), fleet([engine], engine_silence_seconds=0.3) as one:
        engine.play = [tokens_then(20, hang=True)]
        sink = await one.run(PROMPT)
        assert isinstance(sink.error, EngineDead)
        assert sink.token_ids == answer(PROMPT, 20)
        assert one.engine.stats().num_running == 0


async def test_an_engine_that_is_well_by_its_own_word_and_mute_is_put_out() -> None:
    """vLLM's /health is that of its front end: its EngineCore may hang. (And the one that hangs is asked first.)"""
    async with token_engines(2) as engines, fleet(engines, engine_first_token_seconds=0.3) as both:
        await both.until(lambda: views(both) == {"serving"})
        engines[0].play = [hang]
        assert (await both.run(PROMPT)).token_ids == answer(PROMPT, 20)
        assert (both.counted("failures", "0", "silent"), both.counted("ejections", "0")) == (1, 1)
        assert engines[0].health == 200


async def test_an_engine_that_is_mute_to_one_and_not_to_others_stays() -> None:
    async with token_engines(1) as (engine,), fleet([engine], engine_first_token_seconds=2) as one:
        engine.play = [hang, drip(event([1]))]
        _, unheard = await one.submit(PROMPT)
        request_id, heard = await one.submit(PROMPT, max_tokens=100_000)
        await unheard.ended.wait()
        assert isinstance(unheard.error, EngineLost) or unheard.token_ids == answer(PROMPT, 20)
        assert one.counted("ejections", "0") == 0
        assert heard.error is None
        await one.engine.abort(request_id)


async def test_an_engine_that_is_well_by_its_own_word_and_takes_nothing_is_put_out() -> None:
    """Each of its failures is followed by a check, which it passes."""
    async with token_engines(1) as (engine,), fleet([engine]) as one:
        engine.play = [raw(b"nonsense\r\n\r\n")] * 3
        for _ in range(2):
            with pytest.raises(EngineLost):
                await one.run(PROMPT)
        assert isinstance((await one.run(PROMPT)).error, EngineDead)
        assert (one.counted("ejections", "0"), views(one)) == (1, {"out"})


async def test_an_engine_that_breaks_answers_in_the_middle_is_asked_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is alive, so it is not put out; the beginning of the prompt leads to it."""
    monkeypatch.setattr(member, "Backoff", lambda: Backoff(first_seconds=1000, max_seconds=1000))
    async with token_engines(2) as engines, fleet(engines) as both:
        await both.until(lambda: views(both) == {"serving"})
        await both.run(PROMPT)
        engines[0].play = [tokens_then(5, chunk(b"data: nonsense\n\n"))] * 2
        assert isinstance((await both.run(PROMPT)).error, EngineLost)
        for _ in range(2):
            assert (await both.run(PROMPT)).token_ids == answer(PROMPT, 20)
        assert [len(engine.generations) for engine in engines] == [2, 2]
        engines[1].health = 503
        await both.until(lambda: "out" in views(both))
        assert isinstance((await both.run(PROMPT)).error, EngineLost), "it is better than none"
        assert (await both.run(PROMPT)).token_ids == answer(PROMPT, 20)
        await both.until(lambda: "out" in views(both))


@pytest.mark.parametrize("data", [b": still there\n" * 4096, b"data: {}\n\n" * 4096], ids=["comments", "events"])
async def test_a_body_that_never_ends_and_says_nothing_is_bounded(data: bytes) -> None:
    """Long before its time is over."""
    async with token_engines(2) as engines, fleet(engines) as both:
        await both.until(lambda: views(both) == {"serving"})
        engines[0].play = [drip(data, 0)]
        assert (await both.run(PROMPT)).token_ids == answer(PROMPT, 20)
        assert both.counted("failures", "0", "untrue") == 1


async def test_aborts_that_are_not_answered_take_a_few_connections() -> None:
    async with token_engines(1) as (engine,), fleet([engine], engine_abort_seconds=1) as one:
        engine.answers_aborts = False
        engine.play = [tokens_then(1, hang=True)] * 30
        begun = [await one.submit([number] * 5) for number in range(30)]
        aborts = []
        for request_id, sink in begun:
            await sink.first.wait()
            aborts.append(asyncio.create_task(one.engine.abort(request_id)))
            await asyncio.sleep(0)  # each in a loop iteration of its own
        most = 0
        while not all(task.done() for task in aborts):
            most = max(most, engine.aborting)
            await asyncio.sleep(0.01)  # between two looks
        assert 1 <= most <= 4
        assert {sink.finish for _, sink in begun} == {FinishReason.ABORT}
        assert one.counted("aborts", "0", "closed") == 30


async def test_an_engine_that_goes_on_after_an_abort_is_cut_off() -> None:
    async with token_engines(1) as (engine,), fleet([engine], engine_abort_seconds=0.2) as one:
        engine.play = [drip(event([1]))]
        request_id, sink = await one.submit(PROMPT, max_tokens=100_000)
        await sink.first.wait()
        await one.engine.abort(request_id)
        assert (sink.finish, one.counted("aborts", "0", "closed")) == (FinishReason.ABORT, 1)
        await one.until(lambda: engine.running == 0)


async def test_what_an_engine_calls_itself_is_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with token_engines(1) as (engine,):
        engine.model, engine.version = "m\nengine serves engine=7 \x1b[31m", "1\r\n2"
        with caplog.at_level(logging.INFO, "realtime"):
            async with fleet([engine]):
                pass
    [said] = [one.getMessage() for one in caplog.records if "engine serves" in one.getMessage()]
    assert said.isprintable()


async def test_no_address_and_no_key_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Nor in what `/ready` has. (The host is 127.0.0.1 for all, so this looks for ports.)"""
    async with token_engines(2) as engines:
        with caplog.at_level(logging.DEBUG, "realtime"):
            async with fleet(engines) as both:
                await both.until(lambda: views(both) == {"serving"})
                for play in (tokens_then(3), tokens_then(0), tokens_then(3, chunk(b"data: nonsense\n\n"))):
                    engines[0].play = engines[1].play = [play]
                    await both.run(PROMPT)
                # A socket that is half accepted would leak.
                await both.until(lambda: not any(one.asked for one in members(both)))
                await engines[0].vanish()
                await both.until(lambda: "out" in views(both))
                shown = caplog.text + str(both.metrics.views)
    assert "engine put out" in shown
    assert not any(secret in shown for secret in ("sesame", "127.0.0.1", *(str(one.port) for one in engines)))


@pytest.mark.parametrize("length", [0, -5])
async def test_an_engine_without_a_context_is_unfit(length: int) -> None:
    async with token_engines(1) as engines:
        engines[0].max_model_len = length
        with pytest.raises(EngineError, match="how long its context is"):
            async with fleet(engines):
                pass


async def test_an_engine_that_holds_less_than_is_served_gets_nothing() -> None:
    """It would refuse, or cut short, what another one can hold."""
    async with token_engines(2) as engines:
        engines[1].generates, engines[1].max_model_len = False, 400
        async with fleet(engines) as both:
            engines[1].generates = True
            await both.until(lambda: views(both) == {"serving", "unfit"})
            await both.until(lambda: "400 tokens" in str(both.metrics.views[1].last_error))
            for number in range(4):
                await both.run([number] * 5)
            assert engines[1].generations == []


async def hang(engine: TokenEngine, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    writer.write(STREAM)
    await asyncio.Event().wait()


def members(fleet: Fleet) -> list[Member]:
    assert fleet.engine._members is not None
    return fleet.engine._members.all


def views(fleet: Fleet) -> set[str]:
    return {view.state for view in fleet.metrics.views}
