"""Plots are well-formed SVG of the figures, and the documentation shows each of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench import plot, plots

DOCS = Path(__file__).parents[2] / "docs"
LATENCY = {"p50_ms": 1.0, "p99_ms": 3.0}
FIGURES: dict[str, Any] = {
    "engine": {"streams": {"1": {"bare": {"front_end_to_vllm": 2.0}, "<ours>": {"front_end_to_vllm": 3.5}}}},
    "stack": {"sockets": {"1 x 1": {"front_end_to_floor": 2.0}}, "pressure": {"1 x 1": {"front_end_to_floor": 1.0}}},
    "scenarios": {
        "sessions_per_core": {"curve": {"100": {"delay": LATENCY}, "250": {"delay": LATENCY}}},
        "cancel_storm": {"cancel to terminal": {"text": LATENCY}},
    },
    "fairness": {
        "floods": {"alone": 0.1, "full_step": 0.2, "fair shares": {"100": 0.3}, "first come": {"100": 9.0}},
        "day": {"queues": {"fair shares": {"first_token_p99": {"chat": 0.1}}}},
    },
}
SVG = "{http://www.w3.org/2000/svg}"


def test_every_figure_has_its_mark(tmp_path: Path) -> None:
    found = {path.stem: ElementTree.parse(path).getroot() for path in plots.write(FIGURES, tmp_path)}
    assert list(found) == ["front-end", "stack", "sessions", "cancels", "floods", "day"]
    assert len(found["front-end"].findall(f"{SVG}rect/{SVG}title")) == 2
    assert len(found["sessions"].findall(f"{SVG}circle")) == 4


def test_what_did_not_run_is_not_drawn(tmp_path: Path) -> None:
    assert [path.stem for path in plots.write({"stack": FIGURES["stack"]}, tmp_path)] == ["stack"]


@pytest.mark.parametrize("value", [0.0, 1.0, 3.0, 19.9, 1100.0])
def test_a_scale_ends_at_a_round_number_that_holds_all(value: float) -> None:
    assert value <= plot._round_up(value) <= max(1.0, value * 2.5)


def test_the_documentation_shows_every_plot_that_there_is() -> None:
    shown = (DOCS / "bench.md").read_text()
    for path in (DOCS / "plots").glob("*.svg"):
        assert f"(plots/{path.name})" in shown
        ElementTree.parse(path)
