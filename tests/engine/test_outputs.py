"""Our output processing beside vLLM's: the same calls of the sink, whatever the tokenizer and the tokens."""

from __future__ import annotations

import functools
import inspect
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from realtime.engine.base import FinishReason, TokenChunk
from realtime.engine.options import STARTER_MODEL
from realtime.engine.vllm.outputs import SlimOutputs, prime
from realtime.engine.vllm.route import _chunk
from tests.support import gpt_oss, offline_tokenizers
from tests.support.long import effort

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.filterwarnings("ignore"),  # importing vLLM and torch warns of their own affairs
]

NUM_STREAMS = 6
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"skip_special_tokens": False},
    {"skip_special_tokens": False, "spaces_between_special_tokens": False},
)


def _starter() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(STARTER_MODEL)


def _harmony() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(gpt_oss.model_folder())


MAKERS: dict[str, Callable[[], Any]] = {
    "starter": _starter,
    "gpt_oss": _harmony,
    "byte_level": offline_tokenizers.byte_level,
    "sentencepiece": offline_tokenizers.sentencepiece,
    "word_piece": offline_tokenizers.word_piece,
}


@functools.cache
def tokenizer_of(name: str) -> Any:
    return MAKERS[name]()


@pytest.fixture(params=MAKERS)
def tokenizer(request: pytest.FixtureRequest) -> Any:
    return tokenizer_of(request.param)


class Front:
    """An output processor, alone or with ours before it, and what the sinks of its requests are given."""

    def __init__(self, tokenizer: Any, *, slim: bool) -> None:
        from vllm.v1.engine.output_processor import OutputProcessor

        self.processor = OutputProcessor(tokenizer, log_stats=False)
        self.given: dict[str, list[TokenChunk]] = {}
        self.failed: dict[str, Exception] = {}
        self.by_vllm: list[str] = []  # the request of each output that vLLM has processed
        vllms_own = self.processor.process_outputs

        def counted(outputs: Sequence[Any], *args: Any, **kwargs: Any) -> Any:
            self.by_vllm += [output.request_id for output in outputs]
            return vllms_own(outputs, *args, **kwargs)

        self.processor.process_outputs = counted
        self.slim = SlimOutputs(self.processor) if slim else None

    def add(self, name: str, prompt: Sequence[int], **sampling: Any) -> Any:
        from vllm.sampling_params import RequestOutputKind, SamplingParams
        from vllm.v1.engine import EngineCoreRequest
        from vllm.v1.engine.output_processor import RequestOutputCollector

        params = SamplingParams(output_kind=RequestOutputKind.DELTA, **sampling)
        request = EngineCoreRequest(
            request_id=name, prompt_token_ids=list(prompt), mm_features=None, sampling_params=params,
            pooling_params=None, arrival_time=0.0, lora_request=None, cache_salt=None, data_parallel_rank=None,
            external_req_id=name,
        )  # fmt: skip
        collector: Any = RequestOutputCollector(params.output_kind, name)
        given = self.given[name] = []

        def put(output: Any) -> None:
            if self.slim is not None and not given:
                self.slim.adopt(name, given.append, functools.partial(self.failed.__setitem__, name))
            given.append(_chunk(output, output.outputs[0]))
            if self.slim is not None and given[-1].finish is not None:
                self.slim.forget(name)

        collector.put = put
        self.processor.add_request(request, None, queue=collector)
        return self.processor.request_states[name]

    def step(self, outputs: Sequence[Any]) -> list[str]:
        import copy

        stopped: list[str] = self.processor.process_outputs(copy.deepcopy(list(outputs)), 1.0).reqs_to_abort
        return stopped


