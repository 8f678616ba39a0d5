"""The loaded engine, as the rest of the server sees it: see `engine.base.Loaded`."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import msgspec

from realtime.engine.base import Loaded, ModelInfo, Sampling
from realtime.engine.options import VllmOptions

from .capacity import capacity_of
from .fingerprint import fingerprint
from .parsers import VllmParsers, named
from .sight import sight_of

if TYPE_CHECKING:
    from vllm.v1.engine.async_llm import AsyncLLM

log = logging.getLogger("realtime.engine.vllm")


async def look_at_loaded(options: VllmOptions, llm: AsyncLLM, why_not: str) -> Loaded:
    """Describe a started engine. The tokenizer is vLLM's own, so that prompts are encoded as it would.

    why_not: why its generations can't continue in another engine; empty: they can.
    """
    if why_not:
        log.warning("answers can't go on after a crash of the engine: %s", why_not)
    tokenizer, config = llm.get_tokenizer(), llm.model_config
    names = named(options)
    parsers = VllmParsers(tokenizer, config, names) if any(names) else None
    model = model_info(options, config, *sight_of(llm))
    defaults = msgspec.to_builtins(model.defaults)
    digest = await asyncio.to_thread(fingerprint, options, llm.vllm_config, tokenizer, defaults)
    free = _seeds_are_free(llm) if options.seed_every_request is None else options.seed_every_request
    return Loaded(
        model, tokenizer, parsers, digest, goes_on=not why_not, capacity=capacity_of(llm), seeds_are_free=free
    )


def _seeds_are_free(llm: AsyncLLM) -> bool:
    """Return whether a request with a seed is sampled as fast as one without.

    On a CPU a seed is one number drawn, and on Model Runner V2 an argument of the kernel. Model Runner V1 on a GPU
    samples a batch with any seed in it row by row, and without FlashInfer.
    """
    from vllm.platforms import current_platform

    return current_platform.is_cpu() or bool(llm.vllm_config.use_v2_model_runner)


def model_info(options: VllmOptions, config: Any, sees: bool = False, marker: str | None = None) -> ModelInfo:
    """Describe a model. `config`: vLLM's ModelConfig."""
    given: dict[str, Any] = config.get_diff_sampling_param()  # from the model's generation_config.json
    return ModelInfo(
        name=options.name,
        path=options.model,
        max_model_len=config.max_model_len,
        model_type=config.hf_config.model_type,
        sees=sees,
        image_marker=marker,
        defaults=Sampling(
            max_tokens=given.get("max_tokens", config.max_model_len),
            temperature=given.get("temperature", 1.0),
            top_p=given.get("top_p", 1.0),
            top_k=given.get("top_k", 0),
            min_p=given.get("min_p", 0.0),
            presence_penalty=given.get("presence_penalty", 0.0),
            frequency_penalty=given.get("frequency_penalty", 0.0),
            repetition_penalty=given.get("repetition_penalty", 1.0),
        ),
    )
