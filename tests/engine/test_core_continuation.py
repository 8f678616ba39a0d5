"""What goes on in EngineCore and its workers for a generation to go on, without one of them."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from realtime.engine.options import STARTER_MODEL
from realtime.engine.vllm import continuation, core_continuation, core_patches
from realtime.engine.vllm.core_continuation import KEY, advance, install, skip_draws, trouble, trouble_of

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.filterwarnings("ignore"),  # importing vLLM and torch warns of their own affairs
]

REASONERS = ("qwen3", "deepseek_r1", "none")
TEXT = "<think>\nsome thought\n</think>\n\nan answer <think> of </think> some words"


def test_internals_of_vllm_are_as_we_know_them() -> None:
    """If this fails after an upgrade of vLLM, read realtime/engine/vllm/core_continuation.py and continuation.py."""
    from vllm.v1.core.sched import scheduler
    from vllm.v1.engine import async_llm, core, output_processor
    from vllm.v1.engine.logprobs import LogprobsProcessor
    from vllm.v1.request import Request
    from vllm.v1.sample.ops import topk_topp_sampler
    from vllm.v1.structured_output import StructuredOutputManager
    from vllm.v1.worker import gpu_input_batch, gpu_model_runner, worker_base

    source = inspect.getsource
    bounds = inspect.signature(StructuredOutputManager._get_constraint_bounds)
    assert list(bounds.parameters) == ["self", "request", "spec_tokens", "spec_tokens_committed"]
    accept = source(StructuredOutputManager.accept_tokens)
    assert "if not request.use_structured_output or not new_token_ids:" in accept
    assert "request, new_token_ids, spec_tokens_committed=True" in accept
    assert "structured_req.reasoning_ended = True" in accept
    read = set(re.findall(r"request\.(\w+)", source(StructuredOutputManager._get_constraint_bounds)))
    assert read == {"all_token_ids", "prompt_token_ids", "structured_output_request"}
    assert list(inspect.signature(Request.from_engine_core_request).parameters) == ["request", "block_hasher"]
    assert "self._output_token_ids.extend(token_ids)" in source(Request.append_output_token_ids)
    assert "if request.prefill_stats and request.num_preemptions <= 0:" in source(scheduler.Scheduler.schedule)
    assert "num_new_tokens = request.num_tokens - num_computed_tokens" in source(scheduler.Scheduler.schedule)
    assert "req._all_token_ids," in source(scheduler.Scheduler.schedule), "Model Runner V2 does not get all tokens"
    preprocess = source(core.EngineCore.preprocess_add_request)
    assert preprocess.index("Request.from_engine_core_request(") < preprocess.index(".grammar_init(req)")
    assert "self.preprocess_add_request(req)" in source(core.EngineCoreProc.process_input_sockets)
    assert "self._handle_request_preproc_error(req)" in source(core.EngineCoreProc.process_input_sockets)
    assert "load_general_plugins()" in source(core.EngineCore.__init__)
    assert "load_general_plugins()" in source(worker_base.WorkerWrapperBase.init_worker)
    states = source(gpu_model_runner.GPUModelRunner._update_states)
    assert "generator.manual_seed(sampling_params.seed)" in states
    assert "output_token_ids=[]," in states, "the state of a new request is made in another way"
    assert "req_state = CachedRequestState(" in states
    assert "request.output_token_ids" in source(gpu_input_batch.InputBatch.add_request)
    draws = source(topk_topp_sampler.TopKTopPSampler.forward_cpu)
    assert "0, 2**31, (1,), generator=gen, dtype=torch.long" in draws, "a token takes another draw on CPUs"
    assert "q[i].exponential_(generator=generator)" in source(topk_topp_sampler.random_sample), "and on GPUs"
    added = source(async_llm.AsyncLLM._add_request)
    assert added.index("self.output_processor.add_request(") < added.index("await self.engine_core.add_request_async(")
    context = inspect.signature(LogprobsProcessor._get_sampled_context_ids)
    assert context.parameters["max_context"].default == 4
    assert "logprobs[-num_new_tokens:]" in source(output_processor.RequestState._new_completion_output)


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, str]]:
    """Where the patches go; as they were before and after the test."""
    from vllm.v1.engine.core import EngineCore
    from vllm.v1.request import Request
    from vllm.v1.structured_output import StructuredOutputManager
    from vllm.v1.worker.gpu_input_batch import CachedRequestState, InputBatch

    places = [
        (EngineCore, "preprocess_add_request"),
        (Request, "from_engine_core_request"),
        (StructuredOutputManager, "_create_grammar"),
        (CachedRequestState, "__post_init__"),
        (InputBatch, "__init__"),
    ]
    for owner, name in places:
        monkeypatch.setattr(owner, name, vars(owner)[name])
    monkeypatch.setattr(core_continuation, "_trouble", "not installed")
    return places


def test_each_place_is_patched_once(places: list[tuple[Any, str]]) -> None:
    install()
    assert trouble() == ""
    patched = [vars(owner)[name] for owner, name in places]
    install()
    assert [vars(owner)[name] for owner, name in places] == patched


def test_what_replaces_a_patched_place_is_patched_again(places: list[tuple[Any, str]]) -> None:
    """Plugins come before or after `core_grammars`, which has a `_create_grammar` of its own."""
    manager, name = places[2]
    install()
    manager._create_grammar = ours = lambda self, request: "made"
    install()
    assert manager._create_grammar is not ours
    request = SimpleNamespace(sampling_params=SimpleNamespace(extra_args=None))
    assert manager._create_grammar(None, request) == "made"
    assert getattr(manager, name) is vars(manager)[name]


def test_an_unknown_vllm_is_left_as_it_is(places: list[tuple[Any, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    from vllm.v1.request import Request

    monkeypatch.delattr(Request, "from_engine_core_request")
    install()
    assert "not as we know it" in trouble()
    assert trouble() == core_patches.prepare_worker(SimpleNamespace(model_runner=None))


def test_the_plugin_is_what_vllm_loads() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    (plugin,) = project["entry-points"]["vllm.general_plugins"].values()
    module, _, name = plugin.partition(":")
    assert (module, name) == (core_continuation.__name__, install.__name__)


class Grammar:
    """Remembers what it accepted."""

    def __init__(self) -> None:
        self.accepted: list[int] = []

    def accept_tokens(self, request_id: str, token_ids: list[int]) -> bool:
        self.accepted += token_ids
        return True


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(STARTER_MODEL)


@pytest.mark.parametrize("reasoner", REASONERS)
def test_a_grammar_is_where_it_was(reasoner: str, tokenizer: Any) -> None:
    """At each place: what vLLM's own code makes of the tokens one by one is what `advance` makes of them at once."""
    from vllm.reasoning import ReasoningParserManager
    from vllm.v1.structured_output import StructuredOutputManager
    from vllm.v1.structured_output.request import StructuredOutputRequest

    manager: Any = StructuredOutputManager.__new__(StructuredOutputManager)
    manager.tokenizer, manager.enable_in_reasoning = tokenizer, False
    manager.reasoner_cls = None
    if reasoner != "none":
        manager.reasoner_cls = ReasoningParserManager.get_reasoning_parser(reasoner)
    ids = tokenizer.encode(TEXT)
    prompt = tokenizer.encode("asked")

    def request(generated: list[int]) -> Any:
        structured = StructuredOutputRequest(SimpleNamespace(), reasoning_parser_kwargs={})
        return SimpleNamespace(
            request_id="a", use_structured_output=True, structured_output_request=structured,
            prompt_token_ids=prompt, all_token_ids=prompt + generated,
        )  # fmt: skip

    ended: set[Any] = set()
    for cut in range(1, len(ids) + 1):
        uncut, continued, grammar = request([]), request(ids[:cut]), Grammar()
        uncut.structured_output_request.grammar = Grammar()
        for token_id in ids[:cut]:
            uncut.all_token_ids.append(token_id)
            assert manager.accept_tokens(uncut, [token_id])
        advance(manager, continued, grammar, ids[:cut])
        was, now = uncut.structured_output_request, continued.structured_output_request
        assert grammar.accepted == was.grammar.accepted
        assert bool(now.reasoning_ended) == bool(was.reasoning_ended)
        uncut_bounds, bounds = (manager._get_constraint_bounds(one, ()) for one in (uncut, continued))
        assert bounds == uncut_bounds
        ended.add(bounds.constraint_start == 0)
    assert ended == ({True} if manager.reasoner_cls is None else {False, True})


