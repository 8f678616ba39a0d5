"""Our changes to vLLM in EngineCore's own process. Called there by `launch`, before EngineCore is made.

All but two fix faults by which a request could end the engine, delay it, or look into other requests, or by which
something stays behind when the engine has ended. The other two make the scheduler report how far prompts are read, and
let requests continue what an earlier engine generated (`core_continuation`). tests/engine/test_vllm.py pins what they
rest on.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from . import core_continuation, core_grammars
from .core_draws import take_back_draws_on_cpus

UTILITY = "why_generations_cannot_go_on"  # a method of EngineCore, for the front end


def install(folder: str) -> None:
    """Make all changes that this platform needs. folder: for files that must go when the engine has ended."""
    from vllm.platforms import current_platform

    _meet_in(folder)
    core_grammars.install()
    core_continuation.install()
    _answer_whether_generations_go_on()
    if current_platform.is_cpu():
        take_back_draws_on_cpus()
    _tell_of_prefills()


def prepare_worker(worker: Any) -> str:
    """Change a worker's process, and return why its generations could not continue; empty: they can. Called by
    `collective_rpc`.
    """
    from vllm.platforms import current_platform

    core_continuation.install()
    try:
        if current_platform.is_cpu():
            take_back_draws_on_cpus()
        return core_continuation.trouble() or core_continuation.trouble_of(
            getattr(worker, "worker", worker).model_runner
        )
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _answer_whether_generations_go_on() -> None:
    """Make EngineCore prepare its workers and answer by the method `UTILITY`."""
    from vllm.v1.engine.core import EngineCore

    def why_not(self: Any) -> str:
        answers = self.model_executor.collective_rpc(prepare_worker)  # internal: see the test
        return core_continuation.trouble() or next(filter(None, answers), "")

    setattr(EngineCore, UTILITY, why_not)


def _tell_of_prefills() -> None:
    """Make the scheduler report how much it has read of each prompt that takes several steps. vLLM tells the front end
    of a request with its first token, and nothing before it.

    The report has a place for numbers by name, meant for adapters (LoRA), which is free where none are served.
    """
    from vllm.v1.core.sched.scheduler import Scheduler

    make_stats = Scheduler.make_stats  # internal: see the test

    def make_stats_with_prefills(self: Any, *args: Any, **kwargs: Any) -> Any:
        stats = make_stats(self, *args, **kwargs)
        if stats is not None and self.lora_config is None:
            read = {one.request_id: one.num_computed_tokens for one in self.running
                    if one.num_computed_tokens < one.num_prompt_tokens}  # fmt: skip
            if read:
                stats.running_lora_adapters = read
        return stats

    Scheduler.make_stats = make_stats_with_prefills


def _meet_in(folder: str) -> None:
    """Put the file by which an engine's workers find each other into a folder that is removed; vLLM
    leaves it in /tmp.
    """
    from vllm.v1.executor import multiproc_executor, uniproc_executor

    for module in (multiproc_executor, uniproc_executor):  # internal: see the test
        module.get_file_store_init_method = lambda: f"file://{folder}/workers-{uuid4().hex}"
