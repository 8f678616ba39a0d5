"""One generation on the engine: its chunks, its ends, and that the engine never holds anything afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from realtime.context.request_tools import tool_set
from realtime.dialects.base import Piece, TextDelta
from realtime.engine.base import (
    EngineDead,
    EngineError,
    EngineOverloaded,
    EngineRefused,
    EngineRequest,
    FinishReason,
    Sampling,
    TokenChunk,
)
from realtime.engine.parsing import Constraint
from realtime.engine.scripted import Die, Fail, Finish, Script, ScriptedEngine, say
from realtime.runs.endings import GIVEN_UP, UNREADABLE, Cancelled, Ended, Failed, Steered
from realtime.runs.generation import Generation, engine_request
from realtime.runs.stop_signal import StopSignal
from realtime.runs.usage import Count, Tokens
from tests.support.event_loop import nothing_left
from tests.support.jobs import make_request, make_serving

__all__ = ["nothing_left"]
CANCELLED = Cancelled("cancelled")


class Parser:
    """Every chunk is a piece of text; `close` says what was held back."""

    num_reasoning_tokens = 2
    trouble: Exception | None = None
    fails = False

    def feed(self, chunk: Any) -> Sequence[Piece]:
        if self.fails:
            raise ValueError("a bug of ours")
        return [TextDelta(chunk.text)]

    def close(self) -> Sequence[Piece]:
        return [TextDelta("!")]


class Stage:
    """A generation that the test moves on. `kept` is what came of it."""

    generation: Generation[Piece]
    engine: ScriptedEngine

    def __init__(self) -> None:
        self.stopping = StopSignal()
        self.count = Count(3)
        self.parser = Parser()
        self.kept: list[Piece] = []
        self.kept_ids: list[int] = []
        self.safe_points: list[int] = []  # how many tokens there were at each

    @classmethod
    async def of(
        cls, script: Script, *, parsed: bool = True, constraint: Constraint | None = None, **options: Any
    ) -> Stage:
        stage = cls()
        serving, stage.engine = await make_serving(script, **options)
        request = EngineRequest(
            request_id="g", prompt_token_ids=(1, 2, 3), sampling=Sampling(max_tokens=9), constraint=constraint
        )
        parser: Any = stage.parser if parsed else None
        stage.generation = Generation(
            serving, request, parser, stage.count, stage.stopping, read=lambda pieces: pieces, keep=stage.keep,
            at_safe_point=lambda: stage.safe_points.append(len(stage.count.token_ids)),
        )  # fmt: skip
        return stage

    def keep(self, new: Iterable[Piece], chunk: TokenChunk | None) -> None:
        self.kept_ids += chunk.token_ids if chunk is not None else ()
        self.kept += new

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.kept if isinstance(piece, TextDelta))

    @property
    def holds(self) -> bool:
        return "g" in self.engine._held

    async def run(self, *moves: Callable[[], object]) -> FinishReason:
        """Submit, wait, and make these moves, one after another."""
        await self.generation.submit()
        result = asyncio.create_task(self.generation.result())
        for move in moves:
            await asyncio.sleep(0)
            move()
        return await result


async def test_a_stop_ends_the_wait_for_a_constraint_to_be_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a cancel would be answered when the tenants before it have had their turn."""
    stage = await Stage.of(say("one"), constraint=Constraint("regex", "a"))
    given_up: list[bool] = []

    async def compile_first(request: EngineRequest, sink: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            given_up.append(True)

    monkeypatch.setattr(stage.engine, "submit", compile_first)

    async def run() -> None:
        async with stage.stopping.interrupts():  # as a run does
            await stage.run()

    running = asyncio.create_task(run())
    await asyncio.sleep(0)
    stage.stopping.ask(CANCELLED)
    with pytest.raises(Ended) as ended:
        await running
    assert (ended.value.outcome, given_up, stage.holds) == (CANCELLED, [True], False)


async def test_a_constraint_that_is_refused_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = await Stage.of(say("one"), constraint=Constraint("regex", "a"))

    async def refuse(request: EngineRequest, sink: Any) -> None:
        raise EngineRefused("no text matches it", "text.format.schema")

    monkeypatch.setattr(stage.engine, "submit", refuse)
    with pytest.raises(EngineRefused, match="no text"):
        await stage.run()


async def test_an_answer_with_what_the_parser_held_back_and_its_tokens() -> None:
    stage = await Stage.of(say("one ", "two"))
    assert await stage.run(lambda: stage.engine.step(3)) is FinishReason.STOP
    assert stage.text == "one two!", "the end of sequence has no text"
    assert stage.kept_ids == list(stage.count.token_ids), "each token is kept beside what it said"
    assert stage.generation.tokens == Tokens(num_input=3, num_output=3, num_reasoning=2)
    assert stage.generation.abort_ms == 0


async def test_what_is_not_wanted_is_not_parsed_and_counted_all_the_same() -> None:
    stage = await Stage.of(say("one"), parsed=False)
    assert await stage.run(lambda: stage.engine.step(2)) is FinishReason.STOP
    assert (stage.text, stage.generation.tokens.num_output, stage.generation.num_reasoning) == ("", 2, 0)


async def test_a_limit_is_an_end_like_another() -> None:
    stage = await Stage.of(say(*"abcdefghijklm"))
    assert await stage.run(lambda: stage.engine.step(20)) is FinishReason.LENGTH
    assert stage.text == "abcdefghi!"


@pytest.mark.parametrize("abort_ticks", [0, 2])
async def test_a_stop_comes_back_when_the_engine_has_let_go_and_nothing_more_is_kept(abort_ticks: int) -> None:
    stage = await Stage.of(say(*"abc"), abort_ticks=abort_ticks)
    await stage.generation.submit()
    result = asyncio.create_task(stage.generation.result())
    stage.engine.step()
    stage.stopping.ask(CANCELLED)
    for _ in range(abort_ticks):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not result.done()
        assert stage.holds
        stage.engine.step()
    with pytest.raises(Ended) as ended:
        await result
    assert ended.value.outcome is CANCELLED
    assert (stage.text, stage.holds) == ("a", False)
    assert stage.generation.abort_ms > 0


async def test_a_stop_wins_over_an_end_in_the_same_moment() -> None:
    stage = await Stage.of(say("one"))

    def end_and_stop() -> None:
        stage.engine.step(2)
        stage.stopping.ask(CANCELLED)

    with pytest.raises(Ended) as ended:
        await stage.run(end_and_stop)
    assert ended.value.outcome is CANCELLED
    assert stage.text == "one", "what was held back is not said any more"


async def test_a_task_that_is_cancelled_leaves_nothing_in_the_engine() -> None:
    stage = await Stage.of(say("one"), abort_ticks=0)
    await stage.generation.submit()
    result = asyncio.create_task(stage.generation.result())
    await asyncio.sleep(0)
    result.cancel()
    with pytest.raises(asyncio.CancelledError):
        await result
    assert not stage.holds


async def test_an_error_of_the_engine_is_told_to_the_client_without_its_text() -> None:
    stage = await Stage.of(say("one", Fail("secret")))
    with pytest.raises(Ended) as ended:
        await stage.run(lambda: stage.engine.step(2))
    assert isinstance(ended.value.outcome, Failed)
    assert ended.value.outcome.code == "server_error"
    assert "secret" not in ended.value.outcome.message
    assert not stage.holds


async def test_an_engine_that_dies_is_for_the_caller_to_go_on_without() -> None:
    stage = await Stage.of(say("one", Die()))
    with pytest.raises(EngineDead):
        await stage.run(lambda: stage.engine.step(2))
    assert not stage.holds


async def test_an_engines_error_is_not_raised_again_by_each_of_its_generations() -> None:
    """One error may be told to many: raised, it would hold on to all of them by its traceback."""
    stage = await Stage.of(say("one"))
    with pytest.raises(EngineDead):
        await stage.run(lambda: stage.engine.kill("gone"))
    assert (await stage.engine.wait_dead()).__traceback__ is None


async def test_what_the_engine_gives_up_by_itself_is_a_failure() -> None:
    stage = await Stage.of(say("one", Finish(FinishReason.ABORT)))
    with pytest.raises(Ended) as ended:
        await stage.run(lambda: stage.engine.step(2))
    assert ended.value.outcome is GIVEN_UP


async def test_an_engine_that_does_not_take_it_says_so_at_once() -> None:
    stage = await Stage.of(say("one"), max_num_waiting=0)
    with pytest.raises(EngineOverloaded):
        await stage.generation.submit()
    await stage.engine.shutdown()
    with pytest.raises(EngineDead):
        await stage.generation.submit()


async def test_a_bug_in_reading_fails_this_generation_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    stage = await Stage.of(say(*"abc"))
    stage.parser.fails = True
    with pytest.raises(Ended) as ended:
        await stage.run(stage.engine.step)
    assert ended.value.outcome is UNREADABLE
    assert not stage.holds
    assert "a bug of ours" in caplog.text
    caplog.clear()


async def test_an_error_that_nobody_expects_and_trouble_in_the_output_are_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stage = await Stage.of(say("one"))
    stage.parser.trouble = ValueError("odd markup")
    with pytest.raises(Ended):
        await stage.run(lambda: stage.generation.on_error(EngineError("odd state")))
    assert "odd markup" in caplog.text
    assert "odd state" in caplog.text


async def test_safe_points_are_after_each_chunk_but_the_last_while_a_successor_waits() -> None:
    stage = await Stage.of(say(*"abc"))
    await stage.run(
        stage.engine.step,
        lambda: setattr(stage.stopping, "steering", True),
        lambda: stage.engine.step(3),
    )
    assert stage.safe_points == [2, 3]


async def test_a_successor_takes_over_at_a_safe_point() -> None:
    stage = await Stage.of(say(*"abc"))
    stage.stopping.steering = True
    stage.generation._at_safe_point = lambda: stage.stopping.ask(Steered())
    with pytest.raises(Ended) as ended:
        await stage.run(lambda: stage.engine.step(2))
    assert ended.value.outcome == Steered()
    assert stage.text == "a"


async def test_the_engines_request_has_all_that_prompt_and_parser_say() -> None:
    serving, _ = await make_serving(say())
    request = make_request(chat_template_kwargs={"x": 1})
    prompt = serving.dialect.render(request, tool_set(None, None, None), request.items, None)
    parser: Any = Parser()
    parser.constraint, parser.reasoning_ended = "a constraint", True
    wishes = Sampling(max_tokens=9)
    asked = engine_request(serving, "id", request, prompt, parser, wishes, "salt")
    assert (asked.request_id, asked.prompt_token_ids, asked.sampling) == ("id", prompt.token_ids, wishes)
    assert (asked.cache_salt, asked.constraint, asked.reasoning_ended) == ("salt", parser.constraint, True)
    assert asked.template_kwargs["x"] == 1
    alone = engine_request(serving, "id", request, prompt, None, wishes, None)
    assert (alone.constraint, alone.reasoning_ended) == (None, None)
