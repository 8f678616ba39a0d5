"""Answers of a real model whose server, or whose EngineCore, is killed in the middle of them, several at once.

The short form has one kill of each, of the same answers. The long one (`make check-long`) has all kinds and random
moments; `-s` shows how many went on, and how long they paused.
"""

from __future__ import annotations

import itertools
import random
import statistics
import time
from pathlib import Path
from typing import Any

import pytest

from realtime.engine.options import VllmOptions
from tests.support.cut_answers import Answers, House, check_order, deltas, held, house, outcome, whole_again
from tests.support.elsewhere import ELSEWHERE
from tests.support.gpt_oss import model_folder
from tests.support.leftovers import files_in, semaphores_of
from tests.support.long import LONG
from tests.support.server import Client
from tests.support.vllm_serve import STARTER

from .asked import IN_BOTH, WEATHER, WRITE, custom, named

pytestmark = pytest.mark.vllm

Asked = dict[str, dict[str, Any]]
STORY = "Tell me a long story about a fox."
ENDLESS = {"max_output_tokens": 300, "ignore_eos": True}
HOT = {"temperature": 1, **ENDLESS}
SCHEMA = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "integer"}, "minItems": 20}}}
FORMAT = {"format": {"type": "json_schema", "name": "n", "schema": {**SCHEMA, "required": ["a"]}}}
SUMS = custom("regex", r"[0-9]{1,3}( [+-] [0-9]{1,3}){40,50};")
CALLED = {"tools": [WRITE], "tool_choice": named("write"), "max_output_tokens": 200}
FEW: Asked = {
    "greedy": {"input": "what is 2 + 3?", "temperature": 0, "frequency_penalty": 0.5, **ENDLESS},
    "seeded": {"input": STORY, "seed": 7, **HOT},
    "schema": {"input": "Numbers, as JSON.", "temperature": 1, "seed": 9, "max_output_tokens": 200, "text": FORMAT},
    "arguments": {"input": "Write!", "temperature": 0, **CALLED},
}
#: Those without a grammar last until those with one have begun, which takes long where that is compiled first.
LASTING: Asked = FEW | {name: {**FEW[name], "max_output_tokens": 1500} for name in ("greedy", "seeded")}
ALL: Asked = {
    **FEW,
    "no_seed": {"input": STORY, **HOT},
    "penalties": {"input": STORY, "seed": 4, "presence_penalty": 1.2, "frequency_penalty": 0.6, **HOT},
    "reasoning": {"input": "Why?", "seed": 3, "include": ["reasoning.content"], **HOT},
    "summary": {"input": "Why?", "temperature": 0, "reasoning": {"summary": "auto"}, **ENDLESS},
    "sealed": {"input": "Why not?", "seed": 5, "include": ["reasoning.encrypted_content"], **HOT},
    "calls": {"input": IN_BOTH, "temperature": 0, "tools": [WEATHER], **ENDLESS},
    "seeded_arguments": {"input": "Write!", "seed": 6, "temperature": 1, **CALLED},
    "grammar": {
        "input": "Add!", "seed": 2, "temperature": 1, "tools": [SUMS], "tool_choice": named("calculate", "custom"),
        "max_output_tokens": 200,
    },
}  # fmt: skip
STOPPED = "stop"  # see `stopped`
UNSEEDED = {"no_seed"}  # the server's own seed is another one each time
HARMONY: Asked = {
    "greedy": {"input": STORY, "temperature": 0, **ENDLESS},
    "seeded": {"input": STORY, "seed": 1, **HOT},
    "call": {"input": "What is the weather in Paris?", "seed": 2, "tools": [WEATHER], **HOT},
    "no_seed": {"input": STORY, **HOT},
    "raw": {"input": "Why?", "seed": 3, "include": ["reasoning.content"], **HOT},
    "sealed": {"input": "Why not?", "seed": 4, "include": ["reasoning.encrypted_content"], **HOT},
}


async def uncut(client: Client, asked: Asked) -> Answers:
    """The same answers as nobody disturbed them."""
    answers = Answers(client)
    await answers.ask(asked)
    await answers.until(lambda: not answers.running)
    return answers


def check(name: str, answers: Answers, whole: Answers) -> int:
    """It is what it would have been. Return how many engines it took; the server may have had its end when it died."""
    events, expected = answers.events[name], whole.events[name]
    check_order(events)
    response = events[-1]["response"]
    recovery: dict[str, Any] = response.get("recovery", {"kind": "exact", "attempts": 1})
    assert recovery["kind"] == "exact", (name, response["error"])
    assert [text for _, text in deltas(events)] == held(response), name
    if name not in UNSEEDED:
        outcomes = [outcome(one) for one in (response, expected[-1]["response"])]
        if name == STOPPED:  # its tokens are those of whole chunks, and a chunk may have several
            outcomes = [one[:-1] for one in outcomes]
        assert outcomes[0] == outcomes[1], name
        assert deltas(events) == deltas(expected), name
    attempts: int = recovery["attempts"]
    return attempts