def test_internals_of_vllm_are_as_we_know_them() -> None:
    """If this fails after an upgrade of vLLM, read realtime/engine/vllm/outputs.py and output_task.py."""
    from vllm.v1.engine import (
        EngineCoreOutput,
        EngineCoreOutputs,
        async_llm,
        core_client,
        detokenizer,
        output_processor,
    )

    known = {
        "request_id", "new_token_ids", "finish_reason", "stop_reason", "events", "trace_headers", "num_nans_in_logits",
        "new_logprobs", "new_prompt_logprobs_tensors", "prompt_token_id_logprobs", "new_sampling_mask",  # if asked for
        "pooling_output", "kv_transfer_params", "ec_transfer_params", "routed_experts", "spec_decode_metrics",
        "prefill_stats",  # with the first output
        "mm_cache_miss_hashes",  # with the last
    }  # fmt: skip
    assert set(EngineCoreOutput.__struct_fields__) == known, "an output has more: does a sink need it?"
    assert set(EngineCoreOutputs.__struct_fields__) == {
        "engine_index", "outputs", "scheduler_stats", "timestamp", "utility_output", "finished_requests",
        "wave_complete", "start_wave",  # with several EngineCores
        "weight_version",
    }, "a step has more"  # fmt: skip
    process = inspect.signature(output_processor.OutputProcessor.process_outputs)
    assert list(process.parameters)[1:] == [
        "engine_core_outputs", "engine_core_timestamp", "iteration_stats", "weight_version",
    ]  # fmt: skip
    fast = detokenizer.FastIncrementalDetokenizer
    decode = inspect.getsource(fast.decode_next)
    assert "token = self._protected_step(next_token_id)\n\n        if not self.spaces_between_special_tokens:" in decode
    assert 'return token or ""' in decode
    assert fast.update is detokenizer.BaseIncrementalDetokenizer.update
    update = inspect.getsource(fast.update)
    assert (
        "self.token_ids.append(new_token_id)\n            self.output_text += self.decode_next(new_token_id)" in update
    )
    handler = inspect.getsource(async_llm.AsyncLLM._run_output_handler)
    assert "if self.output_handler is not None:\n            return" in handler, "vLLM starts a second handler"
    assert "output_processor.process_outputs(" in handler
    client = core_client.AsyncMPClient
    reader = inspect.getsource(client._ensure_output_queue_task)
    assert "if resources.output_queue_task is not None:\n            return" in reader, "vLLM reads the socket too"
    assert "_process_utility_output(\n" in reader
    assert "output_socket.recv_multipart(copy=False)" in reader
    assert not hasattr(client, "process_engine_outputs"), "the client does more with outputs"
    cleanup = inspect.getsource(core_client.BackgroundResources.__call__)
    assert "tasks = (self.output_queue_task, self.stats_update_task)" in cleanup, "our task is not cancelled any more"


def both(tokenizer: Any) -> tuple[Front, Front]:
    return Front(tokenizer, slim=False), Front(tokenizer, slim=True)


def some_tokens(rng: random.Random, tokenizer: Any, num: int) -> list[int]:
    """Any tokens, and often those of bytes, of words and of specials, as a model would not mix them."""
    size, specials = len(tokenizer), sorted(tokenizer.get_added_vocab().values())
    kinds: tuple[Callable[[], int], ...] = (
        lambda: rng.randrange(size),
        lambda: rng.randrange(min(size, 300)),
        lambda: rng.choice(specials),
    )
    token_ids: list[int] = []
    while len(token_ids) < num:
        token_ids += [rng.choice(kinds)()] * rng.choice((1, 1, 1, 2))
    return token_ids[:num]


def chunked(rng: random.Random, token_ids: Sequence[int], most: int) -> Iterator[list[int]]:
    at = 0
    while at < len(token_ids):
        size = rng.randint(1, most)
        yield list(token_ids[at : at + size])
        at += size


