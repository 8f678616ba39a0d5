"""The real vLLM goes on behind what an engine that died had generated: the rest equals the rest of a run never cut."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import AsyncIterator
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from realtime.engine import structural_tags
from realtime.engine.base import EngineDead, EngineRefused, EngineRequest, FinishReason, Loaded, Sampling
from realtime.engine.options import VllmOptions
from realtime.engine.parsing import Constraint
from realtime.engine.pictures import read
from realtime.engine.vllm.engine import VllmEngine
from tests.support import gpt_oss, vision_model
from tests.support.elsewhere import Elsewhere
from tests.support.engines import Engines
from tests.support.long import effort
from tests.support.pictures import image

from .asking import EMPTY
from .recorder import Recorder
from .test_vllm import core_pid

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings("ignore"),  # importing vLLM and torch warns of their own affairs
]

NUM_CUTS = effort(2, 6)
NUM_SEEDS = effort(1, 4)
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 30},
        "age": {"type": "integer"},
        "tags": {"type": "array", "items": {"enum": ["red", "green", "blue"]}, "minItems": 2, "maxItems": 5},
    },
    "required": ["name", "age", "tags"],
    "additionalProperties": False,
}
CHARACTERS = Constraint("regex", r"(日本|語🙂|naïve|👩‍🚀|Ω){12}")  # each character is several tokens
ITEMS = Constraint("regex", r"([a-z]{2,9} [0-9]{1,3}, ){8}end")
BY_SCHEMA = Constraint("structural_tag", structural_tags.of_json(PERSON, "text.format.schema"))
SEEDED = {"temperature": 1.0, "seed": 5}


class Kind(NamedTuple):
    """A way to sample."""

    sampling: dict[str, Any]
    constraint: Constraint | None = None
    reasoning_ended: bool | None = True
    question: str = "tell me a story about a fox"


GREEDY = {"temperature": 0.0}
HOT = {"temperature": 2.0, "seed": 2**40, "ignore_eos": True}  # so that a penalty shows: cold, the model is too sure
KINDS = {
    "greedy": Kind(GREEDY),
    "greedy, to its end": Kind(GREEDY, question="count to 10"),
    "greedy, without an end": Kind({**GREEDY, "ignore_eos": True}),
    "seed": Kind({**SEEDED, "ignore_eos": True}),
    "seed, hot": Kind(HOT),
    "seed, top_p, top_k": Kind({**SEEDED, "top_p": 0.9, "top_k": 20, "min_p": 0.01, "ignore_eos": True}),
    "presence penalty": Kind({**HOT, "presence_penalty": 2.0}),
    "frequency penalty": Kind({**HOT, "frequency_penalty": 2.0}),
    "repetition penalty": Kind({**HOT, "repetition_penalty": 1.3}),
    "seed, all penalties": Kind(
        {**SEEDED, "presence_penalty": 0.5, "frequency_penalty": 0.5, "repetition_penalty": 1.1, "ignore_eos": True}
    ),
    "logit bias": Kind({**GREEDY, "logit_bias": {5: 3.0, 300: -100.0, 301: 4.0}}),
    "stop string": Kind({**GREEDY, "stop": (" 7, 8", "nothing")}, question="count to 10"),
    "stop string, in a sample": Kind({**SEEDED, "stop": (" found a shiny", " on the path. ")}),
    "stop token": Kind({**GREEDY, "stop_token_ids": (301, 302, 303)}),
    "schema": Kind(GREEDY, BY_SCHEMA),
    "schema, seed": Kind({"temperature": 1.5, "seed": 11}, BY_SCHEMA),
    "regex": Kind(GREEDY, ITEMS),
    "regex, seed": Kind({**SEEDED, "seed": 6}, ITEMS),
    "characters": Kind({**SEEDED, "seed": 7}, CHARACTERS),
    "characters, stop string": Kind({**SEEDED, "seed": 8, "stop": ("語🙂naïve語🙂", "Ω日本日")}, CHARACTERS),
    "schema behind reasoning": Kind({**SEEDED, "seed": 9}, BY_SCHEMA, reasoning_ended=None),
    "log probabilities": Kind({**SEEDED, "num_logprobs": 3}, CHARACTERS),
}


class Client:
    """Makes requests with ids of their own."""

    count = 0

    def __init__(self, engine: Any, loaded: Loaded) -> None:
        self.engine = engine
        self._tokenizer = loaded.tokenizer

    def request(self, kind: Kind, *, more_seed: int = 0, **members: Any) -> EngineRequest:
        """The request of a kind; `more_seed` makes another one of it."""
        Client.count += 1
        text = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": kind.question}], add_generation_prompt=True, tokenize=False
        )
        sampling = dict(kind.sampling)
        if "seed" in sampling:
            sampling["seed"] += more_seed
        members = {"prompt_token_ids": self._tokenizer.encode(text), **members}
        return EngineRequest(
            request_id=f"c{Client.count}",
            sampling=Sampling(**{"max_tokens": 70, **sampling}),
            constraint=kind.constraint,
            reasoning_ended=kind.reasoning_ended,
            **members,
        )

    async def run(self, kind: Kind, **members: Any) -> Recorder:
        """Run one of a kind to its end."""
        sink = Recorder()
        await self.engine.submit(self.request(kind, **members), sink)
        await asyncio.wait_for(sink.ended.wait(), 120)
        if sink.error is not None:
            raise sink.error
        return sink


@pytest.fixture
def engine(engines: Engines) -> VllmEngine:
    return engines.newest


@pytest.fixture
def either(contender: Engines | Elsewhere) -> Client:
    assert contender.newest.stats() == EMPTY, "the test before has left something"
    return Client(contender.newest, contender.loaded)


@pytest.fixture
def client(engine: VllmEngine, engines: Engines) -> Client:
    assert engine.stats() == EMPTY, "the test before has left something"
    return Client(engine, engines.loaded)


def rest_of(sink: Recorder, num_tokens: int) -> tuple[Any, ...]:
    """What a run generated behind so many of its tokens: ids, text, how it ended, the written candidates."""
    rest = sink.chunks[[0, *ends_of(sink)].index(num_tokens) :]
    ids = [token_id for chunk in rest for token_id in chunk.token_ids]
    candidates = [[one.token for one in at[:1]] for chunk in rest for at in chunk.logprobs or ()]
    return ids, "".join(chunk.text for chunk in rest), rest[-1].finish, rest[-1].stop_reason, candidates


def ends_of(sink: Recorder) -> list[int]:
    """The tokens of a run up to the end of each chunk. A chunk has one, or more where nobody was there to take it."""
    return list(accumulate(len(chunk.token_ids) for chunk in sink.chunks))


def cuts_of(sink: Recorder, rng: random.Random) -> set[int]:
    """Places between chunks where a run may have been cut: not behind its end, and once before its last tokens."""
    places = [end for end in ends_of(sink) if 0 < end < len(sink.token_ids)]
    return {places[-1], *rng.sample(places, min(NUM_CUTS, len(places)))}


async def test_the_rest_is_the_same_wherever_it_was_cut(either: Client) -> None:
    """All kinds in one batch, which differs from the one of the uncut runs."""
    client = either
    rng = random.Random(14)
    kinds = [(name, number) for name in KINDS for number in range(NUM_SEEDS)]
    uncut = await asyncio.gather(*(client.run(KINDS[name], more_seed=number) for name, number in kinds))
    cases = [(*kind, sink, cut) for kind, sink in zip(kinds, uncut, strict=True) for cut in cuts_of(sink, rng)]
    rng.shuffle(cases)
    continued = await asyncio.gather(*(
        client.run(KINDS[name], more_seed=number, generated=sink.token_ids[:cut]) for name, number, sink, cut in cases
    ))  # fmt: skip
    recovered = {name: [0, 0] for name in KINDS}
    for (name, number, sink, cut), rest in zip(cases, continued, strict=True):
        recovered[name][0] += (same := rest_of(rest, 0) == rest_of(sink, cut))
        recovered[name][1] += 1
        if not same:
            print(name, number, cut, rest_of(sink, cut), rest_of(rest, 0), sep="\n  ")
    print({name: f"{good}/{all_}" for name, (good, all_) in recovered.items()})
    assert all(good == all_ > 0 for good, all_ in recovered.values())
    assert client.engine.stats() == EMPTY
    plain = dict(zip(KINDS, uncut[::NUM_SEEDS], strict=True))
    for name in ("presence penalty", "frequency penalty", "repetition penalty"):
        assert plain[name].text != plain["seed, hot"].text, "a kind that shows nothing"
    assert plain["logit bias"].text != plain["greedy"].text
    assert "</think>" in plain["schema behind reasoning"].text
    finishes = {(sink.finish, sink.chunks[-1].stop_reason) for sink in uncut}
    assert {(FinishReason.STOP, None), (FinishReason.LENGTH, None), (FinishReason.STOP, " 7, 8")} <= finishes


async def test_a_prompt_that_takes_several_steps_and_what_was_generated(either: Client) -> None:
    """The steps before the last one draw nothing that counts. Another salt, so that nothing is in the prefix cache."""
    client = either
    kind = Kind({**SEEDED, "ignore_eos": True, "max_tokens": 12}, question="what is 2 + 3? " * 300)
    uncut = await client.run(kind, cache_salt="one")
    cut = next(end for end in ends_of(uncut) if end >= 6)
    rest = await client.run(kind, cache_salt="two", generated=uncut.token_ids[:cut])
    assert rest_of(rest, 0) == rest_of(uncut, cut)


async def test_an_abort_gives_what_was_held_back(either: Client) -> None:
    client = either
    kind = Kind({**GREEDY, "stop": ("1, 2, 3, 4, 5, 6, 7, 8, 9, 11",)}, question="count to 10")
    uncut = await client.run(kind)
    sink, had = Recorder(), uncut.chunks[:-4]  # a chunk may have several tokens
    request = client.request(kind, generated=[token_id for chunk in had for token_id in chunk.token_ids])
    await client.engine.submit(request, sink)
    await client.engine.abort(request.request_id)
    before = sum(len(chunk.text) for chunk in had)
    assert sink.text
    assert uncut.text[before:].startswith(sink.text)


async def test_what_has_ended_or_can_not_be_is_refused(client: Client, engine: VllmEngine, engines: Engines) -> None:
    kind = Kind({**GREEDY, "max_tokens": 20, "stop_token_ids": (301,), "stop": ("over",)})
    tokenizer, length = engines.loaded.tokenizer, engines.loaded.model.max_model_len
    for generated, message in (
        ([10] * 20, "has ended"),
        ([10, tokenizer.eos_token_id], "has ended"),
        ([301, 10], "has ended"),
        (tokenizer.encode("it is over"), "has ended"),
        ([10**6], "whole numbers"),
        ([-1], "whole numbers"),
        ([True], "whole numbers"),
    ):
        with pytest.raises(EngineRefused, match=message):
            await engine.submit(client.request(kind, generated=generated), Recorder())
    long = Kind({**GREEDY, "max_tokens": length})
    with pytest.raises(EngineRefused, match="has ended"):
        await engine.submit(client.request(long, generated=[10] * (length - 5)), Recorder())
    with pytest.raises(EngineRefused, match="can't hold"):  # the grammar does not accept it, in EngineCore
        await client.run(Kind(GREEDY, ITEMS), generated=tokenizer.encode("12"))
    assert (await client.run(kind)).token_ids
    assert engine.stats() == EMPTY


async def test_an_engine_that_can_not_go_on_says_so(
    client: Client, engine: VllmEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_goes_on", False)
    with pytest.raises(EngineRefused, match="can't go on"):
        await engine.submit(client.request(Kind(GREEDY), generated=[10]), Recorder())
    assert (await client.run(Kind(GREEDY))).token_ids


class Killer(Recorder):
    """Kills EngineCore when all of them have taken a number of tokens."""

    left: int
    pid: int

    def on_chunk(self, chunk: Any) -> None:
        super().on_chunk(chunk)
        Killer.left -= len(chunk.token_ids)
        if Killer.left <= 0 and Killer.pid:
            os.kill(Killer.pid, signal.SIGKILL)
            Killer.pid = 0


async def test_all_go_on_when_engine_core_was_killed(engines: Engines) -> None:
    """Those that wait, those in their prompt and those in their answer, in the engine that replaces it."""
    supervised, fingerprint = engines.supervised, engines.loaded.fingerprint
    assert fingerprint
    assert (engines.loaded.goes_on, engines.loaded.seeds_are_free) == (True, True)
    names = [name for name in KINDS if "reasoning" not in name]
    uncut = await asyncio.gather(*(Client(supervised, engines.loaded).run(KINDS[name]) for name in names))
    rng = random.Random(3)
    for _ in range(effort(1, 5)):
        await kill_and_go_on(engines, names, uncut, rng)
    assert (engines.loaded.fingerprint, engines.loaded.goes_on) == (fingerprint, True)
    assert supervised.status.start_seconds


async def kill_and_go_on(engines: Engines, names: list[str], uncut: list[Recorder], rng: random.Random) -> None:
    """Run all kinds, kill EngineCore at a random moment, and compare with the uncut runs."""
    supervised, killed, loop = engines.supervised, engines.newest, asyncio.get_running_loop()
    client = Client(supervised, engines.loaded)
    Killer.left, Killer.pid = rng.randrange(1, sum(len(sink.token_ids) for sink in uncut) // 2), core_pid(killed)
    sinks = [Killer() for _ in names]
    for name, sink in zip(names, sinks, strict=True):
        await supervised.submit(client.request(KINDS[name]), sink)
    await asyncio.wait_for(asyncio.gather(*(sink.ended.wait() for sink in sinks)), 120)
    died_at = loop.time()
    cut = [(name, sink, whole) for name, sink, whole in zip(names, sinks, uncut, strict=True) if sink.error]
    assert all(isinstance(sink.error, EngineDead) for _, sink, _ in cut)
    assert len(cut) > len(names) // 2
    await asyncio.wait_for(supervised.wait_ready(), 240)
    assert engines.newest is not killed
    ready_at, rests = loop.time(), [Recorder() for _ in cut]
    for (name, sink, _), rest in zip(cut, rests, strict=True):
        await supervised.submit(client.request(KINDS[name], generated=sink.token_ids), rest)
    await asyncio.wait_for(asyncio.gather(*(rest.first.wait() for rest in rests)), 120)
    first_at = loop.time()
    await asyncio.wait_for(asyncio.gather(*(rest.ended.wait() for rest in rests)), 120)
    num_tokens = sum(len(sink.token_ids) for sink in sinks)
    print(
        f"killed at token {num_tokens}: ready after {ready_at - died_at:.1f} s, "
        f"all {len(cut)} have their next token {first_at - ready_at:.2f} s later"
    )
    for (name, sink, whole), rest in zip(cut, rests, strict=True):
        assert rest_of(rest, 0) == rest_of(whole, len(sink.token_ids)), name
        assert sink.text + rest.text == whole.text, name


@contextlib.asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[tuple[Client, Loaded]]:
    """Start another engine."""
    engine = VllmEngine(VllmOptions(max_num_seqs=8, **options))
    try:
        loaded = await engine.start()
        yield Client(engine, loaded), loaded
    finally:
        await engine.shutdown()


@pytest.mark.long
@pytest.mark.parametrize("model", ["starter", "gpt_oss"])
async def test_workers_in_processes_of_their_own_and_another_model(model: str) -> None:
    """The other model has attention that slides over a window."""
    options: dict[str, Any] = {"model": str(gpt_oss.model_folder())} if model == "gpt_oss" else {}
    extra = {"distributed_executor_backend": "mp"} if model == "starter" else {}
    long_prompt = Kind({**SEEDED, "ignore_eos": True, "max_tokens": 12}, question="what is 2 + 3? " * 300)
    async with serving(**options, extra=extra) as (client, loaded):
        assert (loaded.goes_on, loaded.seeds_are_free) == (True, True)
        executor = client.engine._llm.vllm_config.parallel_config.distributed_executor_backend
        assert executor == extra.get("distributed_executor_backend", "uni")
        for kind in (*(KINDS[name] for name in ("greedy", "seed", "seed, all penalties", "regex, seed")), long_prompt):
            uncut = await client.run(kind)
            for cut in (1, len(uncut.token_ids) // 2, len(uncut.token_ids) - 1):
                rest = await client.run(kind, generated=uncut.token_ids[:cut], cache_salt="none of it")
                assert rest_of(rest, 0) == rest_of(uncut, cut), (kind, cut)


@pytest.mark.long
async def test_with_speculative_decoding_an_engine_serves_and_does_not_go_on() -> None:
    guess = {"method": "ngram", "num_speculative_tokens": 2, "prompt_lookup_max": 3}
    async with serving(extra={"speculative_config": guess}) as (client, loaded):
        assert not loaded.goes_on
        assert (await client.run(KINDS["greedy"])).token_ids
        with pytest.raises(EngineRefused, match="can't go on"):
            await client.run(KINDS["greedy"], generated=[10])


@pytest.mark.long
async def test_an_answer_about_an_image(tmp_path: Path) -> None:
    vision_model.make(tmp_path)
    kind = Kind({**SEEDED, "ignore_eos": True, "max_tokens": 20}, question="What is this?")
    async with serving(model=str(tmp_path)) as (client, loaded):
        view = read(image("red", (64, 48)), 10_000).view(None)
        marker = client.engine._llm.model_config.hf_config.image_token_id
        prompt = [marker, *loaded.tokenizer.encode("What is this?")]

        async def run(**members: Any) -> Recorder:
            seen = await client.engine.look(prompt, [view])
            return await client.run(kind, seen=seen, prompt_token_ids=seen.token_ids, **members)

        uncut = await run()
        for cut in (1, 10, 19):
            rest = await run(generated=uncut.token_ids[:cut], cache_salt="none of it")
            assert rest_of(rest, 0) == rest_of(uncut, cut)
