"""The figures of front ends beside each other have the form that readers of the JSON rely on."""

from __future__ import annotations

from typing import Any

from bench import engine, plan

NAMES = (engine.BARE, engine.OURS, engine.OURS_SSE, engine.VLLM, engine.VLLM_CHAT, engine.FLOOR)
COSTS = {engine.BARE: 10.0, engine.OURS: 15.0, engine.OURS_SSE: 16.0, engine.VLLM: 30.0, engine.VLLM_CHAT: 20.0}


def _target(name: str, short: int = 0) -> engine.Target:
    latency = {"p50_ms": 2.0, "p99_ms": 3.0}
    cost = COSTS.get(name, 5.0)

    def run(**level: int) -> dict[str, Any]:
        return {
            "tokens": level["num_streams"] * level["rounds"] * level["tokens"] - short,
            "tokens_per_second": 100.0, "ttft": latency, "itl": latency,
            "cpu_us_per_token": {"front_end": cost, "engine": 1.0},
        }  # fmt: skip

    return run


def _figures(targets: dict[str, engine.Target], streams: int) -> dict[str, Any]:
    """Of runs at one level, three of each target."""
    size = engine.Size(text="", repeats=3, levels=(engine.Level(streams, 8),))
    figures: dict[str, Any] = {"streams": {}}
    engine._measure(plan.Share(size), targets, _target("thinking"), figures)
    engine._show_all(figures)
    return figures


def test_tokens_that_a_server_did_not_send_are_counted() -> None:
    targets = {name: _target(name, short=name == engine.OURS_SSE) for name in NAMES}
    figures = _figures(targets, 1)
    assert figures["missing tokens"] == figures["streams"]["1"][engine.OURS_SSE]["missing tokens"] == 3


def test_each_figure_is_also_a_ratio_to_vllms_and_to_the_floor() -> None:
    found = _figures({name: _target(name) for name in NAMES}, 32)["streams"]["32"]
    ours = found[engine.OURS]
    assert (ours["front_end_to_vllm"], ours["front_end_to_floor"]) == (0.5, 3.0)
    assert (ours["front_end_us_above_bare"], ours["above_bare_to_vllm"]) == (5.0, 0.25)
    for base in ("bare", "vllm", "floor"):
        assert all(ours[f"{what}_to_{base}"] == 1.0 for what in ("throughput", "ttft", "itl"))


def test_the_first_target_of_vllms_is_its_responses_server() -> None:
    assert next(name for name in NAMES if name.startswith("vLLM")) == engine.VLLM
