"""Continuing the generation of an engine that died: the part in EngineCore, installed there and in its workers.

After a preemption vLLM takes a request again: it reads the prompt and the output so far as one prefill, and continues
with the next token. A request that brings the output of a dead engine is made to look like that. The prompt stays the
prompt and the rest is output, so penalties, `max_tokens`, grammars and everything else that counts or reads output sees
the same as in an uninterrupted run. Three things are set as for a preempted request:

- the request in the scheduler (`Request`): its output tokens;
- its grammar: advanced over the output, or over the part of it after the reasoning;
- its state in a worker of Model Runner V1: the output tokens, and with a seed a generator that has made one draw for
  each of them. Runner V2 needs neither: it takes all tokens from the scheduler, and its noise is a function of seed and
  position.

Each patch changes one place and is installed once, in whatever order our own start (`core_patches`) and vLLM's loader
of plugins (entry point `vllm.general_plugins`, for a remote `vllm serve`) come. tests/engine/test_core_continuation.py
pins what the patches rest on. The parts for GPUs were written from vLLM's source and not run on one.
"""

from __future__ import annotations

import copy
import functools
import logging
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from .core_draws import take_back_draws_on_cpus

KEY = "realtime_generated"  # in SamplingParams.extra_args

log = logging.getLogger("realtime.engine.vllm.continuation")

_MARK = "_goes_on_behind_generated"
_TRIED_DRAWS = 5
_vocab_size = 0  # of the model in this process, which is how much noise a draw takes on GPUs
_trouble = "not installed"  # why this process can't; empty: it can


def generated_in(params: Any) -> list[int]:
    """Return the tokens that an earlier engine generated for a request with these SamplingParams."""
    found: list[int] = (getattr(params, "extra_args", None) or {}).get(KEY) or []
    return found


def install() -> None:
    """Patch this process, each part at most once. Never raises: an engine must start all the same."""
    global _trouble
    try:
        _patch_requests()
        _patch_grammars()
        _patch_states()
        _patch_core()
        _trouble = ""
    except Exception as error:
        _trouble = f"this vLLM is not as we know it: {type(error).__name__}: {error}"
        log.warning("generations can't go on: %s", _trouble)


def trouble() -> str:
    """Return why this process's generations could not continue; empty: they can."""
    return _trouble


def _patch(owner: Any, name: str, make: Callable[[Any], Callable[..., Any]]) -> None:
    """Replace a function by `make(original)`, once."""
    original = getattr(owner, name)
    if not hasattr(original, _MARK):
        patched = functools.wraps(original)(make(original))
        setattr(patched, _MARK, True)
        setattr(owner, name, patched)


def _patch_core() -> None:
    """Check the tokens that a request brings where a failure affects that request alone."""
    from vllm.v1.engine.core import EngineCore

    def make(preprocess: Any) -> Any:
        def preprocess_checked(self: Any, request: Any) -> Any:
            if ids := generated_in(request.sampling_params):
                model = self.vllm_config.model_config
                check(ids, len(request.prompt_token_ids or ()), request.sampling_params,
                      model.get_vocab_size(), model.max_model_len)  # fmt: skip
            return preprocess(self, request)

        return preprocess_checked

    _patch(EngineCore, "preprocess_add_request", make)  # internal: see the test


def check(ids: Sequence[int], num_prompt: int, params: Any, vocab_size: int, max_model_len: int) -> None:
    """Raise ValueError unless a next token is possible after these ids. `params`: as vLLM has completed them.

    Ids that the model does not have would end the engine; a generation that has ended would not end again.
    """
    if not all(type(one) is int and 0 <= one < vocab_size for one in ids):
        raise ValueError(f"generated tokens must be whole numbers from 0 to {vocab_size - 1}")
    if len(ids) >= params.max_tokens or num_prompt + len(ids) >= max_model_len:
        raise ValueError("the generated tokens are as many as there may be: the generation has ended")
    if not {params.eos_token_id, *(params.stop_token_ids or ())}.isdisjoint(ids):
        raise ValueError("the generated tokens hold one that ends the generation: it has ended")


def _patch_requests() -> None:
    from vllm.v1.request import Request

    def make(original: Any) -> Any:
        def from_engine_core_request(cls: Any, request: Any, block_hasher: Any) -> Any:
            made = original.__func__(cls, request, block_hasher)
            if ids := generated_in(made.sampling_params):
                made.append_output_token_ids(list(ids))
                made.prefill_stats = None  # it asserts that no more than the prompt is found in the prefix cache
            return made

        return classmethod(from_engine_core_request)

    original = Request.__dict__["from_engine_core_request"]  # internal: see the test
    if not hasattr(original.__func__, _MARK):
        patched = make(original)
        functools.update_wrapper(patched.__func__, original.__func__)
        setattr(patched.__func__, _MARK, True)
        Request.from_engine_core_request = patched


