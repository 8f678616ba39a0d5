"""Random schedules against several engines that lie, hang, flap and die at once: whatever they do, each answer has its
right tokens or a typed end, each failure is counted and logged once, and nothing is left. A seed that fails is shown.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any

import pytest

from realtime.engine.base import EngineDead, EngineOverloaded, EngineRefused, FinishReason
from realtime.engine.parsing import Constraint
from tests.support.long import effort
from tests.support.token_engine import (
    STREAM,
    Play,
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

TYPED = (EngineRefused, EngineOverloaded, EngineDead)
DONE, ENDED = chunk(b"data: [DONE]\n\n"), b"0\r\n\r\n"
FAILED = chunk(b'data: {"error": {"message": "x", "code": 500}}\n\n')
QUICK: dict[str, Any] = {
    "engine_first_token_seconds": 0.5, "engine_silence_seconds": 0.3, "engine_abort_seconds": 0.2,
    "engine_check_seconds": 0.05,
}  # fmt: skip


async def hang(engine: TokenEngine, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    """Accept, and never answer."""
    await asyncio.Event().wait()


def plays(after: int) -> list[Play | None]:
    """What an engine may do with a generation, after some right tokens where it has any."""

    def lie(*data: bytes) -> Play:
        return tokens_then(after, *map(chunk, data))

    return [
        None,
        hang,
        tokens_then(after),
        tokens_then(after, hang=True),
        tokens_then(after, b"zz\r\n"),
        tokens_then(after, DONE, hang=True),
        tokens_then(after, DONE, ENDED),
        tokens_then(after, FAILED, DONE, ENDED),
        tokens_then(after, chunk(event([], "abort")), DONE, ENDED),
        tokens_then(20, hang=True),
        tokens_then(25, hang=True),
        lie(b"data: {]\n\n"),
        lie(b"data: " + b"[" * 10_000),
        lie(event([10**6])),
        lie(event([-1])),
        lie(event([1], index=1)),
        lie(b'data: {"choices": [{"token_ids": [1]}, {"token_ids": [1]}]}\n\n'),
        lie(b'data: {"choices": [{"token_ids": "abc"}]}\n\n'),
        lie(b'data: {"choices": [], "usage": {"completion_tokens": 10000}}\n\n'),
        drip(b": still there\n" * 4096, 0),
        drip(b"data: {}\n\n"),
        drip(b"data"),
        drip(STREAM),
        raw(b""),
        raw(b"nonsense\r\n\r\n"),
        raw(b"HTTP/1.1 100 Continue\r\n\r\n"),
        raw(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000),
        raw(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\ndata: {"),
        *(raw(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\n\r\n" % status) for status in (400, 401, 429, 500, 503)),
        raw(b"HTTP/1.1 500 X\r\n\r\n" + b"x" * 100_000),
    ]


async def ask(one: Fleet, number: int, rng: random.Random) -> None:
    """One answer, as a run asks for it: again if its engine is lost, with the tokens that it has."""
    prompt, had = [number % 3] * rng.choice([5, 130]), list[int]()
    constraint = Constraint("regex", "a") if rng.random() < 0.2 else None
    while len(had) < 20:
        members: dict[str, Any] = {"generated": tuple(had), "request_id": f"r{number}", "constraint": constraint}
        try:
            request_id, sink = await one.submit(prompt, **members)
        except TYPED:
            return
        aborted = rng.random() < 0.2
        if aborted:
            await asyncio.sleep(rng.random() / 10)  # at some moment
            await one.engine.abort(request_id)
            assert sink.ended.is_set()
        await asyncio.wait_for(sink.ended.wait(), 120)
        had += sink.token_ids
        assert had == answer(prompt, 20)[: len(had)]
        if sink.finish is not None:
            assert sink.finish is FinishReason.LENGTH or aborted
            return
        assert isinstance(sink.error, TYPED)
        if isinstance(sink.error, EngineRefused):
            return


async def trouble(engines: list[TokenEngine], rng: random.Random) -> None:
    """Engines that flap, vanish and come back."""
    while True:
        await asyncio.sleep(rng.random() / 5)  # at some moment
        engine = rng.choice(engines)
        match rng.randrange(6):
            case 0:
                await engine.vanish()
            case 1:
                await engine.vanish()
                await engine.start()
            case 2:
                engine.answers_aborts = not engine.answers_aborts
            case 3:
                engine.honours_aborts = not engine.honours_aborts
            case _:
                engine.health = 503 if engine.health == 200 else 200


@pytest.mark.parametrize("seed", range(effort(8, 300)))
async def test_whatever_engines_do(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    rng = random.Random(seed)
    async with token_engines(rng.randint(1, 4)) as engines:
        with caplog.at_level(logging.WARNING, "realtime.engine.remote"):
            async with fleet(engines, **QUICK) as one:
                for engine in engines:
                    engine.play = [rng.choice(plays(rng.choice([0, 1, 7]))) for _ in range(40)]
                harm = asyncio.create_task(trouble(engines, rng)) if seed % 2 else None
                await asyncio.gather(*(ask(one, number, rng) for number in range(15)))
                if harm is not None:
                    harm.cancel()
                    await asyncio.wait([harm])
                failures = one.metrics.failures._counts
        counted = sum(number for (_, kind), number in failures.items() if kind not in ("check", "overloaded"))
        said = [record.getMessage() for record in caplog.records]
        assert sum(line.startswith(("engine failed", "engine did not take")) for line in said) == counted
        assert not [
            line for line in said if "not asked" in line or "could not be read" in line or "sink failed" in line
        ]
        for engine in engines:
            await engine.vanish()
            await engine.start()
            engine.play, engine.health, engine.answers_aborts, engine.honours_aborts = [], 200, True, True
        async with fleet(engines) as one:
            assert (await one.run([1, 2, 3])).token_ids == answer([1, 2, 3], 20)
