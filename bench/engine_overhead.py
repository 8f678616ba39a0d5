"""The cost of this process per token: vLLM's `AsyncLLM.generate()` against `VllmEngine` with sinks, on one engine.

    python bench/engine_overhead.py [--model PATH] [--streams 1 32 128] [--tokens 128] [--rounds 3]

Counts CPU time of the front-end process (user and system) per generated token. The model runs in EngineCore, another
process, so its time is not in it. Both ways alternate in each round; the figure is the median of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import statistics
import subprocess
import time
from typing import Any

from realtime.engine.base import EngineError, EngineRequest, Sampling, TokenChunk
from realtime.engine.options import STARTER_MODEL, VllmOptions
from realtime.engine.vllm.engine import VllmEngine


class CountingSink:
    """The cheapest useful sink."""

    def __init__(self) -> None:
        self.num_tokens = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_chunk(self, chunk: TokenChunk) -> None:
        self.num_tokens += len(chunk.token_ids)
        if chunk.finish is not None:
            self.done.set_result(None)

    def on_error(self, error: EngineError) -> None:
        self.done.set_exception(error)


def prompt_of(stream: int, run: int) -> list[int]:
    return [10 + (stream * 7 + run * 13 + position) % 1500 for position in range(32)]


async def through_sinks(engine: VllmEngine, run: int, streams: int, tokens: int) -> int:
    sampling = Sampling(max_tokens=tokens, temperature=0.0, ignore_eos=True)
    sinks = [CountingSink() for _ in range(streams)]
    for index, sink in enumerate(sinks):
        prompt = tuple(prompt_of(index, run))
        await engine.submit(
            EngineRequest(request_id=f"{run}-{index}", prompt_token_ids=prompt, sampling=sampling), sink
        )
    for sink in sinks:
        await sink.done
    return sum(sink.num_tokens for sink in sinks)


async def through_generate(engine: VllmEngine, run: int, streams: int, tokens: int) -> int:
    from vllm.inputs.engine import tokens_input
    from vllm.sampling_params import RequestOutputKind, SamplingParams

    llm: Any = engine._llm

    async def one(index: int) -> int:
        params = SamplingParams(
            max_tokens=tokens, temperature=0.0, ignore_eos=True, output_kind=RequestOutputKind.DELTA
        )
        count = 0
        async for output in llm.generate(tokens_input(prompt_of(index, run)), params, request_id=f"{run}-{index}"):
            count += len(output.outputs[0].token_ids)
        return count

    return sum(await asyncio.gather(*map(one, range(streams))))


def commit() -> str:
    return subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()


async def measure(options: argparse.Namespace) -> None:
    engine = VllmEngine(VllmOptions(model=options.model, max_num_seqs=max(options.streams)))
    began = time.monotonic()
    await engine.start()
    start_seconds = time.monotonic() - began
    ways = {"generate": through_generate, "sink": through_sinks}
    results: dict[str, Any] = {}
    run = 0
    print(f"{'streams':>8} {'way':>10} {'us/token':>10} {'tokens/s':>10}")
    for streams in options.streams:
        cpu: dict[str, list[float]] = {way: [] for way in ways}
        rate: dict[str, list[float]] = {way: [] for way in ways}
        tokens = options.tokens * max(1, 16 // streams)
        for number in range(options.rounds + 1):  # the first one warms up
            for way, function in ways.items():
                run += 1
                cpu_before, before = time.process_time(), time.monotonic()
                count = await function(engine, run, streams, tokens)
                if number:
                    cpu[way].append((time.process_time() - cpu_before) / count * 1e6)
                    rate[way].append(count / (time.monotonic() - before))
        for way in ways:
            results[f"{way}_{streams}"] = round(statistics.median(cpu[way]), 1)
            print(f"{streams:>8} {way:>10} {results[f'{way}_{streams}']:>10} {statistics.median(rate[way]):>10.0f}")
    await engine.shutdown()
    print(
        json.dumps(
            {
                "bench": "engine_overhead",
                "config": vars(options),
                "commit": commit(),
                "host": platform.platform(),
                "start_seconds": round(start_seconds, 1),
                "front_end_cpu_us_per_token": results,
            }
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=STARTER_MODEL)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 32, 128])
    parser.add_argument("--tokens", type=int, default=128, help="per stream; more where there are few streams")
    parser.add_argument("--rounds", type=int, default=3)
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
