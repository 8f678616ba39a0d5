"""Plots as SVG, without a library: lines, and groups of bars. They bring their own background, light or dark, so that
they can be read on any page.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

import msgspec

WIDTH, HEIGHT = 720, 380
LEFT, RIGHT, BOTTOM = 72, 32, 58
LIGHT = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#8c8c8c")
DARK = ("#4ba3e3", "#f0884a", "#2ecc9b", "#dd99bd", "#e6b422", "#8ed0f7", "#a8a8a8")
DASHES = ("none", "7 4", "2 3", "10 3 2 3")  # so that lines which lie on each other are both seen
MARKED = 12  # points, at most, of a line that shows each
_LETTER = 6.7  # pixels, of the legend's font
Points = Sequence[tuple[float, float]]


class Scale(msgspec.Struct, frozen=True):
    """A scale from one round number to another. ticks: those that are written beside it."""

    low: float
    high: float
    ticks: tuple[float, ...]
    is_log: bool = False

    def share(self, value: float) -> float:
        """Return where a value lies, from 0 to 1."""
        if self.is_log:
            return math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def linear(values: Sequence[float]) -> Scale:
    """Return a scale from 0 that holds all values."""
    most = max([*values, 0.0]) or 1.0
    unit = 10.0 ** math.floor(math.log10(most))
    step = next(unit * factor for factor in (0.1, 0.2, 0.25, 0.5, 1, 2) if most <= unit * factor * 6)
    number = math.ceil(most / step - 1e-9)
    return Scale(0.0, number * step, tuple(step * n for n in range(number + 1)))


def logarithmic(values: Sequence[float]) -> Scale:
    """Return a scale of powers of ten that holds all values, which are above 0."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    powers = tuple(10.0**power for power in range(low, max(high, low + 1) + 1))
    return Scale(powers[0], powers[-1], powers, is_log=True)


