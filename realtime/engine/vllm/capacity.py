"""The capacity of a started engine, for the server's own scheduler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtime.engine.base import Capacity

if TYPE_CHECKING:
    from vllm.v1.engine.async_llm import AsyncLLM


def capacity_of(llm: AsyncLLM) -> Capacity:
    """Return the capacity of all engines behind one front end together."""
    config = llm.vllm_config
    scheduler, cache, num_engines = (
        config.scheduler_config,
        config.cache_config,
        config.parallel_config.data_parallel_size,
    )
    return Capacity(
        max_requests=scheduler.max_num_seqs * num_engines,
        kv_tokens=(cache.num_gpu_blocks or 0) * cache.block_size,  # already the sum of all engines
        step_tokens=scheduler.max_num_batched_tokens * num_engines,
    )
