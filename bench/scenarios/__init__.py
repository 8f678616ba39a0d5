"""What happens to a server besides steady streams, on the scripted engine. A module for each scenario.

Each module has one `SCENARIO`, which says what it shows and how large it is; `client` has the readers that they share.
Nothing is asserted here; the tests run all of them in their smallest size.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from .scenario import Scenario

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
    """The scenario of the module with this name."""
    found: Scenario = importlib.import_module(f"{__name__}.{name}").SCENARIO
    return found


def run(quick: bool) -> dict[str, Any]:
    """The figures of all, by name."""
    figures = {}
    for name in NAMES:
        chosen = scenario(name)
        print(f"   {name}: {chosen.text}", file=sys.stderr, flush=True)
        figures[name] = chosen.run(quick)
        chosen.show(figures[name])
    return figures
