"""Engines that mean harm, in ways that are not a wrong answer: work, memory, connections, the log."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from realtime.engine.base import EngineError, EngineLost
from realtime.engine.remote import endpoint
from realtime.engine.remote.member import Member
from realtime.engine.remote.wire import Event, Events, Untrue
from tests.support.token_engine import STREAM, TokenEngine, answer, chunk, event, token_engines, tokens_then

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
        assert isinstance(sink.error, EngineLost)
        assert sink.token_ids == answer(PROMPT, 20)
        assert one.engine.stats().num_running == 0


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


def members(fleet: Fleet) -> list[Member]:
    assert fleet.engine._members is not None
    return fleet.engine._members.all


def views(fleet: Fleet) -> set[str]:
    return {view.state for view in fleet.metrics.views}