class Generator:
    """As much of a generator on a GPU as is used: one that counts."""

    def __init__(self, device: Any) -> None:
        self.device = SimpleNamespace(type="cuda")
        self.offset = 0

    def manual_seed(self, seed: int) -> Generator:
        return self

    def get_offset(self) -> int:
        return self.offset

    def set_offset(self, offset: int) -> None:
        self.offset = offset


def test_draws_on_a_gpu_are_skipped_by_their_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    def draw(generator: Generator, vocab_size: int) -> None:
        generator.offset += 4 * (1 + vocab_size // 100_000)

    monkeypatch.setattr(torch, "Generator", Generator)
    monkeypatch.setattr(core_continuation, "_draw", draw)
    drawn, skipped = Generator(None), Generator(None)
    for _ in range(30):
        draw(drawn, 150_000)
    skip_draws(skipped, 30, 150_000)
    assert skipped.offset == drawn.offset == 240


def runner(kind: str = "cpu", forward: str = "forward_cpu", *, wide: bool = False) -> Any:
    def sampling() -> None:
        """Stands for a way to sample, by its name."""

    sampling.__name__ = forward
    return SimpleNamespace(
        device=SimpleNamespace(type=kind),
        input_batch=SimpleNamespace(vocab_size=100),
        sampler=SimpleNamespace(topk_topp_sampler=SimpleNamespace(use_fp64_gumbel=wide, forward=sampling)),
    )


def test_what_draws_in_an_unknown_way_does_not_go_on() -> None:
    import torch

    known: Any = runner()
    known.device = torch.device("cpu")
    assert trouble_of(known) == ""
    assert "not known" in trouble_of(runner("xpu"))
    assert "not known" in trouble_of(runner(forward="forward_native"))
    assert "not known" in trouble_of(runner(wide=True))
    second_version = type("GPUModelRunner", (), {"__module__": "vllm.v1.worker.gpu.model_runner"})
    assert trouble_of(second_version()) == ""


async def test_an_engine_says_why_it_can_not_go_on() -> None:
    def llm(answers: list[str] | Exception, **config: Any) -> Any:
        async def ask(method: str) -> list[str]:
            assert method == core_patches.UTILITY
            if isinstance(answers, Exception):
                raise answers
            return answers

        model = SimpleNamespace(is_diffusion=False)
        return SimpleNamespace(
            vllm_config=SimpleNamespace(**{"speculative_config": None, "model_config": model, **config}),
            engine_core=SimpleNamespace(call_utility_all_async=ask),
        )

    assert await continuation.why_not(llm([""])) == ""
    assert await continuation.why_not(llm(["", "the second can't"])) == "the second can't"
    assert "no such method" in await continuation.why_not(llm(RuntimeError("no such method")))
    assert "speculative" in await continuation.why_not(llm([""], speculative_config="ngram"))


def test_what_was_generated_is_found_only_under_our_name() -> None:
    empty: tuple[Any, ...] = (None, {}, {"other": [1]}, {KEY: []})
    for extra in empty:
        assert core_continuation.generated_in(SimpleNamespace(extra_args=extra)) == []
    assert core_continuation.generated_in(None) == []
    assert core_continuation.generated_in(SimpleNamespace(extra_args={KEY: [1, 2]})) == [1, 2]