async def test_answers_outlive_their_engine_and_then_their_server(folder: Path, tmp_path: Path) -> None:
    """And of what is killed nothing is left after the next start."""
    async with house(tmp_path / "store.db", TMPDIR=str(folder)) as here:
        whole = await uncut(here.client, LASTING)  # there, so that its grammars are compiled
        answers = Answers(here.client)
        await answers.ask(LASTING)
        await answers.until(lambda: answers.begun == set(LASTING))
        assert {"greedy", "seeded"} <= set(answers.running)  # on two engines, if there are two
        here.kill_core()
        await here.until_restarted()
        had = answers.num_events
        await answers.until(lambda: answers.num_events > had + 40)
        killed = files_in(folder)
        assert killed or ELSEWHERE, "a server whose engines are elsewhere may have none"
        await here.kill(answers)
        cut = answers.running
        seen = {name: list(answers.events[name]) for name in cut}
        await answers.until(lambda: not answers.running)
        assert max(check(name, answers, whole) for name in cut) == 3
        for name in cut:
            again = await whole_again(here.client, seen[name][0]["response_id"])
            assert again == answers.events[name]
            assert again[: len(seen[name])] == seen[name]
        assert [name for name in files_in(folder) if name in killed] == [], "the next start removes them"
        assert semaphores_of(killed) == []
        here.process.interrupt()
        assert await here.process.end() == 0
    assert files_in(folder) == []


async def cut_once(here: House, how: str, asked: Asked, whole: Answers, rng: random.Random) -> tuple[int, list[str]]:
    """Kill the server, or EngineCore, at a random moment; return how many went on, and which did not."""
    answers = Answers(here.client)
    await answers.ask(asked)
    moment = rng.randrange(len(asked), int(whole.num_events * 0.6))
    await answers.until(lambda: answers.num_events >= moment)
    cut, at = answers.running, time.monotonic()
    if how == "core":
        here.kill_core()
    else:
        await here.kill(answers)
        cut = answers.running
    ready_at = time.monotonic()
    seen = {name: list(answers.events[name]) for name in cut}
    await answers.until(lambda: not answers.running)
    pauses, wrong, gone_on = [], [], 0
    for name in cut:
        events = answers.events[name]
        try:
            gone_on += check(name, answers, whole) - 1
            assert await whole_again(here.client, events[0]["response_id"]) == events
            assert events[: len(seen[name])] == seen[name]
        except AssertionError as error:
            wrong.append(f"{name}, {how} killed: {error}")
            print(wrong[-1])
        times = [at, *(one for one in answers.came[name] if one > at)]
        pauses.append(max(after - before for before, after in itertools.pairwise(times)))
    print(
        f"\n{how} killed at event {moment}: {len(cut)} cut, {ready_at - at:.1f} s later there, pauses {spread(pauses)}"
    )
    return gone_on, wrong


def spread(pauses: list[float]) -> str:
    return f"{min(pauses):.1f} to {max(pauses):.1f}, median {statistics.median(pauses):.1f} s" if pauses else "-"


@pytest.mark.skipif(not LONG, reason="TESTS_LONG=1 only: it takes minutes")
@pytest.mark.parametrize("model", ["starter", "gpt-oss"])
async def test_whenever_it_is_killed_the_rest_is_what_it_would_have_been(model: str, tmp_path: Path) -> None:
    asked, arguments, options, kills = ALL, list[str](), STARTER, ["core", "server", "core", "server", "core"]
    if model == "gpt-oss":
        asked, kills = HARMONY, ["core", "server"]
        arguments = ["--model", str(model_folder()), "--served-name", "gpt-oss", "--kv-cache-memory-bytes", "134217728"]
        options = VllmOptions(model=str(model_folder()), served_name="gpt-oss", kv_cache_memory_bytes=128 << 20)
    if ELSEWHERE:  # nobody sees from here whether a seed costs an engine speed, so that is asked for
        arguments.append("--seed-every-request")
    rng, total, wrong = random.Random(model), 0, list[str]()
    async with house(tmp_path / "store.db", *arguments, model=options) as here:
        whole = await uncut(here.client, asked)
        if model == "starter":
            late = stopped(whole)
            asked = asked | late
            whole.events |= (await uncut(here.client, late)).events
        print(f"\n{whole.num_events} events of {len(asked)} answers")
        for how in kills:
            await here.revive()
            number, found = await cut_once(here, how, asked, whole, rng)
            total, wrong = total + number, [*wrong, *found]
    print(f"{total} answers of {model} went on as if nothing had happened, {len(wrong)} did not")
    assert wrong == []
    assert total >= 3 * len(kills)


def stopped(whole: Answers) -> Asked:
    """A request that ends by a stop string, late."""
    [text] = [text for kind, text in deltas(whole.events["seeded"]) if kind == "response.output_text.delta"][-1:]
    return {STOPPED: {**ALL["seeded"], "stop": ["zzz", text[-60:-50]]}}