@pytest.mark.parametrize("options", OPTIONS, ids=("skipped", "shown", "tight"))
@pytest.mark.parametrize("most", [1, 4], ids=("one_by_one", "several"))
def test_every_call_of_a_sink_is_the_one_that_vllm_leads_to(tokenizer: Any, options: Any, most: int) -> None:
    from vllm.v1.engine import EngineCoreOutput
    from vllm.v1.engine import FinishReason as Finish

    for seed in range(effort(8, 80)):
        rng = random.Random(seed)
        plain, slim = both(tokenizer)
        waiting: dict[str, Iterator[list[int]]] = {}
        for number in range(NUM_STREAMS):
            prompt = some_tokens(rng, tokenizer, rng.randint(1, 9))
            for front in (plain, slim):
                front.add(f"r{number}", prompt, **options)
            waiting[f"r{number}"] = chunked(rng, some_tokens(rng, tokenizer, rng.randint(1, 60)), most)
        while waiting:
            outputs = []
            for name in rng.sample(sorted(waiting), rng.randint(1, len(waiting))):
                ids = next(waiting[name], None)
                ended = ids is None or rng.random() < 0.02
                if rng.random() < 0.01:
                    for front in (plain, slim):
                        front.processor.abort_requests([name], internal=True)
                    del waiting[name]
                    outputs.append(EngineCoreOutput(name, ids or [1]))  # is on its way still
                    continue
                reason = rng.choice((Finish.STOP, Finish.LENGTH)) if ended else None
                outputs.append(EngineCoreOutput(name, ids or [1], finish_reason=reason))
                if ended:
                    del waiting[name]
            for front in (plain, slim):
                front.step(outputs)
        assert slim.given == plain.given, f"seed={seed}"
        assert not slim.processor.request_states
        assert len(slim.by_vllm) < len(plain.by_vllm), "most were to be ours"


def test_a_text_does_not_depend_on_how_its_tokens_come(tokenizer: Any) -> None:
    """All at once, split, one by one: by ours and by vLLM's."""
    from vllm.v1.engine import EngineCoreOutput
    from vllm.v1.engine import FinishReason as Finish

    for seed in range(effort(20, 200)):
        rng = random.Random(seed)
        ids = some_tokens(rng, tokenizer, rng.randint(2, 60))
        texts = set()
        for most in (1, 3, len(ids)):
            for front in both(tokenizer):
                front.add("r", [1])
                front.step([EngineCoreOutput("r", ids[:1])])
                for part in chunked(rng, ids[1:], most):
                    front.step([EngineCoreOutput("r", part)])
                front.step([EngineCoreOutput("r", [], finish_reason=Finish.LENGTH)])
                texts.add("".join(chunk.text for chunk in front.given["r"]))
        assert len(texts) == 1, f"seed={seed}"


@pytest.mark.parametrize("sampling", [{"stop": ["no such text"]}, {"logprobs": 1}, {"detokenize": False}])
def test_what_is_not_ordinary_goes_through_vllm(sampling: Any) -> None:
    from vllm.v1.engine import EngineCoreOutput

    plain, slim = both(tokenizer_of("starter"))
    for front in (plain, slim):
        state = front.add("r", [1], **sampling)
        if "logprobs" in sampling:
            state.logprobs_processor.update_from_output = lambda output: None  # there are none in what we make up
        for token_id in range(20, 40):
            front.step([EngineCoreOutput("r", [token_id])])
    assert slim.by_vllm == plain.by_vllm == ["r"] * 20
    assert slim.given == plain.given


def test_a_tokenizer_that_is_not_fast_is_left_to_vllm() -> None:
    from vllm.v1.engine import EngineCoreOutput
    from vllm.v1.engine.detokenizer import SlowIncrementalDetokenizer

    fast = tokenizer_of("byte_level")

    class Slow:
        """Delegates, so that vLLM does not know it for a fast one."""

        is_fast = False

        def __getattr__(self, name: str) -> Any:
            return getattr(fast, name)

        def __len__(self) -> int:
            return len(fast)

    _, slim = both(Slow())
    state = slim.add("r", [1, 2])
    assert type(state.detokenizer) is SlowIncrementalDetokenizer
    for token_id in range(60, 80):
        slim.step([EngineCoreOutput("r", [token_id])])
    assert slim.by_vllm == ["r"] * 20
    assert "".join(chunk.text for chunk in slim.given["r"]) == fast.decode(list(range(60, 80)))


