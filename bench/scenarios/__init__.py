"""Scenarios other than steady streams, on the scripted engine. One module for each.

Each module has one `SCENARIO`, which says what it shows, how large it is, and which of its figures must be 0; `client`
has the readers that they share. `goals` judges the figures; the tests run all scenarios in their smallest size.
"""

from __future__ import annotations

import contextlib
import importlib
import traceback
from typing import Any

from .. import plan, servers
from ..measure import progress
from .scenario import Extent, Kind, Scenario, serve

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


class Size(plan.Size, frozen=True, kw_only=True):
    """A size of all scenarios. extent: theirs. share_servers: those that don't measure memory share a server with
    others of their kind.
    """

    extent: Extent
    share_servers: bool = True


_LARGE = "storms of 1,000 sockets, 10,000 cancels"
SIZES: dict[plan.Name, Size] = {
    "long": Size(text=_LARGE, extent="full", share_servers=False, work=50, waits=60),
    "full": Size(text=_LARGE, extent="full", share_servers=False, work=50, waits=60),
    "short": Size(text=_LARGE, extent="full", work=45, waits=60),
    "quick": Size(text="storms of 100 sockets, 200 cancels", extent="quick", work=8, waits=14),
    "tiny": Size(text="storms of 5 sockets, 9 cancels", extent="tiny"),
}


def scenario(name: str) -> Scenario:
    """Return the scenario of the module with this name."""
    found: Scenario = importlib.import_module(f"{__name__}.{name}").SCENARIO
    return found


def run(share: plan.Share[Size], figures: dict[str, Any]) -> None:
    """Run all scenarios, and fill in their figures, by name. Raises an ExceptionGroup of those that failed, once the
    others have run.
    """
    with contextlib.ExitStack() as stack:
        shared = _shared(stack) if share.size.share_servers else {}
        failed = []
        for name in NAMES:
            chosen = scenario(name)
            progress(f"{name}: {chosen.text}")
            server = None if chosen.weighs else shared.get(chosen.kind)
            try:
                figures[name] = found = chosen.run(share.size.extent, server)
            except Exception as error:
                traceback.print_exc()
                failed.append(error)
            else:
                chosen.show(found)
        if failed:
            raise ExceptionGroup("scenarios", failed)


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
