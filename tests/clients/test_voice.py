"""Voice loops on the Python client and a real server: an answer is made at once and spoken slowly, and the history is
what was heard of it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import realtime_client
from realtime.engine.base import EngineRequest
from realtime.engine.scripted import ScriptedTokenizer
from realtime_client import ConversationMovedOn, CursorAhead, ItemNotFound, MissingToolOutput, ToolOutputAlreadyAccepted
from tests.behaviour.test_steer import TOOLS, Recorder
from tests.support.calls import TAGGED, spoken_call
from tests.support.http import http
from tests.support.server import Running, running

WORDS = (
    "Once ",
    "upon \N{SPARKLES} ",
    "a ",
    "t",
    "im",
    "\N{LATIN SMALL LETTER E WITH ACUTE} ",
    "there was ",
    "a king.",
)


def connect(server: Running) -> realtime_client.Client:
    return realtime_client.connect(server.url, proxy=None, policy=realtime_client.Policy(initial_delay_seconds=0))


class Speaker:
    """Plays what it is given, character by character, each after some turns of the event loop, until it is stopped."""

    def __init__(self, rng: random.Random, stop_at: int) -> None:
        self.heard = ""
        self._rng = rng
        self._stop_at = stop_at

    async def speak(self, text: str) -> bool:
        """False: it was stopped."""
        for character in text:
            if len(self.heard) == self._stop_at:
                return False
            for _ in range(self._rng.randint(0, 5)):
                await asyncio.sleep(0)
            self.heard += character
        return True


Cut = Callable[[realtime_client.Response, Speaker], Awaitable[str]]


async def by_ack(answer: realtime_client.Response, speaker: Speaker) -> str:
    """Acknowledge events that were heard whole, then cancel."""
    answer.ack(answer.through_at(len(speaker.heard)))
    return (await answer.cancel()).output_text


async def by_number(answer: realtime_client.Response, speaker: Speaker) -> str:
    """Cancel with the number of the last event that was heard whole."""
    return (await answer.cancel(answer.through_at(len(speaker.heard)))).output_text


async def by_characters(answer: realtime_client.Response, speaker: Speaker) -> str:
    """Truncate at the very character."""
    return (await answer.truncate(num_characters=len(speaker.heard))).output_text


@pytest.mark.parametrize("in_conversation", [False, True], ids=["chain", "conversation"])
@pytest.mark.parametrize("cut", [by_ack, by_number, by_characters], ids=["ack", "number", "characters"])
async def test_the_history_of_a_voice_loop_is_what_was_heard(cut: Cut, in_conversation: bool) -> None:
    rng = random.Random(f"{cut.__name__} {in_conversation}")
    recorder = Recorder(WORDS)
    async with running(recorder, tick_seconds=0) as server, connect(server) as rt:
        members: dict[str, Any] = {}
        if in_conversation:
            async with http(server) as door:
                members = {"conversation": (await door.post("/v1/conversations", json={})).json()["id"]}
        history: list[str] = []
        for turn in range(8):
            answer = await rt.create(input=f"user {turn}", **members)
            if not in_conversation:
                members = {"previous_response_id": answer.id}
            speaker = Speaker(rng, stop_at=rng.randint(1, len("".join(WORDS)) + 3))
            async for text in answer.text():
                if not await speaker.speak(text):
                    break
            kept = await cut(answer, speaker)
            whole = [word for n, word in enumerate(WORDS) if len("".join(WORDS[: n + 1])) <= len(speaker.heard)]
            assert kept == (speaker.heard if cut is by_characters else "".join(whole))
            history += [f"user {turn}", kept]
        await (await rt.create(input="end", **members)).result()
        roles = ["user", "assistant"] * 8 + ["user"]
        said = [{"role": role, "content": text} for role, text in zip(roles, [*history, "end"], strict=True) if text]
        assert recorder.prompts[-1] == ScriptedTokenizer().apply_chat_template(said)


async def test_an_answer_that_runs_is_stopped_by_a_truncation_and_its_events_can_still_be_read() -> None:
    def script(request: EngineRequest) -> Any:
        return ("on and on " for _ in range(100_000))

    async with running(script, tick_seconds=0.001, max_model_len=10**6) as server, connect(server) as rt:
        answer = await rt.create(input="hi")
        texts = answer.text()
        for _ in range(3):
            await anext(texts)
        final = await answer.truncate(num_characters=15)
        assert (final.output_text, final["status"]) == ("on and on on an", "cancelled")
        assert final.receipt is not None
        numbers = [event["sequence_number"] async for event in answer]
        assert numbers == list(range(7, 7 + len(numbers)))
        assert (await answer.result()).output_text == final.output_text
        again = await answer.cancel(5)
        assert again.output_text == "on and on on an", "it brings nothing back"
        assert (await answer.cancel(4)).output_text == "on and on "


async def test_an_answer_of_which_no_text_was_read_can_be_cut_to_nothing() -> None:
    async with running(Recorder(WORDS)) as server, connect(server) as rt:
        answer = await rt.create(input="hi")
        final = await answer.truncate(num_characters=0)
        assert (final.output_text, final["output"]) == ("", [])


async def test_what_can_not_be_cut_there_is_told() -> None:
    async with running(Recorder(WORDS)) as server, connect(server) as rt:
        answer = await rt.create(input="hi")
        final = await answer.result()
        with pytest.raises(CursorAhead):
            await answer.truncate(num_characters=1000)
        with pytest.raises(ItemNotFound):
            await answer.truncate(num_characters=1, item_id="msg_x")
        with pytest.raises(ValueError, match="has not come"):
            await answer.truncate(99)
        assert (await answer.result()) == final
        async with http(server) as door:
            name = (await door.post("/v1/conversations", json={})).json()["id"]
        first = await rt.create(input="hi", conversation=name)
        await first.result()
        await (await rt.create(input="more", conversation=name)).result()
        with pytest.raises(ConversationMovedOn):
            await first.truncate(4)
        with pytest.raises(ConversationMovedOn):
            await first.cancel(4)


async def test_outputs_that_are_missing_or_come_twice_are_told_by_name() -> None:
    recorder = Recorder(spoken_call("look", "{}"), ("ok",))
    async with running(recorder, family=TAGGED) as server, connect(server) as rt:
        async with http(server) as door:
            name = (await door.post("/v1/conversations", json={})).json()["id"]
        (call,) = (await (await rt.create(input="hi", tools=TOOLS, conversation=name)).result())["output"]
        with pytest.raises(MissingToolOutput, match=call["call_id"]):
            await rt.create(input="hello?", conversation=name)
        output = [{"type": "function_call_output", "call_id": call["call_id"], "output": "42"}]
        await (await rt.create(input=output, conversation=name)).result()
        with pytest.raises(ToolOutputAlreadyAccepted) as refused:
            await rt.create(input=[{**output[0], "output": "43"}], conversation=name)
        assert refused.value.item is not None
        assert refused.value.item["output"] == "42"
