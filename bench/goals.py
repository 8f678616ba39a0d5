"""The goals of the server beside the figures of a run: met, missed, or not measured, and why.

A goal that must hold is one of correctness: it holds in any size and on any machine, and a run in which it is missed
has failed. The others are of cost and speed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from . import engine, scenarios
from .measure import table
from .plan import FAST

Verdict = Literal["met", "missed", "not measured", "not measurable here", "no bound"]
Path = tuple[str, ...]
INTERRUPTED = "interrupted"  # why a target did not come to its end, in `broken`
_NO_RUST = "this build of vLLM has no front end in Rust"


class Goal(msgspec.Struct, frozen=True):
    """A goal. path: to its figure. most, least: that the figure may be; neither: it is told without a bound. among:
    path to the number of those that were looked at; enough: that it takes for a verdict. must: see above. fast: it is
    meant for a fast core. missing: why the figure is not there though its target has run.
    """

    text: str
    path: Path
    most: float | None = None
    least: float | None = None
    among: Path = ()
    enough: int = 0
    must: bool = False
    fast: bool = False
    missing: str = "not in this size"

    @property
    def bound(self) -> str:
        """Return the bound in words."""
        if self.most is not None:
            return f"<= {self.most:,g}"
        return "" if self.least is None else f">= {self.least:,g}"

    def holds(self, figure: float) -> bool:
        """Return whether a figure is within the bound."""
        return (self.most is None or figure <= self.most) and (self.least is None or figure >= self.least)


class Judged(msgspec.Struct, frozen=True):
    """A goal beside its figure. among: how many were looked at."""

    goal: Goal
    verdict: Verdict
    figure: float | None = None
    among: float | None = None
    why: str = ""

    @property
    def failed(self) -> bool:
        """Return whether the run has failed with it."""
        return self.goal.must and self.verdict == "missed"


def goals() -> Sequence[Goal]:
    """Return all of them, first those that must hold."""
    return [*_must_hold(), *_of_the_engine(), *_of_the_server(), *_of_nodes_and_stores()]


def _must_hold() -> Iterator[Goal]:
    """Yield the figures that are 0 where nothing is wrong."""
    for name in scenarios.NAMES:
        chosen = scenarios.scenario(name)
        for figure in chosen.zero:
            yield _zero(f"{name}: {figure}", ("scenarios", name, figure), chosen.counted)
            if "real" in chosen.sizes:
                yield _zero(f"{name}, real engine: {figure}", ("engine", "scenarios", name, figure), chosen.counted)
    yield _zero("streams of all servers: missing tokens", ("engine", "missing tokens"))
    yield _zero("cancels in every phase: without a receipt", ("cancel", "without a receipt"))
    yield _zero("a node is killed: mismatches", ("cluster", "lost_node", "mismatches"), "streams")


def _zero(text: str, path: Path, among: str = "") -> Goal:
    return Goal(text, path, most=0, among=(*path[:-1], among) if among else (), must=True)


def _of_the_engine() -> Iterator[Goal]:
    for level in ("32", "128"):
        at = ("engine", "streams", level)
        ours = (*at, engine.OURS)
        yield Goal(f"{level} streams, WebSocket: CPU a token, of vLLM's server", (*ours, "front_end_to_vllm"), most=0.5)
        yield Goal(
            f"{level} streams, WebSocket: added to the engine, of vLLM's", (*ours, "above_bare_to_vllm"), most=0.25
        )
        rust = (*at, engine.VLLM_RUST, "front_end_to_vllm")
        yield Goal(f"{level} streams: vLLM's front end in Rust, of its server", rust, missing=_NO_RUST)


def _of_the_server() -> Iterator[Goal]:
    for level in ("16 x 1", "256 x 1"):
        event = ("stack", "sockets", level, "event_to_floor")
        yield Goal(f"{level}: CPU an event, of the raw writer's", event, most=2.5)
        yield Goal(f"{level}: the same, where cores are fast", event, most=1.4, fast=True)
    pressed = ("stack", "pressure", "256 x 1", "events_per_second_per_core")
    yield Goal("256 x 1 under pressure: events/s of a core", pressed, least=125_000, fast=True)
    storm, back, scrape = (("scenarios", name) for name in ("cancel_storm", "mass_resume", "scrape"))
    among = (*storm, "cancels")
    rate = (*storm, "cancels per second")
    yield Goal("10,000 cancels in 10 s: cancels a second", rate, least=1_000, among=among, fast=True)
    for which in ("p50_ms", "p99_ms"):
        came = (*back, "resume to first event", which)
        yield Goal(f"all resume at once: {which[:3]} to the first event, ms", came, among=(*back, "sockets"))
    yield Goal("sessions of a core to the objective", ("scenarios", "sessions_per_core", "sessions"))
    repeats = (*scrape, "repeats")
    cost, delay = ((*scrape, f"{what}, scraped to without") for what in ("CPU", "p99 delay"))
    yield Goal("/metrics is scraped: CPU an event, of that without", cost, most=1.05, among=repeats, enough=3)
    yield Goal("/metrics is scraped: p99 delay, of that without", delay, among=repeats)


def _of_nodes_and_stores() -> Iterator[Goal]:
    read_on = ("cluster", "lost_node", "of a lease", "p99")
    yield Goal("a node is killed: p99 to the next event, in leases", read_on)
    both = ("cluster", "proxied", "128", "both proxied to local")
    yield Goal("128 readers elsewhere: CPU of both nodes, of that of one", both)
    for store in ("redis", "postgres"):
        commit = ("store", "numbered", store, "ours us, numbered to without")
        missing = f"{store} is not installed"
        yield Goal(f"a number on each commit, {store}: our CPU, of that without", commit, missing=missing)


def judge(wanted: Iterable[Goal], figures: Mapping[str, Any], broken: Mapping[str, str], pace: float) -> list[Judged]:
    """Judge each goal. broken: targets that did not come to their end, and why. pace: of this machine."""
    return [_judge(goal, figures, broken, pace) for goal in wanted]


def _judge(goal: Goal, figures: Mapping[str, Any], broken: Mapping[str, str], pace: float) -> Judged:
    target = goal.path[0]
    figure, among = _at(figures, goal.path), _at(figures, goal.among) if goal.among else None
    if figure is None:
        why = goal.missing if target in figures else "it did not run"
        if target in broken:
            why = INTERRUPTED if broken[target] == INTERRUPTED else "it broke, see below"
        return Judged(goal, "not measured", why=f"{target}: {why}")
    if not goal.bound:
        return Judged(goal, "no bound", figure, among)
    if among is not None and among < goal.enough:
        return Judged(goal, "not measured", figure, among, f"it takes {goal.enough} to tell it from noise")
    if goal.holds(figure):
        return Judged(goal, "met", figure, among)
    if goal.fast and pace > FAST:
        why = f"it is meant for a core at least {pace / FAST:.1f} times as fast as what this one had to give"
        return Judged(goal, "not measurable here", figure, among, why)
    return Judged(goal, "missed", figure, among)


def _at(figures: Any, path: Path) -> float | int | None:
    """Return the figure at the end of a path, if there is one."""
    for name in path:
        if not isinstance(figures, Mapping) or name not in figures:
            return None
        figures = figures[name]
    return figures if isinstance(figures, int | float) else None


def show(judged: Sequence[Judged]) -> None:
    """Print the table that people see last, if there is a goal."""
    if not judged:
        return
    rows = []
    for one in judged:
        figure = "-" if one.figure is None else one.figure
        among = "" if one.among is None else f"of {one.among:,}"
        rows.append((one.goal.text, figure, among, one.goal.bound, one.verdict + (one.why and f": {one.why}")))
    table("Goals", ("", "figure", "", "goal", "verdict"), rows, left=(0, 4))


def as_json(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """Return the table for the JSON line."""
    return [
        {"goal": one.goal.text, "figure": one.figure, "bound": one.goal.bound, "verdict": one.verdict, "why": one.why}
        for one in judged
    ]
