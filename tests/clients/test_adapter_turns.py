"""Turns of a voice agent, whatever its framework: what continues a chain, what cuts an answer, and when all is sent."""

from __future__ import annotations

from typing import Any

import pytest

import realtime_client
from realtime.engine.scripted import ScriptedTokenizer
from realtime_client.adapters.turns import Answer, Turns
from tests.behaviour.test_steer import TOOLS, Recorder
from tests.support.calls import TAGGED, called
from tests.support.server import Running, running

WORDS = ("Once ", "upon ", "a ", "time.")
TEXT = "".join(WORDS)
Item = dict[str, Any]


def connect(server: Running) -> realtime_client.Client:
    return realtime_client.connect(server.url, proxy=None)


def user(text: str) -> Item:
    return {"role": "user", "content": text}


def assistant(text: str) -> Item:
    return {"role": "assistant", "content": text}


def prompt(*items: Item) -> str:
    """What a model is given of these."""
    return str(ScriptedTokenizer().apply_chat_template(list(items)))


async def read(answer: Answer) -> Answer:
    """To its end."""
    async for _ in answer:
        pass
    return answer


async def test_what_was_heard_is_kept_and_only_what_is_new_is_sent() -> None:
    recorder = Recorder(WORDS)
    async with running(recorder) as server, connect(server) as rt:
        turns, said = Turns(), [user("1")]
        for heard in (TEXT, "Once upon", "", "Once  upon a"):
            answer = await read(await turns.ask(rt, said))
            assert (answer.text, answer.is_continued) == (TEXT, len(said) > 1)
            said += [*([assistant(heard)] if heard else []), user("and?")]
        await read(await turns.ask(rt, said))
        kept = [assistant("Once upon a") if one == assistant("Once  upon a") else one for one in said]
        assert recorder.prompts[-1] == prompt(*kept)


@pytest.mark.parametrize(("heard", "kept"), [("", ""), ("on on", "on on"), ("on on on", "on on on ")])
async def test_an_answer_that_is_left_ends_where_it_was_heard_to(heard: str, kept: str) -> None:
    recorder = Recorder(("on ",) * 100_000, WORDS)
    async with running(recorder, tick_seconds=0.001, max_model_len=10**6) as server, connect(server) as rt:
        turns = Turns()
        answer = await turns.ask(rt, [user("1")])
        async for _ in answer:
            if answer.text == "on on on ":
                break
        await answer.leave()
        spoken = [assistant(heard)] if heard else []
        after = await read(await turns.ask(rt, [user("1"), *spoken, user("2")]))
        assert (after.text, after.is_continued) == (TEXT, True)
        stored = [assistant(kept)] if kept else []
        assert recorder.prompts[-1] == prompt(user("1"), *stored, user("2"))


async def test_a_turn_may_be_asked_ahead_of_time_and_again() -> None:
    recorder = Recorder(WORDS)
    async with running(recorder) as server, connect(server) as rt:
        turns = Turns()
        await read(await turns.ask(rt, [user("1")]))
        before = [user("1"), assistant("Once")]
        await (await turns.ask(rt, [*before, user("what")])).leave()
        again = await read(await turns.ask(rt, [*before, user("what then?")]))
        assert again.is_continued
        assert recorder.prompts[-1] == prompt(*before, user("what then?"))


async def test_calls_are_continued_by_their_outputs_and_cut_with_the_words_before_them() -> None:
    recorder = Recorder(called("look", {}), WORDS, ("I look. ", *called("look", {})), WORDS)
    async with running(recorder, family=TAGGED) as server, connect(server) as rt:
        turns, said = Turns(), [user("1")]
        (call_id,) = (await read(await turns.ask(rt, said, tools=TOOLS))).calls
        said += [
            {"type": "function_call", "call_id": call_id, "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": call_id, "output": "42"},
        ]
        answer = await read(await turns.ask(rt, said, tools=TOOLS))
        assert (answer.text, answer.is_continued) == (TEXT, True)
        said += [assistant(TEXT), user("2")]
        answer = await read(await turns.ask(rt, said, tools=TOOLS))
        assert (answer.text.strip(), len(answer.calls)) == ("I look.", 1)
        said += [assistant("I look."), user("no")]  # the call was never made
        answer = await read(await turns.ask(rt, said, tools=TOOLS))
        assert (answer.text, answer.is_continued) == (TEXT, True)
        assert recorder.prompts[-1].endswith(prompt(assistant("I look. "), user("no")))


async def test_the_whole_context_is_sent_when_it_is_another_one() -> None:
    recorder = Recorder(WORDS)
    async with running(recorder) as server, connect(server) as rt:
        turns, first = Turns(), [user("1")]
        answer = await read(await turns.ask(rt, first))
        for said in (
            [user("a summary"), user("2")],  # edited
            [*first, assistant("Something else"), user("2")],
            [*first, assistant(TEXT)],  # nothing is new
            [*first, user("2"), assistant(TEXT), user("3")],  # in another order
        ):
            other = await read(await turns.ask(rt, said))
            assert not other.is_continued
            assert recorder.prompts[-1] == prompt(*said)
        turns = Turns()
        answer = await read(await turns.ask(rt, first))
        await rt.responses.delete(answer.response.id)
        said = [*first, assistant("Once"), user("2")]
        other = await read(await turns.ask(rt, said))
        assert not other.is_continued, "the server has forgotten it"
        assert recorder.prompts[-1] == prompt(*said)


async def test_more_than_was_kept_can_not_be_brought_back() -> None:
    recorder = Recorder(WORDS)
    async with running(recorder) as server, connect(server) as rt:
        turns = Turns()
        await read(await turns.ask(rt, [user("1")]))
        await read(await turns.ask(rt, [user("1"), assistant("Once"), user("2")]))
        said = [user("1"), assistant("Once upon"), user("3")]
        other = await read(await turns.ask(rt, said))
        assert not other.is_continued
        assert recorder.prompts[-1] == prompt(*said)
