"""Scenarios other than steady streams, on the scripted engine. One module for each.

Each module has one `SCENARIO`, which says what it shows and how large it is; `client` has the readers that they share.
Nothing is asserted here; the tests run all of them in their smallest size.
"""

from __future__ import annotations

import contextlib
import importlib
from typing import Any

from .. import servers
from ..measure import progress
from .scenario import Kind, Scenario, serve

NAMES = (
    "burst",
    "cut_storm",
    "mass_resume",
    "cancel_storm",
    "slow_readers",
    "tool_loop",
    "fan_out",
    "idle_sessions",
    "sessions_per_core",
    "scrape",
)


def scenario(name: str) -> Scenario:
    """Return the scenario of the module with this name."""
    found: Scenario = importlib.import_module(f"{__name__}.{name}").SCENARIO
    return found


def run(quick: bool, figures: dict[str, Any]) -> None:
    """Run all scenarios, and fill in their figures, by name. quick: those that don't measure memory share a server with
    others of their kind.
    """
    with contextlib.ExitStack() as stack:
        shared = _shared(stack) if quick else {}
        for name in NAMES:
            chosen = scenario(name)
            progress(f"{name}: {chosen.text}")
            server = None if chosen.weighs else shared.get(chosen.kind)
            figures[name] = found = chosen.run("quick" if quick else "full", server)
            chosen.show(found)


def _shared(stack: contextlib.ExitStack) -> dict[Kind, servers.Server]:
    kinds = sorted({chosen.kind for chosen in map(scenario, NAMES) if not chosen.weighs})
    return dict(zip(kinds, servers.enter_all(stack, *(serve(*kind) for kind in kinds)), strict=True))


def run_real(server: servers.Server, figures: dict[str, Any]) -> None:
    """Run the scenarios that make sense with any engine, in a small size, on a server with a real one, and fill in
    their figures.
    """
    for name in NAMES:
        chosen = scenario(name)
        if "real" in chosen.sizes:
            progress(f"{name} on the real engine: {chosen.text}")
            figures[name] = found = chosen.run("real", server)
            chosen.show(found, "on the real engine")
