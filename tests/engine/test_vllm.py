"""The real vLLM, on the embedded starter model: that `VllmEngine` keeps the promises of `Engine`."""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from realtime.engine.base import (
    EngineDead,
    EngineError,
    EngineOverloaded,
    EngineRefused,
    EngineRequest,
    FinishReason,
    Loaded,
    Sampling,
)
from realtime.engine.options import STARTER_MODEL, VllmOptions
from realtime.engine.parsing import Constraint
from realtime.engine.supervisor import EngineState
from realtime.engine.vllm.engine import VllmEngine
from realtime.observability.exposition import texts
from tests.observability.scrapes import value
from tests.support.engines import NUM_SEQS, Engines, left_behind

from .asking import EMPTY, ONE, QUESTIONS, Client, by_schema, constrained
from .recorder import Recorder

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings("ignore"),  # importing vLLM and torch warns of their own affairs
]


@pytest.fixture
def engine(engines: Engines) -> VllmEngine:
    return engines.newest


@pytest.fixture
def loaded(engines: Engines) -> Loaded:
    return engines.loaded


@pytest.fixture
def client(engine: VllmEngine, loaded: Loaded) -> Client:
    assert engine.stats() == EMPTY, "the test before has left something"
    return Client(engine, loaded)


def core_pid(engine: VllmEngine) -> int:
    assert engine._llm is not None
    pid: int = engine._llm.engine_core.resources.engine_manager.processes[0].pid
    return pid


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


async def test_importing_our_module_imports_no_vllm() -> None:
    code = "import sys, realtime.engine.vllm.engine; sys.exit(bool(sys.modules.keys() & {'vllm', 'torch'}))"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await process.wait() == 0


async def test_overload(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client.engine._llm.scheduler_config, "max_num_queued_reqs", 1)
    request_id, _ = await client.endless()
    with pytest.raises(EngineOverloaded):
        await client.submit()
    await client.engine.abort(request_id)


async def test_abort_waits_for_engine_core(client: Client) -> None:
    """The proof that the barrier is one: while EngineCore stands still, no abort returns."""
    runs = [await client.endless() for _ in range(3)]
    for _, sink in runs:
        await asyncio.wait_for(sink.first.wait(), 120)
    with frozen(client.engine):
        aborts = [asyncio.create_task(client.engine.abort(request_id)) for request_id, _ in runs]
        await asyncio.wait(aborts, timeout=0.3)  # a time in which nothing must happen
        assert not any(task.done() for task in aborts)
        assert all(sink.finish is FinishReason.ABORT for _, sink in runs)
        assert client.engine.stats().num_running == 3
        again = asyncio.create_task(client.engine.abort(runs[0][0]))
    await asyncio.wait_for(asyncio.gather(*aborts, again), 120)
    assert client.engine.stats() == EMPTY


async def test_engine_core_holds_nothing_of_what_was_aborted(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """What its scheduler says, as it holds nothing but what is asked for now."""
    runs = [await client.endless() for _ in range(NUM_SEQS)]
    await asyncio.gather(*(client.engine.abort(request_id) for request_id, _ in runs))
    reports: list[Any] = []
    monkeypatch.setattr(client.engine._llm.output_processor, "update_scheduler_stats", reports.append)
    await client.run("hello", max_tokens=3)
    counts = [(report.num_running_reqs, report.num_waiting_reqs) for report in reports if report is not None]
    assert max(counts) <= (1, 0), "EngineCore itself holds nothing else"


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
        await asyncio.wait_for(sink.ended.wait(), 120)
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
    await asyncio.wait_for(runs[0][1].first.wait(), 120)
    os.kill(core_pid(killed), signal.SIGSTOP)
    abort = asyncio.create_task(supervised.abort(runs[0][0]))  # its answer will never come
    await asyncio.wait([abort], timeout=0.1)  # a time in which nothing must happen
    os.kill(core_pid(killed), signal.SIGKILL)
    dead = await asyncio.wait_for(killed.wait_dead(), 120)
    assert isinstance(dead, EngineDead)
    await asyncio.wait_for(abort, 120)
    assert all(isinstance(sink.error, EngineDead) for _, sink in runs[1:])
    assert runs[0][1].finish is FinishReason.ABORT
    with pytest.raises(EngineDead):
        await client.submit()
    while supervised.status.state is not EngineState.READY or engines.newest is killed:
        changed.clear()
        await asyncio.wait_for(changed.wait(), 120)
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
