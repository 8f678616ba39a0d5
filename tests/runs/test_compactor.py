"""Making a history shorter on the scripted engine: when, of what, and what a stop or an error leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from realtime.context.compaction import Policy
from realtime.context.request_tools import tool_set
from realtime.context.turns import Turn
from realtime.engine.base import EngineOverloaded, EngineRequest
from realtime.engine.scripted import Fail, Pause, ScriptedEngine, ScriptedTokenizer, Step
from realtime.runs.compactor import Compactor
from realtime.runs.endings import NOTHING_TO_COMPACT, Cancelled, Ended
from realtime.runs.prompts import Prompts
from realtime.runs.stop_signal import StopSignal
from realtime.runs.usage import Tokens
from realtime.wire.item_texts import texts_of
from realtime.wire.items import Message
from realtime.wire.requests import ResponseCreate
from tests.support.event_loop import nothing_left
from tests.support.jobs import make_renderer, make_request, make_serving, turns_until, user

__all__ = ["nothing_left"]


class Stage:
    """A compactor and the history that it is to make shorter. `asked`: what its model was asked."""

    compactor: Compactor
    prompts: Prompts
    engine: ScriptedEngine

    def __init__(self, *summary: Step) -> None:
        self.stopping = StopSignal()
        self.asked: list[EngineRequest] = []
        self.num_begun = 0
        self._summary = summary or ("SUM",)

    @classmethod
    async def of(cls, request: ResponseCreate, parent: Turn | None, *summary: Step, **options: Any) -> Stage:
        stage = cls(*summary)
        serving, stage.engine = await make_serving(
            stage._script, **{"tick_seconds": 0, "max_model_len": 2000, **options}
        )
        renderer = make_renderer(serving, "salt")
        stage.prompts = Prompts(renderer, request, tool_set(None, None, None), parent)
        stage.compactor = Compactor(renderer, "resp_0", stage.stopping)
        return stage

    def _script(self, request: EngineRequest) -> Iterable[Step]:
        self.asked.append(request)
        return self._summary

    def _begin(self) -> None:
        assert not self.asked, "the client is told before the model is asked"
        self.num_begun += 1

    async def compact(self, **policy: Any) -> Any:
        return await self.compactor.compact(Policy(**policy), self.prompts, self._begin)

    @property
    def history(self) -> str:
        return "\n".join(text for item in self.prompts.items for text in texts_of(item))


def long_history(num_turns: int = 14) -> Turn:
    turn: Turn | None = None
    for number in range(num_turns):
        answer = Message(role="assistant", content=f"a{number} " + "y" * 60)
        turn = Turn(f"resp_{number}", turn, (user(f"q{number} " + "x" * 40),), (answer,))
    assert turn is not None
    return turn


async def test_what_is_short_enough_stays_as_it_is() -> None:
    stage = await Stage.of(make_request("hi"), long_history(2))
    before = stage.prompts.items
    assert await stage.compact() is None
    assert (stage.num_begun, stage.asked, stage.prompts.items) == (0, [], before)


async def test_an_empty_history_is_refused_only_when_it_was_to_be_compacted_now() -> None:
    stage = await Stage.of(ResponseCreate(), None)
    assert await stage.compact() is None
    with pytest.raises(Ended) as ended:
        await stage.compact(now=True)
    assert ended.value.outcome is NOTHING_TO_COMPACT
    assert stage.num_begun == 0


@pytest.mark.parametrize("policy", [{"threshold": 500}, {}, {"now": True}])
async def test_a_long_one_is_replaced_by_its_summary_and_what_is_newest(policy: dict[str, Any]) -> None:
    stage = await Stage.of(make_request("the newest"), long_history(), "THE ", "SUMMARY")
    compacted = await stage.compact(**policy)
    assert stage.num_begun == 1
    assert compacted is not None
    assert stage.prompts.items == compacted.items()
    assert "THE SUMMARY" in stage.history
    assert "the newest" in stage.history
    assert "a0 yyy" not in stage.history
    assert (await stage.prompts.render(None)).num_tokens <= policy.get("threshold", 1600)


async def test_the_model_is_asked_on_the_salt_of_the_response_and_its_tokens_are_counted() -> None:
    stage = await Stage.of(make_request(), long_history(), "one ", "two", max_model_len=8000)
    await stage.compact(threshold=500)
    (asked,) = stage.asked
    assert (asked.request_id, asked.cache_salt) == ("resp_0.compaction1", "salt")
    assert stage.compactor.tokens == Tokens(num_input=len(asked.prompt_token_ids), num_output=3)


async def test_more_than_a_window_is_summarized_in_pieces_each_with_what_came_before() -> None:
    stage = await Stage.of(make_request(), long_history(40), "SO FAR")
    await stage.compact()
    assert len(stage.asked) > 1
    asked = [ScriptedTokenizer().decode(one.prompt_token_ids) for one in stage.asked]
    assert ["SO FAR" in text for text in asked] == [False] + [True] * (len(asked) - 1)
    assert [one.request_id for one in stage.asked] == [f"resp_0.compaction{n + 1}" for n in range(len(asked))]
    assert all(len(one.prompt_token_ids) + one.sampling.max_tokens <= 2000 for one in stage.asked)


async def test_a_model_that_writes_nothing_leaves_the_text_itself() -> None:
    stage = await Stage.of(make_request(), long_history(), " ")
    await stage.compact(threshold=500)
    assert "characters left out" in stage.history


async def test_a_stop_while_it_is_written_leaves_nothing_in_the_engine_and_the_history_as_it_was() -> None:
    stage = await Stage.of(make_request(), long_history(), "one ", Pause(1 << 30), tick_seconds=None)
    before = stage.prompts.items
    task = asyncio.create_task(stage.compact(threshold=500))
    await turns_until(lambda: stage.asked)
    stage.engine.step()
    stage.stopping.ask(Cancelled("cancelled"))
    with pytest.raises(Ended) as ended:
        await task
    assert ended.value.outcome == Cancelled("cancelled")
    assert not stage.engine._held
    assert stage.prompts.items == before
    assert stage.compactor.tokens.num_output == 1, "what was used is counted"


async def test_an_error_of_the_engine_ends_the_response() -> None:
    stage = await Stage.of(make_request(), long_history(), Fail("secret"))
    with pytest.raises(Ended) as ended:
        await stage.compact(threshold=500)
    assert getattr(ended.value.outcome, "code", None) == "server_error"


async def test_what_the_engine_does_not_take_is_not_counted() -> None:
    stage = await Stage.of(make_request(), long_history(), max_num_waiting=0)
    with pytest.raises(EngineOverloaded):
        await stage.compact(threshold=500)
    assert stage.compactor.tokens == Tokens()
