"""The figures of front ends beside each other have the form that readers of the JSON rely on."""

from __future__ import annotations

from typing import Any

from bench import engine

NAMES = (engine.BARE, engine.OURS, engine.OURS_SSE, engine.VLLM, engine.VLLM_CHAT, engine.FLOOR)
COSTS = {engine.BARE: 10.0, engine.OURS: 15.0, engine.OURS_SSE: 16.0, engine.VLLM: 30.0, engine.VLLM_CHAT: 20.0}


def _target(name: str) -> engine.Target:
    latency = {"p50_ms": 2.0, "p99_ms": 3.0}
    cost = COSTS.get(name, 5.0)

    def run(**level: int) -> dict[str, Any]:
        return {
            "tokens_per_second": 100.0, "ttft": latency, "itl": latency,
            "cpu_us_per_token": {"front_end": cost, "engine": 1.0},
        }  # fmt: skip

    return run


def test_each_figure_is_also_a_ratio_to_vllms_and_to_the_floor() -> None:
    found = engine._level({name: _target(name) for name in NAMES}, 32, 1, 3, tokens=64)
    ours = found[engine.OURS]
    assert (ours["front_end_to_vllm"], ours["front_end_to_floor"]) == (0.5, 3.0)
    assert (ours["front_end_us_above_bare"], ours["above_bare_to_vllm"]) == (5.0, 0.25)
    assert (ours["ttft_to_bare"], ours["itl_to_bare"], ours["throughput_to_bare"]) == (1.0, 1.0, 1.0)
    engine._show("32", found)
    engine._show_reasoning(_target(engine.OURS)(), ours)


def test_the_first_target_of_vllms_is_its_responses_server() -> None:
    assert next(name for name in NAMES if name.startswith("vLLM")) == engine.VLLM
