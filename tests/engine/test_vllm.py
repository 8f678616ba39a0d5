"""The real vLLM, on the embedded starter model: that `VllmEngine` keeps the promises of `Engine`."""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import os
import random
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from realtime.engine import structural_tags
from realtime.engine.base import (
    EngineDead,
    EngineError,
    EngineOverloaded,
    EngineRefused,
    EngineRequest,
    EngineStats,
    FinishReason,
    Loaded,
    Sampling,
    TokenChunk,
)
from realtime.engine.options import STARTER_MODEL, VllmOptions
from realtime.engine.parsing import Constraint
from realtime.engine.supervisor import EngineState
from realtime.engine.vllm.engine import VllmEngine
from realtime.observability.exposition import texts
from tests.observability.scrapes import value
from tests.support.engines import NUM_SEQS, Engines, left_behind

from .recorder import Recorder

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings("ignore"),  # importing vLLM and torch warns of their own affairs
]

EMPTY = EngineStats(0, 0, 0.0)
QUESTIONS = (
    "count to 10",
    "add 3 and 4",
    "hello",
    "what is the capital of France?",
    "say the alphabet",
    "who are you?",
)


@pytest.fixture
def engine(engines: Engines) -> VllmEngine:
    return engines.newest


@pytest.fixture
def loaded(engines: Engines) -> Loaded:
    return engines.loaded


class Client:
    """Makes requests with ids of their own."""

    count = 0

    def __init__(self, engine: Any, loaded: Loaded) -> None:
        self.engine = engine
        self.tokenizer = loaded.tokenizer
        self.max_model_len = loaded.model.max_model_len

    def prompt(self, question: str) -> tuple[int, ...]:
        tokenizer = self.tokenizer
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], add_generation_prompt=True, tokenize=False
        )
        return tuple(tokenizer.encode(text))

    async def submit(
        self, question: str = "hello", sink: Recorder | None = None, max_tokens: int = 100, **sampling: Any
    ) -> tuple[str, Recorder]:
        Client.count += 1
        sink = sink or Recorder()
        request = EngineRequest(
            request_id=f"r{Client.count}",
            prompt_token_ids=self.prompt(question),
            sampling=Sampling(max_tokens=max_tokens, **sampling),
        )
        await self.engine.submit(request, sink)
        return request.request_id, sink

    async def run(self, question: str, **sampling: Any) -> Recorder:
        _, sink = await self.submit(question, **sampling)
        await asyncio.wait_for(sink.ended.wait(), 30)
        return sink

    async def endless(self) -> tuple[str, Recorder]:
        """A generation that is certainly still running in the next seconds."""
        room = self.max_model_len - len(self.prompt("hello"))
        return await self.submit(max_tokens=room, ignore_eos=True)


@pytest.fixture
def client(engine: VllmEngine, loaded: Loaded) -> Client:
    assert engine.stats() == EMPTY, "the test before has left something"
    return Client(engine, loaded)


def core_pid(engine: VllmEngine) -> int:
    assert engine._llm is not None
    pid: int = engine._llm.engine_core.resources.engine_manager.processes[0].pid
    return pid


def model_file(name: str) -> Any:
    return json.loads(Path(STARTER_MODEL, name).read_text())