def test_tokens_that_can_not_be_read_fail_their_request_only() -> None:
    from vllm.v1.engine import EngineCoreOutput

    _, slim = both(tokenizer_of("starter"))
    states = {name: slim.add(name, [1]) for name in ("bad", "good")}

    def broken(token_id: int) -> str:
        raise RuntimeError("a bug of the tokenizer's")

    states["bad"].detokenizer._protected_step = broken
    slim.step([EngineCoreOutput(name, []) for name in states])
    for token_id in range(20, 30):
        slim.step([EngineCoreOutput(name, [token_id]) for name in states])
    assert isinstance(slim.failed["bad"], RuntimeError)
    assert slim.failed.keys() == {"bad"}
    assert len(slim.given["good"]) == 11


def test_what_happened_to_a_request_in_the_scheduler_is_vllms() -> None:
    from vllm.v1.engine import EngineCoreEvent, EngineCoreEventType, EngineCoreOutput

    _, slim = both(tokenizer_of("starter"))
    slim.add("r", [1])
    preempted = [EngineCoreEvent.new_event(EngineCoreEventType.PREEMPTED)]
    for events in (None, None, preempted, None):
        slim.step([EngineCoreOutput("r", [20], events=events)])
    assert len(slim.by_vllm) == 2, "the first output, and the one with an event"
    assert len(slim.given["r"]) == 4


def test_with_statistics_everything_is_vllms() -> None:
    from vllm.v1.engine import EngineCoreOutput
    from vllm.v1.metrics.stats import IterationStats

    _, slim = both(tokenizer_of("starter"))
    slim.add("r", [1])
    slim.step([EngineCoreOutput("r", [20])])
    with pytest.raises(AssertionError):  # the processor was made without them
        slim.processor.process_outputs([EngineCoreOutput("r", [21])], 1.0, IterationStats())
    assert slim.by_vllm == ["r", "r"]


@pytest.mark.parametrize("stop", [(), ("fox", "zzzz")], ids=("plain", "stop"))
@pytest.mark.parametrize("options", OPTIONS, ids=("skipped", "shown", "tight"))
def test_a_primed_detokenizer_goes_on_where_the_text_was_cut(tokenizer: Any, options: Any, stop: Sequence[str]) -> None:
    """At every cut, also within a character, and behind what is held back for a stop string."""
    from vllm.v1.engine import EngineCoreOutput

    for seed in range(effort(3, 30)):
        rng = random.Random(seed)
        prompt, ids = some_tokens(rng, tokenizer, 3), some_tokens(rng, tokenizer, 24)
        whole = Front(tokenizer, slim=False)
        whole.add("r", prompt, stop=list(stop), **options)
        told = []
        for token_id in ids:
            whole.step([EngineCoreOutput("r", [token_id])])
            told.append("".join(chunk.text for chunk in whole.given["r"]))
        num = len(whole.given["r"])  # a stop string may have ended it
        for cut in range(1, num):
            front = Front(tokenizer, slim=True)
            state = front.add("r", prompt, stop=list(stop), **options)
            prime(state.detokenizer, ids[:cut])
            for token_id in ids[cut:num]:
                front.step([EngineCoreOutput("r", [token_id])])
            rest = "".join(chunk.text for chunk in front.given["r"])
            assert told[cut - 1] + rest == told[-1], f"seed={seed} cut={cut}"
            assert state.detokenizer.num_output_tokens() == whole_tokens(whole, num)
            assert front.given["r"][-1].finish is whole.given["r"][-1].finish
            assert front.given["r"][-1].finish in (None, FinishReason.STOP)


def whole_tokens(front: Front, num: int) -> int:
    return sum(len(chunk.token_ids) for chunk in front.given["r"][:num])
