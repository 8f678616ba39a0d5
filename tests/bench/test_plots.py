"""Plots are well-formed SVG of the figures, and the documentation shows each of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench import engine, plot, plots

DOCS = Path(__file__).parents[2] / "docs"
LATENCY = {"p50_ms": 1.0, "p99_ms": 3.0}
FIGURES: dict[str, Any] = {
    "engine": {
        "streams": {"1": {"<bare>": {"front_end_to_vllm": 2.0}, engine.OURS: {"front_end_to_vllm": 3.5}}},
    },
    "stack": {"sockets": {"1 x 1": {"front_end_to_floor": 2.0}}, "pressure": {"1 x 1": {"front_end_to_floor": 1.0}}},
    "scenarios": {
        "sessions_per_core": {"curve": {"100": {"delay": LATENCY}, "250": {"delay": LATENCY}}},
        "cancel_storm": {"cancels": 10_000, "without a receipt": 0, "cancel to terminal": {"text": LATENCY}},
    },
    "fairness": {
        "floods": {"alone": 0.1, "full_step": 0.2, "fair shares": {"100": 0.3}, "first come": {"100": 9.0}},
        "day": {
            "hours": 24.0,
            "queues": {
                queue: {"first_token_p99": {"batch": batch, "chat": 10.0, "document": batch}}
                for queue, batch in (("fair shares", 99.0), ("first come", 9.0))
            },
        },
    },
    "scale": {
        "storms": {
            "20,000 sessions a node, slow Python": {
                "noticed within 25 s": {
                    "gave_up": 0.0,
                    "seconds": {"100%": 125.0},
                    "curve": [(0.0, 0.0), (125.0, 1.0)],
                },
                "cut at once": {"gave_up": 0.78, "seconds": {"100%": None}, "curve": [(0.0, 0.0), (5.0, 0.22)]},
            }
        }
    },
}
SVG = "{http://www.w3.org/2000/svg}"


def test_every_figure_has_its_mark(tmp_path: Path) -> None:
    found = {path.stem: ElementTree.parse(path).getroot() for path in plots.write(FIGURES, tmp_path)}
    assert list(found) == ["front-end", "stack", "sessions", "cancels", "floods", "day", "return"]
    assert len(found["front-end"].findall(f"{SVG}rect/{SVG}title")) == 2
    assert len(found["sessions"].findall(f"{SVG}circle")) == 4


def test_what_did_not_run_is_not_drawn(tmp_path: Path) -> None:
    assert [path.stem for path in plots.write({"stack": FIGURES["stack"]}, tmp_path)] == ["stack"]


TITLE_LETTER = 8.6  # pixels, of a bold font of 15, at most on average


@pytest.mark.parametrize("name", [name for name, _ in plots.drawn(FIGURES)])
def test_a_title_says_what_is_seen_within_the_width_of_the_plot(name: str) -> None:
    root = ElementTree.fromstring(dict(plots.drawn(FIGURES))[name])
    (title,) = (text.text or "" for text in root.findall(f"{SVG}text") if text.get("class") == "title")
    assert any(letter.isdigit() for letter in title), title
    assert 16 + TITLE_LETTER * len(title) <= plot.WIDTH, title


@pytest.mark.parametrize("value", [0.0, 0.03, 1.0, 3.0, 19.9, 53.0, 400.0, 1100.0])
def test_a_scale_holds_all_with_a_few_round_ticks(value: float) -> None:
    scale = plot.linear([0.0, value])
    assert value <= scale.high <= max(1.0, value * 1.5)
    assert 0 <= scale.share(value) <= 1
    assert 4 <= len(scale.ticks) <= 7
    assert (scale.ticks[0], scale.ticks[-1]) == (0.0, scale.high)


def test_a_logarithmic_scale_ends_at_powers_of_ten() -> None:
    scale = plot.logarithmic([0.31, 393.0])
    assert (scale.low, scale.high) == (0.1, 1000.0)
    assert scale.share(0.1) == 0
    assert scale.share(10.0) == pytest.approx(0.5)
    assert scale.ticks == (0.1, 1.0, 10.0, 100.0, 1000.0)


def test_a_long_legend_takes_more_rows() -> None:
    places = list(plot._flow(["a name of some length"] * 7))
    assert len({y for _, y, _ in places}) > 1
    assert all(x + 15 + plot._LETTER * len(name) <= plot.WIDTH for x, _, name in places)


def test_the_documentation_shows_every_plot_that_there_is() -> None:
    shown = (DOCS / "bench.md").read_text()
    for path in (DOCS / "plots").glob("*.svg"):
        assert f"(plots/{path.name})" in shown
        ElementTree.parse(path)