def lines(
    title: str, x_label: str, y_label: str, series: Mapping[str, Points], *, limit: tuple[str, float] | None = None,
    log: bool = False,
) -> str:  # fmt: skip
    """Draw each series as a line through its points (x, y). limit: a dashed line at this y, and its name. log: a
    logarithmic scale of y.
    """
    points = [point for line in series.values() for point in line]
    ys = [y for _, y in points] + ([limit[1]] if limit else [])
    frame = _Frame(title, x_label, y_label, list(series), logarithmic(ys) if log else linear(ys))
    x_scale = linear([x for x, _ in points])
    parts = [*frame.parts(), *(frame.under(x_scale.share(tick), f"{tick:,g}") for tick in x_scale.ticks)]
    for number, line in enumerate(series.values()):
        places = [(frame.x(x_scale.share(x)), frame.y(y)) for x, y in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" class="line l{number}" stroke-dasharray="{DASHES[number % 4]}"/>')
        marked = places if len(places) <= MARKED else places[-1:]
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" class="s{number}"/>' for x, y in marked]
    if limit is not None:
        at = frame.y(limit[1])
        parts.append(f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" class="limit"/>')
        parts.append(
            f'<text x="{WIDTH - RIGHT}" y="{at - 5:.1f}" text-anchor="end" class="small">{escape(limit[0])}</text>'
        )
    return _document(parts)


def bars(title: str, x_label: str, y_label: str, groups: Mapping[str, Mapping[str, float]]) -> str:
    """Draw a group of bars for each name, with one bar for each of its members, which all groups share. The value
    stands above its bar.
    """
    names = list(next(iter(groups.values())))
    values = [max(0.0, value) for group in groups.values() for value in group.values()]
    frame = _Frame(title, x_label, y_label, names, linear(values))
    parts, step = list(frame.parts()), 1 / len(groups)
    width = 0.84 * step / len(names)
    for place, (label, group) in enumerate(groups.items()):
        for number, name in enumerate(names):
            left = frame.x(place * step + 0.08 * step + number * width)
            wide, top = frame.x(width) - frame.x(0) - 2, frame.y(max(0.0, group[name]))
            parts.append(
                f'<rect x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{frame.y(0) - top:.1f}" '
                f'class="s{number}"><title>{escape(name)}: {group[name]:g}</title></rect>'
            )
            parts.append(
                f'<text x="{left + wide / 2:.1f}" y="{top - 4:.1f}" text-anchor="middle" class="small">'
                f"{_short(group[name])}</text>"
            )
        parts.append(frame.under((place + 0.5) * step, label))
    return _document(parts)


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.1f}" if abs(value) >= 1 else f"{value:.2f}"


class _Frame:
    """Everything but the data: title, legend, axes. The legend takes as many rows as it needs."""

    def __init__(self, title: str, x_label: str, y_label: str, names: Sequence[str], y_scale: Scale) -> None:
        self._texts = title, x_label, y_label
        self._scale = y_scale
        self._legend = list(_flow(names))
        self._top = self._legend[-1][1] + 46

    def x(self, share: float) -> float:
        """Return the place of a share of the width."""
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Return the place of a value."""
        return HEIGHT - BOTTOM - self._scale.share(value) * (HEIGHT - self._top - BOTTOM)

    def under(self, share: float, text: str) -> str:
        """Return a text below the horizontal axis."""
        return f'<text x="{self.x(share):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{escape(text)}</text>'

    def parts(self) -> Iterator[str]:
        """Yield them."""
        title, x_label, y_label = map(escape, self._texts)
        yield f'<text x="16" y="24" class="title">{title}</text>'
        for number, (x, y, name) in enumerate(self._legend):
            yield f'<rect x="{x:.0f}" y="{y - 9:.0f}" width="10" height="10" class="s{number}"/>'
            yield f'<text x="{x + 15:.0f}" y="{y:.0f}">{escape(name)}</text>'
        yield f'<text x="16" y="{self._top - 14:.0f}" class="small">{y_label}</text>'
        yield f'<text x="{self.x(0.5):.0f}" y="{HEIGHT - 14}" text-anchor="middle">{x_label}</text>'
        for tick in self._scale.ticks:
            at = self.y(tick)
            yield f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" class="grid"/>'
            yield f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{tick:,g}</text>'


def _flow(names: Sequence[str]) -> Iterator[tuple[float, float, str]]:
    """Yield the place of each name of a legend, row by row."""
    x, y = 16.0, 48.0
    for name in names:
        wide = 15 + _LETTER * len(name) + 14
        if x > 16 and x + wide > WIDTH:
            x, y = 16.0, y + 18
        yield x, y, name
        x += wide


def _style() -> str:
    light, dark = (";".join(f"--c{number}:{color}" for number, color in enumerate(colors)) for colors in (LIGHT, DARK))
    series = "".join(f".s{n}{{fill:var(--c{n})}}.l{n}{{stroke:var(--c{n})}}" for n in range(len(LIGHT)))
    return (
        f"svg{{--ink:#1f2328;--paper:#fff;--faint:#0000001f;--limit:#c00;{light}}}"
        "@media(prefers-color-scheme:dark)"
        f"{{svg{{--ink:#e6edf3;--paper:#0d1117;--faint:#ffffff2e;--limit:#ff6b6b;{dark}}}}}"
        "text{font:12px sans-serif;fill:var(--ink)}.title{font-size:15px;font-weight:bold}.small{font-size:11px}"
        ".paper{fill:var(--paper)}.grid{stroke:var(--faint)}.line{fill:none;stroke-width:2}"
        f".limit{{stroke:var(--limit);stroke-dasharray:5 4}}{series}"
    )


def _document(parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}">'
    paper = f'<path d="M0 0H{WIDTH}V{HEIGHT}H0z" class="paper"/>'
    return "\n".join([head, f"<style>{_style()}</style>", paper, *parts, "</svg>"]) + "\n"
