"""Plots as SVG, without a library: lines over a scale, and groups of bars. They are readable in light
and in dark mode.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 720, 360, 64, 44, 200, 48
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999")
STYLE = "text{font:12px sans-serif;fill:#777}.title{font-size:14px;font-weight:bold}.grid{stroke:#8884}"


def lines(
    title: str, x_label: str, y_label: str, series: Mapping[str, Sequence[tuple[float, float]]], limit: float | None
) -> str:
    """Draw each series as a line through its points (x, y). limit: a dashed line at this y."""
    points = [point for line in series.values() for point in line]
    x_top = _round_up(max(x for x, _ in points))
    y_top = _round_up(max([y for _, y in points] + [limit or 0.0]))
    parts = [*_frame(title, x_label, y_label, y_top), *_x_scale(x_top)]
    for color, line in zip(COLORS, series.values(), strict=False):
        path = " ".join(f"{_x(x / x_top):.1f},{_y(y / y_top):.1f}" for x, y in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts += [f'<circle cx="{p.split(",")[0]}" cy="{p.split(",")[1]}" r="3" fill="{color}"/>' for p in path.split()]
    if limit is not None:
        at = _y(limit / y_top)
        parts.append(f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" stroke="#c00" stroke-dasharray="5 4"/>')
    return _document([*parts, *_legend(list(series))])


def bars(title: str, y_label: str, groups: Mapping[str, Mapping[str, float]]) -> str:
    """Draw a group of bars for each name, with one bar for each of its members, which all groups share."""
    names = list(next(iter(groups.values())))
    y_top = _round_up(max(value for group in groups.values() for value in group.values()))
    parts = list(_frame(title, "", y_label, y_top))
    step = 1 / len(groups)
    for place, (label, group) in enumerate(groups.items()):
        width = 0.8 * step / len(names)
        for number, (color, name) in enumerate(zip(COLORS, names, strict=False)):
            x, y = _x(place * step + 0.1 * step + number * width), _y(max(0.0, group[name]) / y_top)
            parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{_x(width) - _x(0) - 2:.1f}" height="{_y(0) - y:.1f}" '
                f'fill="{color}"><title>{escape(name)}: {group[name]:g}</title></rect>'
            )
        middle = _x((place + 0.5) * step)
        parts.append(f'<text x="{middle:.1f}" y="{_y(0) + 18:.1f}" text-anchor="middle">{escape(label)}</text>')
    return _document([*parts, *_legend(names)])


def _x(share: float) -> float:
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _round_up(value: float) -> float:
    """Return a round number that is not less."""
    if value <= 0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(value))
    return next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= value)


def _frame(title: str, x_label: str, y_label: str, y_top: float) -> Iterator[str]:
    yield f'<text x="{LEFT}" y="18" class="title">{escape(title)}</text>'
    yield f'<text x="{LEFT}" y="{TOP - 10}">{escape(y_label)}</text>'
    yield f'<text x="{_x(0.5):.0f}" y="{HEIGHT - 10}" text-anchor="middle">{escape(x_label)}</text>'
    for fifth in range(6):
        at = _y(fifth / 5)
        yield f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" class="grid"/>'
        yield f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{y_top * fifth / 5:g}</text>'


def _x_scale(x_top: float) -> Iterator[str]:
    for fifth in range(6):
        yield f'<text x="{_x(fifth / 5):.1f}" y="{_y(0) + 18:.1f}" text-anchor="middle">{x_top * fifth / 5:g}</text>'


def _legend(names: Sequence[str]) -> Iterator[str]:
    for number, (color, name) in enumerate(zip(COLORS, names, strict=False)):
        y = TOP + 20 * number
        yield f'<rect x="{WIDTH - RIGHT + 16}" y="{y}" width="10" height="10" fill="{color}"/>'
        yield f'<text x="{WIDTH - RIGHT + 32}" y="{y + 10}">{escape(name)}</text>'


def _document(parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}">'
    return "\n".join([head, f"<style>{STYLE}</style>", *parts, "</svg>"]) + "\n"