@contextmanager
def frozen(engine: VllmEngine) -> Iterator[None]:
    """EngineCore stands still."""
    os.kill(core_pid(engine), signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(core_pid(engine), signal.SIGCONT)


async def test_internals_of_vllm_are_as_we_know_them(engine: VllmEngine) -> None:
    """If this fails after an upgrade of vLLM, read realtime/engine/vllm/engine.py at each `# internal:`."""
    from vllm.model_executor.models import registry
    from vllm.sampling_params import SamplingParams, StructuredOutputsParams
    from vllm.v1.core.sched import scheduler
    from vllm.v1.engine import EngineCoreEventType, async_llm, core, input_processor, output_processor, utils
    from vllm.v1.executor import multiproc_executor, uniproc_executor
    from vllm.v1.structured_output import StructuredOutputManager
    from vllm.v1.worker import gpu_model_runner

    def source(thing: Any) -> str:
        return inspect.getsource(thing)

    collector = output_processor.RequestOutputCollector
    assert not hasattr(collector, "__slots__"), "`put` of a collector can't be replaced any more"
    assert "self.output" in source(collector.put), "a collector keeps what was put in something else than `output`"
    process = source(output_processor.OutputProcessor.process_outputs)
    assert "req_state.queue.put(request_output)" in process, "outputs reach the collector by another way than `put`"
    assert "queue.put(e)" in source(output_processor.OutputProcessor.propagate_error)
    handler = source(async_llm.AsyncLLM._run_output_handler)
    assert "log_stats = self.log_stats" in handler, "the handler reads `log_stats` elsewhere"
    assert "[self.logger_manager]" in handler, "the handler reads `logger_manager` elsewhere"
    assert "output_processor.update_scheduler_stats(outputs.scheduler_stats)" in handler
    assert "self._update_stats_from_output(" in process, "see statistics"
    assert "self._update_stats_from_finished(" in process, "see statistics"
    assert "outputs.timestamp," in handler, "see statistics"
    assert [core_event.value for core_event in EngineCoreEventType] == [1, 2, 3], "see statistics"
    stats = source(scheduler.Scheduler.make_stats)
    assert "running_lora_adapters" not in stats, "see core_patches"
    assert "-{random_uuid():.8}" in source(input_processor.InputProcessor.assign_request_id), "see statistics"
    assert "__slots__" not in vars(output_processor.RequestState), "the state of a request takes no times of ours"
    assert "self.output_handler = asyncio.create_task" in handler, "a death is noticed by the end of this task"
    assert "get_mp_context()" in source(utils.CoreEngineProcManager.__init__), "EngineCore starts in another way"
    assert "_run_in_subprocess(" in source(registry._LazyRegisteredModel.inspect_model_cls)
    assert source(gpu_model_runner.GPUModelRunner._bookkeeping_sync).count(".generators") == 1, "see core_patches"
    assert "self.discard_request_mask.np[:num_reqs]" in source(gpu_model_runner.GPUModelRunner._bookkeeping_sync)
    for executor in (multiproc_executor, uniproc_executor):
        assert "= get_file_store_init_method()" in source(executor), "see core_patches"
    bounds = inspect.signature(StructuredOutputManager._get_constraint_bounds)
    assert list(bounds.parameters) == ["self", "request", "spec_tokens", "spec_tokens_committed"], "see core_patches"
    mask = source(StructuredOutputManager.grammar_bitmask)
    assert "for req_id in structured_output_request_ids" in mask, "rows of the mask are in another order"
    assert "grammar.accept_tokens(request.request_id, new_token_ids[grammar_start:])" in source(
        StructuredOutputManager.accept_tokens
    )
    assert "self.structured_outputs_config," in source(input_processor.InputProcessor._validate_params)
    validate = source(SamplingParams._validate_structured_outputs)
    assert "if structured_outputs_config is None or self.structured_outputs is None:\n            return" in validate
    assert "_backend" in StructuredOutputsParams.__dataclass_fields__
    begin = source(StructuredOutputManager.grammar_init)
    assert "self.executor.submit(self._create_grammar, request)" in begin, "grammars are compiled elsewhere"
    assert "structured_outputs._backend" in begin
    create = source(StructuredOutputManager._create_grammar)
    assert "self.backend.compile_grammar(" in create
    assert "struct_request.structured_output_key" in create
    assert "grammar_compile_error_reqs" in source(scheduler.Scheduler._handle_blocked_waiting_request)
    requests = source(core.EngineCoreProc._handle_client_request)
    assert "self.abort_requests(request)" in requests, "aborts and utility calls no longer share one ordered queue"
    assert "self._invoke_utility_method" in requests
    assert "is_scheduler_paused_async" in source(async_llm.AsyncLLM.is_paused), "the abort barrier is no round trip"


async def test_how_far_a_long_prompt_is_read_is_told_while_it_is(engine: VllmEngine, client: Client) -> None:
    question = "well, " + "what is 2 + 3? " * 420  # more than a step, and not cached
    request_id, sink = await client.submit(question, max_tokens=2)
    seen: list[int] = []
    while not sink.first.is_set():
        if (read := engine.stats().prefill.get(request_id)) is not None and read not in seen:
            seen.append(read)
        await asyncio.sleep(0.001)  # the engine steps on its own
    await sink.ended.wait()
    assert seen
    assert seen == sorted(seen)
    assert seen[-1] < len(client.prompt(question))
    assert engine.stats().prefill == {}


async def test_the_metrics_have_what_engine_core_says(engine: VllmEngine, client: Client) -> None:
    """Times of the queue, the prompt and the answer for each request, and the tokens of each step."""
    before = scraped(engine)
    results = await asyncio.gather(*(client.run(question, max_tokens=20, ignore_eos=True) for question in QUESTIONS))
    after = scraped(engine)

    def more(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    number, num_prompt = len(QUESTIONS), sum(len(client.prompt(question)) for question in QUESTIONS)
    assert [len(result.token_ids) for result in results] == [20] * number
    assert more("vllm:prompt_tokens_total") == num_prompt
    assert more("vllm:prompt_tokens_by_source_total") == num_prompt
    assert more("vllm:prefix_cache_queries_total") == num_prompt
    assert more("vllm:request_queue_time_seconds_count") == number
    assert more("vllm:inter_token_latency_seconds_count") == 19 * number  # every token but the first ones
    read = more("vllm:prompt_tokens_by_source_total", source="local_compute")
    assert more("vllm:iteration_tokens_total_sum") == read + 20 * number
    parts = [more(f"vllm:request_{part}_time_seconds_sum") for part in ("prefill", "decode", "inference")]
    assert parts[0] > 0
    assert parts[0] + parts[1] == pytest.approx(parts[2])
    assert value(after, "vllm:cache_config_info") == 1


def scraped(engine: VllmEngine) -> str:
    return b"".join(texts([engine._statistics._metrics])).decode()


async def test_tracing_of_vllms_own_is_refused_by_name() -> None:
    for name in ("otlp_traces_endpoint", "collect_detailed_traces"):
        options = VllmOptions(model=STARTER_MODEL, extra={name: "http://localhost:4318"})
        with pytest.raises(EngineError, match=f"{name}.*OTEL_EXPORTER_OTLP_ENDPOINT"):
            await VllmEngine(options).start()


async def test_a_seeded_prompt_that_is_read_in_several_steps_ends_nobody(client: Client) -> None:
    """Draws of a step that has not read all of a prompt are taken back, which vLLM can't on a CPU."""
    longer_than_a_step = "what is 2 + 3? " * 420
    wanted = {"seed": 1, "temperature": 0.7, "max_tokens": 20, "ignore_eos": True}
    alone = await client.run(longer_than_a_step, **wanted)
    assert alone.finish is FinishReason.LENGTH
    together = await asyncio.gather(*(client.run(longer_than_a_step, **wanted) for _ in range(8)))
    assert {sink.text for sink in together} == {alone.text}, "a draw that was taken back was not"


async def test_importing_our_module_imports_no_vllm() -> None:
    code = "import sys, realtime.engine.vllm.engine; sys.exit(bool(sys.modules.keys() & {'vllm', 'torch'}))"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await process.wait() == 0


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
    sinks = [(question, (await client.submit(question, temperature=0.0))[1]) for question in QUESTIONS * 11]
    assert len(sinks) >= 64
    for question, sink in sinks:
        await asyncio.wait_for(sink.ended.wait(), 30)
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
    await asyncio.wait_for(sink.ended.wait(), 30)
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


async def test_overload(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client.engine._llm.scheduler_config, "max_num_queued_reqs", 1)
    request_id, _ = await client.endless()
    with pytest.raises(EngineOverloaded):
        await client.submit()
    await client.engine.abort(request_id)


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
        await asyncio.wait_for(sink.ended.wait(), 30)
        return sink.chunks[0].num_cached_tokens

    assert await num_cached("a") == 0
    assert await num_cached("a") >= 128  # a block
    assert await num_cached("b") == 0


async def test_abort_waits_for_engine_core(client: Client) -> None:
    """The proof that the barrier is one: while EngineCore stands still, no abort returns."""
    runs = [await client.endless() for _ in range(3)]
    for _, sink in runs:
        await asyncio.wait_for(sink.first.wait(), 30)
    with frozen(client.engine):
        aborts = [asyncio.create_task(client.engine.abort(request_id)) for request_id, _ in runs]
        await asyncio.wait(aborts, timeout=0.3)  # a time in which nothing must happen
        assert not any(task.done() for task in aborts)
        assert all(sink.finish is FinishReason.ABORT for _, sink in runs)
        assert client.engine.stats().num_running == 3
        again = asyncio.create_task(client.engine.abort(runs[0][0]))
    await asyncio.wait_for(asyncio.gather(*aborts, again), 30)
    assert client.engine.stats() == EMPTY


async def test_abort_frees_the_slot(client: Client) -> None:
    running = [await client.endless() for _ in range(NUM_SEQS)]
    _, waiting = await client.submit(max_tokens=3)
    for _, sink in running:
        await asyncio.wait_for(sink.first.wait(), 30)
    while client.engine.stats().num_waiting != 1:  # noqa: ASYNC110 - the scheduler reports with its next step
        await asyncio.sleep(0.01)
    assert client.engine.stats().num_running == NUM_SEQS
    assert client.engine.stats().kv_cache_usage > 0
    assert not waiting.chunks
    await client.engine.abort(running[0][0])
    await asyncio.wait_for(waiting.ended.wait(), 30)
    assert not running[1][1].ended.is_set(), "no other slot became free"
    await asyncio.gather(*(client.engine.abort(request_id) for request_id, _ in running))
    assert client.engine.stats() == EMPTY


async def test_abort_of_unknown_and_finished_requests(client: Client) -> None:
    await client.engine.abort("nobody")
    request_id, sink = await client.submit(max_tokens=1)
    await asyncio.wait_for(sink.ended.wait(), 30)
    await client.engine.abort(request_id)
    assert sink.finish is FinishReason.LENGTH


async def test_200_aborts_at_random_moments_leave_nothing(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(11)
    sinks: list[Recorder] = []

    async def one(number: int) -> None:
        await asyncio.sleep(rng.random())  # spreads the requests; nothing depends on it
        request_id, sink = await client.submit(max_tokens=rng.randint(1, 60), ignore_eos=True)
        sinks.append(sink)
        if number % 20 == 0:
            await asyncio.wait_for(sink.ended.wait(), 60)
        for _ in range(rng.choice((0, 0, 1, 5, 20, 50))):
            if not sink.ended.is_set():
                await asyncio.sleep(0.002)  # a random moment
        await client.engine.abort(request_id)
        assert sink.ended.is_set()

    await asyncio.gather(*(one(number) for number in range(200)))
    assert client.engine.stats() == EMPTY
    assert all(sink.error is None for sink in sinks)
    assert len({sink.finish for sink in sinks}) == 2, "some finished, some were aborted"
    reports: list[Any] = []
    monkeypatch.setattr(client.engine._llm.output_processor, "update_scheduler_stats", reports.append)
    await client.run("hello", max_tokens=3)
    counts = [(report.num_running_reqs, report.num_waiting_reqs) for report in reports if report is not None]
    assert max(counts) <= (1, 0), "EngineCore itself holds nothing else"


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


async def test_tokens_that_can_not_be_read_fail_their_request_only(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug of a tokenizer's; in vLLM's own code it would end the engine."""
    from vllm.v1.engine.detokenizer import FastIncrementalDetokenizer

    sound: Any = FastIncrementalDetokenizer._protected_step

    def broken(self: Any, token_id: int) -> Any:
        if self.request_id.startswith(bad_id + "-") and self.num_output_tokens() > 3:
            raise RuntimeError("a bug")
        return sound(self, token_id)

    bad_id = f"r{Client.count + 1}"
    monkeypatch.setattr(FastIncrementalDetokenizer, "_protected_step", broken)
    (_, bad), (_, good) = [await client.submit("count to 10", temperature=0.0) for _ in range(2)]
    for sink in (bad, good):
        await asyncio.wait_for(sink.ended.wait(), 30)
    assert (type(bad.error), good.finish) == (EngineError, FinishReason.STOP)
    assert bad.text == good.text[: len(bad.text)] != ""
    while client.engine.stats() != EMPTY:  # noqa: ASYNC110 - until the abort is confirmed
        await asyncio.sleep(0.01)


async def test_ordinary_steps_are_ours(engine: VllmEngine, client: Client) -> None:
    """All but the first output and the last; nothing of a request is kept behind its end."""
    assert engine._outputs is not None
    before = engine._outputs._vllms_own
    seen: list[str] = []

    def counted(outputs: Any, *rest: Any) -> Any:
        seen.extend(output.request_id for output in outputs)
        return before(outputs, *rest)

    engine._outputs._vllms_own = counted
    try:
        sink = await client.run("count to 10", temperature=0.0)
    finally:
        engine._outputs._vllms_own = before
    assert len(sink.chunks) > 10
    assert len(seen) == 2
    assert not engine._outputs._streams


async def test_an_engine_whose_client_we_do_not_know_is_left_to_vllms_own_tasks(
    engine: VllmEngine, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from realtime.engine.vllm import output_task

    assert engine._llm is not None
    started: list[str] = []
    llm = SimpleNamespace(
        engine_core=SimpleNamespace(vllm_config=engine._llm.vllm_config),  # of another class
        output_handler="vLLM's",
        _run_output_handler=lambda: started.append("vLLM's"),
    )
    handler: Any = output_task.start_output_task(llm)
    assert (handler, started) == ("vLLM's", ["vLLM's"])
    assert output_task._is_known(engine._llm.engine_core)
    monkeypatch.setattr(engine._llm.vllm_config.parallel_config, "enable_fault_tolerance", True)
    assert not output_task._is_known(engine._llm.engine_core)


async def test_cancelled_submit_leaves_nothing(client: Client) -> None:
    sink = Recorder()
    task = asyncio.create_task(client.submit(sink=sink, max_tokens=200, ignore_eos=True))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    for request_id in list(client.engine._routes):
        await client.engine.abort(request_id)
    assert client.engine.stats() == EMPTY


async def test_killed_engine_core_is_noticed_and_replaced(engines: Engines) -> None:
    supervised, killed = engines.supervised, engines.newest
    changed = asyncio.Event()
    supervised.on_status.append(lambda status: changed.set())
    client = Client(supervised, engines.loaded)
    before = (await client.run("count to 10", temperature=0.0)).text
    runs = [await client.endless() for _ in range(NUM_SEQS + 2)]
    await asyncio.wait_for(runs[0][1].first.wait(), 30)
    os.kill(core_pid(killed), signal.SIGSTOP)
    abort = asyncio.create_task(supervised.abort(runs[0][0]))  # its answer will never come
    await asyncio.wait([abort], timeout=0.1)
    os.kill(core_pid(killed), signal.SIGKILL)
    dead = await asyncio.wait_for(killed.wait_dead(), 10)
    assert isinstance(dead, EngineDead)
    await asyncio.wait_for(abort, 10)
    assert all(isinstance(sink.error, EngineDead) for _, sink in runs[1:])
    assert runs[0][1].finish is FinishReason.ABORT
    with pytest.raises(EngineDead):
        await client.submit()
    while supervised.status.state is not EngineState.READY or engines.newest is killed:
        changed.clear()
        await asyncio.wait_for(changed.wait(), 60)
    supervised.on_status.clear()
    assert (await client.run("count to 10", temperature=0.0)).text == before
    assert not left_behind(killed)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (VllmOptions(extra={"max_num_seq": 3}), "max_num_seqs|max_num_batched"),
        (VllmOptions(extra={"max_model_len": 3}), "don't put it in `extra`"),
        (VllmOptions(model="/nowhere/at/all"), "did not start"),
        (VllmOptions(extra={"block_size": 7}), "did not start"),
        (VllmOptions(extra={"structured_outputs_config": {"backend": "guidance"}}), "must be 'xgrammar'"),
        (
            VllmOptions(reasoning_parser="quen3"),
            "reasoning_parser: .* no parser 'quen3', close to qwen3.*deepseek_r1",
        ),
        (VllmOptions(tool_parser="nonsense"), "tool_parser: vLLM has no parser 'nonsense'. It has: .*hermes"),
    ],
)
async def test_what_can_not_start_says_why(options: VllmOptions, message: str) -> None:
    environment = dict(os.environ)
    engine = VllmEngine(options)
    with pytest.raises(EngineError, match=message):
        await engine.start()
    with pytest.raises(EngineDead):
        await engine.submit(
            EngineRequest(request_id="a", prompt_token_ids=(5,), sampling=Sampling(max_tokens=1)), Recorder()
        )
    gc.collect()  # what vLLM leaves behind then warns here, where it is ignored
    assert dict(os.environ) == environment
    assert not left_behind(engine)


async def test_a_request_that_can_not_be_sent_to_the_core_leaves_nothing(engine: VllmEngine, client: Client) -> None:
    """vLLM registers a request before it encodes it."""
    sink = Recorder()
    request = EngineRequest(
        request_id="unsendable",
        prompt_token_ids=client.prompt("hello"),
        sampling=Sampling(max_tokens=5),
        template_kwargs={"a": 2**64},
    )
    with pytest.raises(EngineRefused):
        await engine.submit(request, sink)
    assert engine._llm is not None
    assert not engine._llm.output_processor.request_states
    assert engine.stats() == EMPTY
    assert (await client.run("hello")).text


def by_schema(schema: Any) -> Constraint:
    return Constraint("structural_tag", structural_tags.of_json(schema, "text.format.schema"))


async def constrained(client: Client, constraint: Constraint, **members: Any) -> Recorder:
    Client.count += 1
    request = EngineRequest(
        request_id=f"r{Client.count}",
        prompt_token_ids=client.prompt("hello"),
        sampling=Sampling(max_tokens=200, temperature=0.0),
        constraint=constraint,
        reasoning_ended=True,
        **members,
    )
    sink = Recorder()
    await client.engine.submit(request, sink)
    await asyncio.wait_for(sink.ended.wait(), 30)
    return sink


ONE = {"type": "object", "properties": {"a": {"enum": [7]}}, "required": ["a"], "additionalProperties": False}


async def test_a_constraint_holds_and_what_does_not_compile_is_refused_with_its_place(client: Client) -> None:
    for _ in range(2):
        with pytest.raises(EngineRefused, match="no text matches it") as refused:
            await constrained(client, by_schema({"anyOf": []}))
        assert refused.value.param == "text.format.schema"
        sink = await constrained(client, by_schema(ONE))
        assert json.loads(sink.text) == {"a": 7}
    assert client.engine.stats().takes_constraints


async def test_a_tenants_first_use_compiles_again(engine: VllmEngine, client: Client) -> None:
    compiled = engine._grammars.num_compiled
    counts = []
    for salt in ("ada", "ada", "eve", "eve"):
        await constrained(client, by_schema({**ONE, "title": "first use"}), tenant=salt, cache_salt=salt)
        counts.append(engine._grammars.num_compiled - compiled)
    assert counts == [1, 1, 2, 2]


async def test_what_fails_in_the_core_all_the_same_is_refused_and_harms_nobody(
    engine: VllmEngine, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EngineCore does not say why; without a constraint it would be our failure."""

    async def unseen(constraint: Constraint, tenant: str, salt: str | None) -> Constraint:
        return constraint

    running = await client.endless()
    with monkeypatch.context() as patched:
        patched.setattr(engine._grammars, "compile", unseen)
        for constraint in (by_schema({"type": "nothing"}), Constraint("grammar", "start: NOWHERE")):
            sink = await constrained(client, constraint)
            assert isinstance(sink.error, EngineRefused), sink.error
    assert json.loads((await constrained(client, by_schema(ONE))).text) == {"a": 7}
    assert running[1].error is None
    await engine.abort(running[0])
