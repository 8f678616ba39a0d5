"""Continuing the generation of an engine that died: the front end's part. See `core_continuation` for the other part.

The tokens travel to EngineCore in `SamplingParams.extra_args`. Here the text has to continue: the detokenizer takes the
tokens before the first output can come. Relies on vLLM's internals, as `engine` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .core_continuation import check, generated_in
from .core_patches import UTILITY
from .outputs import prime

if TYPE_CHECKING:
    from vllm.v1.engine.async_llm import AsyncLLM
    from vllm.v1.engine.output_processor import RequestState

_NUM_CONTEXT = 4  # internal: as many tokens as vLLM looks back to write one of several bytes


def prime_first(llm: AsyncLLM) -> None:
    """Make vLLM's front end begin each request after the tokens that it brings, or refuse it with a ValueError."""
    processor, model = llm.output_processor, llm.model_config
    add = processor.add_request
    vocab_size, max_model_len = model.get_vocab_size(), model.max_model_len

    def add_primed(request: Any, *args: Any, **kwargs: Any) -> None:
        ids = generated_in(request.sampling_params)
        if ids:  # also a test of whether the engine could take them, before anything is registered
            check(ids, len(request.prompt_token_ids or ()), request.sampling_params, vocab_size, max_model_len)
        add(request, *args, **kwargs)
        if ids:
            _prime_state(processor.request_states[request.request_id], ids)

    processor.add_request = add_primed  # internal: a request is sent to EngineCore right behind this call


def _prime_state(state: RequestState, ids: Sequence[int]) -> None:
    prime(state.detokenizer, ids)
    logprobs = state.logprobs_processor
    if logprobs is not None and logprobs.logprobs is not None:
        logprobs.logprobs.extend({token_id: None} for token_id in ids[-_NUM_CONTEXT:])  # internal: as context only


async def why_not(llm: AsyncLLM) -> str:
    """Return why this engine can't continue another one's generations; empty: it can."""
    config = llm.vllm_config
    if config.speculative_config is not None:
        return "speculative decoding draws as many tokens as it guesses right"
    if config.model_config.is_diffusion:
        return "diffusion models don't generate one token after the other"
    try:
        answers: list[str] = await llm.engine_core.call_utility_all_async(UTILITY)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return next(filter(None, answers), "")
