"""The baseline: vLLM's AsyncLLM called directly, one task per stream, nothing between it and the figures.

Its job (see `worker`) is `streams`; the engine's arguments are the first argument, as JSON.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import sys
import time
from typing import Any

import uvloop

from .load import prompt, summary
from .measure import CpuMeter
from .worker import work


class Bare:
    """The engine, in this process as its front end."""

    def __init__(self, **arguments: Any) -> None:
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM

        config = AsyncEngineArgs(**arguments, disable_log_stats=True).create_engine_config()
        self._llm = AsyncLLM.from_vllm_config(config, disable_log_stats=True)
        self._tokenizer = self._llm.get_tokenizer()
        gc.freeze()  # as both servers do

    async def streams(self, pid: int, num_streams: int, rounds: int, tokens: int) -> dict[str, Any]:
        """Run streams; see `load.streams`. `cpu_us_per_token.front_end` is the cost of having the tokens in a
        process.
        """
        ttft: list[float] = []
        itl: list[float] = []
        num_tokens = 0
        meter, began = CpuMeter(pid), time.perf_counter()
        for round_ in range(rounds):
            asked_for = [self._one(number * rounds + round_, tokens) for number in range(num_streams)]
            for asked, stamps, count in await asyncio.gather(*asked_for):
                ttft.append(stamps[0] - asked)
                itl += (later - earlier for earlier, later in itertools.pairwise(stamps))
                num_tokens += count
        return summary(ttft, itl, time.perf_counter() - began, num_tokens, meter.spent())

    async def _one(self, number: int, tokens: int) -> tuple[float, list[float], int]:
        from vllm.inputs.engine import tokens_input
        from vllm.sampling_params import RequestOutputKind, SamplingParams

        params = SamplingParams(
            max_tokens=tokens, temperature=0, seed=0, ignore_eos=True, output_kind=RequestOutputKind.DELTA
        )
        asked = time.perf_counter()
        token_ids = self._prompt(number)  # inside the clock, as servers have to do it
        stamps, count = [], 0
        async for output in self._llm.generate(tokens_input(token_ids), params, f"bare-{next(_numbers)}"):
            stamps.append(time.perf_counter())
            count += len(output.outputs[0].token_ids)
        return asked, stamps, count

    def _prompt(self, number: int) -> list[int]:
        messages = [{"role": "user", "content": prompt(number)}]
        text = self._tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
        return list(self._tokenizer.encode(text, add_special_tokens=False))

    async def shutdown(self) -> None:
        """End EngineCore."""
        self._llm.shutdown()


_numbers = itertools.count()


async def _start(arguments: dict[str, Any]) -> Bare:
    return Bare(**arguments)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        bare = runner.run(_start(json.loads(sys.argv[1])))
        work(runner, {"streams": bare.streams})
        runner.run(bare.shutdown())
