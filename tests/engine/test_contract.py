"""The real vLLM, in this process and elsewhere (`vllm serve`), on the embedded starter model: that both keep the
promises of `Engine`. What only one of them can show is in test_vllm and in remote/.
"""

from __future__ import annotations

import asyncio
import json
import random

import pytest

from realtime.engine.base import EngineRefused, EngineRequest, FinishReason, Loaded, Sampling, TokenChunk
from realtime.engine.options import STARTER_MODEL
from realtime.engine.remote.engine import RemoteEngine
from tests.support.elsewhere import Elsewhere
from tests.support.engines import NUM_SEQS, Engines
from tests.support.long import effort

from .asking import EMPTY, ONE, QUESTIONS, Client, by_schema, constrained, model_file
from .recorder import Recorder

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings("ignore"),  # importing vLLM and torch warns of their own affairs
]


@pytest.fixture
def loaded(contender: Engines | Elsewhere) -> Loaded:
    return contender.loaded


@pytest.fixture
def client(contender: Engines | Elsewhere) -> Client:
    assert contender.newest.stats() == EMPTY, "the test before has left something"
    return Client(contender.newest, contender.loaded)


async def test_a_seeded_prompt_that_is_read_in_several_steps_ends_nobody(client: Client) -> None:
    """Draws of a step that has not read all of a prompt are taken back, which vLLM can't on a CPU."""
    longer_than_a_step = "what is 2 + 3? " * 420
    wanted = {"seed": 1, "temperature": 0.7, "max_tokens": 20, "ignore_eos": True}
    alone = await client.run(longer_than_a_step, **wanted)
    assert alone.finish is FinishReason.LENGTH
    together = await asyncio.gather(*(client.run(longer_than_a_step, **wanted) for _ in range(8)))
    assert {sink.text for sink in together} == {alone.text}, "a draw that was taken back was not"


async def test_model_info(loaded: Loaded) -> None:
    config, generation = model_file("config.json"), model_file("generation_config.json")
    assert (loaded.model.name, loaded.model.path) == ("starter", STARTER_MODEL)
    assert loaded.model.max_model_len == config["max_position_embeddings"]
    assert loaded.model.defaults.temperature == generation.get("temperature", 1.0)
    assert loaded.model.defaults.top_p == generation.get("top_p", 1.0)
    assert loaded.model.defaults.repetition_penalty == 1.0


async def test_streams_the_greedy_decoding_of_the_model(client: Client) -> None:
    """Against transformers: each token is the likeliest one, but for the noise of bfloat16; the text is the tokens'."""
    import torch
    from transformers import AutoModelForCausalLM

    sink = await client.run("count to 10", temperature=0.0, max_tokens=1000)
    assert sink.finish is FinishReason.STOP, sink.text
    assert len(sink.chunks) > 10
    assert sink.text == client.tokenizer.decode(sink.token_ids, skip_special_tokens=True)
    assert "<|im_end|>" not in sink.text
    prompt = client.prompt("count to 10")
    model = AutoModelForCausalLM.from_pretrained(STARTER_MODEL, dtype=torch.float32)
    with torch.no_grad():
        logits = model(torch.tensor([[*prompt, *sink.token_ids]])).logits[0, len(prompt) - 1 : -1]
    chosen = logits.gather(1, torch.tensor(sink.token_ids)[:, None])[:, 0]
    assert (logits.max(1).values - chosen).max() < 0.25


async def test_special_tokens_on_demand(client: Client) -> None:
    sink = await client.run("hello", temperature=0.0, skip_special_tokens=False)
    assert sink.text in client.tokenizer.decode(sink.token_ids)
    assert sink.chunks[-1].token_ids[-1] == client.tokenizer.eos_token_id


async def test_many_at_once_give_the_same_texts_as_one_by_one(client: Client) -> None:
    alone = {question: (await client.run(question, temperature=0.0)).text for question in QUESTIONS}
    sinks = [(question, (await client.submit(question, temperature=0.0))[1]) for question in QUESTIONS * effort(7, 11)]
    assert len(sinks) > NUM_SEQS, "some wait"
    for question, sink in sinks:
        await asyncio.wait_for(sink.ended.wait(), 120)
        assert sink.text == alone[question]