def _patch_grammars() -> None:
    from vllm.v1.structured_output import StructuredOutputManager

    def make(create: Any) -> Any:
        def create_and_advance(self: Any, request: Any) -> Any:
            grammar = create(self, request)
            if ids := generated_in(request.sampling_params):
                advance(self, request, grammar, ids)
            return grammar

        return create_and_advance

    _patch(StructuredOutputManager, "_create_grammar", make)  # internal: see the test


def advance(manager: Any, request: Any, grammar: Any, ids: Sequence[int]) -> None:
    """Advance a grammar over the generated tokens, and note whether reasoning has ended, as vLLM did at each token.

    The manager sees a stand-in of the request as it was then, because some reasoning parsers look at all tokens so far.
    Once reasoning has ended, or if there is none, the rest goes in one call.
    """
    own = request.structured_output_request
    structured = copy.copy(own)
    structured.grammar = grammar
    tokens = list(request.prompt_token_ids or ())
    then = SimpleNamespace(
        request_id=request.request_id, use_structured_output=True, structured_output_request=structured,
        prompt_token_ids=request.prompt_token_ids, all_token_ids=tokens,
    )  # fmt: skip
    rest = list(ids)
    while rest:
        constrained = manager._get_constraint_bounds(then, ()).constraint_start == 0  # internal: see the test
        now, rest = (rest, []) if constrained else (rest[:1], rest[1:])
        tokens += now
        if not manager.accept_tokens(then, now):
            raise ValueError("the grammar does not accept what was generated")
    own.reasoning_ended, own.reasoner = structured.reasoning_ended, structured.reasoner


def _patch_states() -> None:
    """Patch Model Runner V1. Every worker needs it: the last of a pipeline samples, and the first ones
    feed the tokens.
    """
    from vllm.v1.worker.gpu_input_batch import CachedRequestState, InputBatch

    def make_begin(begin: Any) -> Any:
        def begin_behind(self: Any) -> None:
            ids = generated_in(self.sampling_params)
            if ids and not self.output_token_ids:
                self.output_token_ids = list(ids)
                if self.generator is not None:
                    skip_draws(self.generator, len(ids), _vocab_size)
            begin(self)

        return begin_behind

    def make_init(init: Any) -> Any:
        def init_and_note(self: Any, *args: Any, **kwargs: Any) -> None:
            global _vocab_size
            init(self, *args, **kwargs)
            _vocab_size = self.vocab_size
            _cure_draws()

        return init_and_note

    _patch(CachedRequestState, "__post_init__", make_begin)  # internal: see the test
    _patch(InputBatch, "__init__", make_init)


def _cure_draws() -> None:
    """Fix draws too, for an engine that has only our plugin: without the fix a seed can end it on a CPU."""
    from vllm.platforms import current_platform

    if current_platform.is_cpu():
        take_back_draws_on_cpus()


def skip_draws(generator: Any, count: int, vocab_size: int) -> None:
    """Leave a request's generator as `count` samples of vLLM's would leave it."""
    import torch

    if generator.device.type == "cpu":
        torch.randint(0, 2**31, (count,), generator=generator, dtype=torch.long)
    else:
        probe = torch.Generator(device=generator.device).manual_seed(0)
        _draw(probe, vocab_size)
        generator.set_offset(generator.get_offset() + count * probe.get_offset())


def _draw(generator: Any, vocab_size: int) -> Any:
    """Draw as vLLM's sampler does for one token."""
    import torch

    if generator.device.type == "cpu":
        return torch.randint(0, 2**31, (1,), generator=generator, dtype=torch.long)
    noise = torch.empty(vocab_size, dtype=torch.float32, device=generator.device)
    return noise.exponential_(generator=generator)


def trouble_of(runner: Any) -> str:
    """Return why a model runner's generations could not continue; empty: they can. May raise, which means the same.

    On V1 this tries whether draws are skipped as they are made.
    """
    import torch

    if type(runner).__module__ == "vllm.v1.worker.gpu.model_runner":
        return ""
    if not hasattr(runner, "sampler") or runner.device.type not in ("cpu", "cuda"):
        return f"not known for the model runner {type(runner).__name__} on {runner.device.type}"
    sampler = runner.sampler.topk_topp_sampler
    if sampler.use_fp64_gumbel or (runner.device.type == "cpu" and sampler.forward.__name__ != "forward_cpu"):
        return "this sampler draws in a way that is not known"
    drawn, skipped = (torch.Generator(device=runner.device).manual_seed(7) for _ in range(2))
    for _ in range(_TRIED_DRAWS):
        _draw(drawn, runner.input_batch.vocab_size)
    skip_draws(skipped, _TRIED_DRAWS, runner.input_batch.vocab_size)
    same = torch.equal(*(_draw(generator, runner.input_batch.vocab_size) for generator in (drawn, skipped)))
    return "" if same else "draws can't be skipped on this device"