async def test_sampling_options_reach_the_engine(client: Client) -> None:
    options = {"temperature": 2.0, "top_p": 1.0, "top_k": 0, "ignore_eos": True, "max_tokens": 30}
    one, same, other = [await client.run("hello", seed=seed, **options) for seed in (1, 1, 2)]
    assert one.token_ids == same.token_ids != other.token_ids
    assert (len(one.token_ids), one.finish) == (30, FinishReason.LENGTH)
    greedy = await client.run("hello", temperature=0.0, max_tokens=5)
    first_k = await client.run("hello", temperature=2.0, top_k=1, max_tokens=5)
    assert greedy.token_ids == first_k.token_ids


async def test_length_at_the_end_of_the_context(client: Client) -> None:
    prompt = client.prompt("hello")
    request = EngineRequest(
        request_id="context",
        prompt_token_ids=prompt * ((client.max_model_len - 5) // len(prompt)),
        sampling=Sampling(max_tokens=10_000, ignore_eos=True),
    )
    sink = Recorder()
    await client.engine.submit(request, sink)
    await asyncio.wait_for(sink.ended.wait(), 120)
    assert sink.finish is FinishReason.LENGTH
    assert len(request.prompt_token_ids) + len(sink.token_ids) == client.max_model_len


async def test_stop_string_never_leaks(client: Client) -> None:
    whole = (await client.run("count to 10", temperature=0.0)).text
    stop = whole[len(whole) // 2 :][:5]
    sink = await client.run("count to 10", temperature=0.0, stop=(stop, "no such text at all"))
    assert sink.text == whole[: whole.index(stop)]
    assert (sink.finish, sink.chunks[-1].stop_reason) == (FinishReason.STOP, stop)


async def test_logprobs(client: Client) -> None:
    sink = await client.run("hello", temperature=0.0, num_logprobs=3, max_tokens=4)
    positions = [position for chunk in sink.chunks for position in chunk.logprobs or ()]
    assert [position[0].token_id for position in positions] == sink.token_ids
    for position in positions:
        assert len(position) == 3  # greedy: the sampled token is the first of the top ones
        assert sorted((entry.logprob for entry in position), reverse=True) == [entry.logprob for entry in position]


async def test_refusals(client: Client) -> None:
    engine = client.engine
    too_long = (5,) * (client.max_model_len + 1)
    for prompt, sampling in (
        (too_long, Sampling(max_tokens=1)),
        ((), Sampling(max_tokens=1)),
        ((10**6,), Sampling(max_tokens=1)),
        ((5,), Sampling(max_tokens=0)),
        ((5,), Sampling(max_tokens=1, temperature=-1.0)),
        ((5,), Sampling(max_tokens=1, num_logprobs=10**6)),
    ):
        with pytest.raises(EngineRefused):
            await engine.submit(EngineRequest(request_id="bad", prompt_token_ids=prompt, sampling=sampling), Recorder())
    request_id, sink = await client.endless()
    with pytest.raises(EngineRefused, match="in use"):
        await engine.submit(
            EngineRequest(request_id=request_id, prompt_token_ids=(5,), sampling=Sampling(max_tokens=1)), Recorder()
        )
    await engine.abort(request_id)
    assert sink.finish is FinishReason.ABORT


async def test_prefix_cache_hits_are_reported_and_salted(client: Client) -> None:
    prompt = client.prompt("tell me a story about a fox " * 20)

    async def num_cached(salt: str) -> int:
        Client.count += 1
        request = EngineRequest(
            request_id=f"r{Client.count}",
            prompt_token_ids=prompt,
            sampling=Sampling(max_tokens=1),
            cache_salt=salt,
        )
        sink = Recorder()
        await client.engine.submit(request, sink)
        await asyncio.wait_for(sink.ended.wait(), 120)
        return sum(chunk.num_cached_tokens for chunk in sink.chunks)  # one of them has it

    assert await num_cached("a") == 0
    assert await num_cached("a") >= 128  # a block
    assert await num_cached("b") == 0


async def test_abort_of_unknown_and_finished_requests(client: Client) -> None:
    await client.engine.abort("nobody")
    request_id, sink = await client.submit(max_tokens=1)
    await asyncio.wait_for(sink.ended.wait(), 120)
    await client.engine.abort(request_id)
    assert sink.finish is FinishReason.LENGTH


@pytest.mark.parametrize("at", [1, 4], ids=("first_output", "ordinary_step"))
async def test_a_sink_that_raises_harms_no_other(at: int, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Recorder):
        def on_chunk(self, chunk: TokenChunk) -> None:
            super().on_chunk(chunk)
            if len(self.chunks) == at:
                raise ZeroDivisionError

    expected = (await client.run("count to 10", temperature=0.0)).text
    _, broken = await client.submit("count to 10", Broken(), temperature=0.0)
    sound = await client.run("count to 10", temperature=0.0)
    assert sound.text == expected
    assert len(broken.chunks) == at
    assert "sink failed" in caplog.text
    assert client.engine.stats() == EMPTY


async def test_a_constraint_holds_and_what_does_not_compile_is_refused_with_its_place(client: Client) -> None:
    for _ in range(2):
        with pytest.raises(EngineRefused, match="no text matches it") as refused:
            await constrained(client, by_schema({"anyOf": []}))
        assert refused.value.param == "text.format.schema"
        sink = await constrained(client, by_schema(ONE))
        assert json.loads(sink.text) == {"a": 7}
    assert client.engine.stats().takes_constraints


async def test_abort_frees_the_slot(client: Client) -> None:
    running = [await client.endless() for _ in range(NUM_SEQS)]
    _, waiting = await client.submit(max_tokens=3)
    for _, sink in running:
        await asyncio.wait_for(sink.first.wait(), 120)
    while client.engine.stats().num_waiting != 1:  # noqa: ASYNC110 - the scheduler reports with its next step
        await asyncio.sleep(0.01)
    assert client.engine.stats().num_running == NUM_SEQS
    assert isinstance(client.engine, RemoteEngine) or client.engine.stats().kv_cache_usage > 0
    assert not waiting.chunks
    await client.engine.abort(running[0][0])
    await asyncio.wait_for(waiting.ended.wait(), 120)
    assert not running[1][1].ended.is_set(), "no other slot became free"
    await asyncio.gather(*(client.engine.abort(request_id) for request_id, _ in running))
    assert client.engine.stats() == EMPTY


async def test_200_aborts_at_random_moments_leave_nothing(client: Client) -> None:
    rng = random.Random(11)
    sinks: list[Recorder] = []

    async def one(number: int) -> None:
        await asyncio.sleep(rng.random())  # spreads the requests; nothing depends on it
        request_id, sink = await client.submit(max_tokens=rng.randint(1, 60), ignore_eos=True)
        sinks.append(sink)
        if number % 20 == 0:
            await asyncio.wait_for(sink.ended.wait(), 120)
        for _ in range(rng.choice((0, 0, 1, 5, 20, 50))):
            if not sink.ended.is_set():
                await asyncio.sleep(0.002)  # a random moment
        await client.engine.abort(request_id)
        assert sink.ended.is_set()

    await asyncio.gather(*(one(number) for number in range(200)))
    assert client.engine.stats() == EMPTY
    assert all(sink.error is None for sink in sinks)
    assert len({sink.finish for sink in sinks}) == 2, "some finished, some were aborted"


async def test_a_tenants_first_use_compiles_again(client: Client) -> None:
    compiled = client.engine._grammars.num_compiled
    counts = []
    for salt in ("ada", "ada", "eve", "eve"):
        await constrained(client, by_schema({**ONE, "title": "first use"}), tenant=salt, cache_salt=salt)
        counts.append(client.engine._grammars.num_compiled - compiled)
    assert counts == [1, 1, 2, 2]
