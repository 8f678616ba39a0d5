"""A million sessions, and ten, on paper: what they need, and how they come back when a third of the nodes is lost.

Nothing here measures a machine: the costs were measured before (`bench.fleet`), and a seed decides the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from . import plan
from .fleet import FAST, SLOW, Costs, Load, Storm, capacity, come_back

MACHINES: Mapping[str, Costs] = {"fast Python": FAST, "slow Python": SLOW}
SESSIONS = (1_000_000, 10_000_000)
LOST = 1 / 3
STORMS = {
    "cut at once": Storm(),
    "at once, without jitter": Storm(jittered=False),
    "at once, nodes refuse beyond 1 s": Storm(sheds_after=1.0),
    "noticed within 25 s": Storm(noticed=25.0),
}
PERCENTILES = (0.5, 0.99, 1.0)


class Size(plan.Size, frozen=True, kw_only=True):
    """A size of this target. per_node: sessions of a node. nodes: that are simulated."""

    per_node: tuple[int, ...]
    nodes: int


SIZES: dict[plan.Name, Size] = {
    "long": Size(text="6,500 and 20,000 sessions a node, two nodes", per_node=(6_500, 20_000), nodes=2, work=2),
    "full": Size(text="6,500 and 20,000 sessions a node, two nodes", per_node=(6_500, 20_000), nodes=2, work=2),
    "short": Size(text="6,500 sessions a node, one node", per_node=(6_500,), nodes=1, work=1),
    "quick": Size(text="6,500 sessions a node, one node", per_node=(6_500,), nodes=1, work=1),
    "tiny": Size(text="100 sessions a node, one node", per_node=(100,), nodes=1),
}


def run(share: plan.Share[Size], figures: dict[str, Any]) -> None:
    """Run the calculation, print tables, fill in the figures."""
    figures |= {"capacity": {}, "storms": {}}
    for name, costs in MACHINES.items():
        for sessions in SESSIONS:
            found = capacity(Load(sessions=sessions), costs, lost=LOST)
            figures["capacity"][f"{sessions:,} sessions, {name}"] = msgspec.to_builtins(found)
    for sessions_per_node in share.size.per_node:
        returning = int(sessions_per_node * LOST / (1 - LOST))
        for name, costs in MACHINES.items():
            storms = {label: _storm(storm, costs, returning, share.size.nodes) for label, storm in STORMS.items()}
            figures["storms"][f"{sessions_per_node:,} sessions a node, {name}"] = storms
    _print(figures)


def _storm(storm: Storm, costs: Costs, returning: int, nodes: int) -> dict[str, Any]:
    found = come_back(storm, costs, per_node=returning, busy=0.3, nodes=nodes)
    every, number = max(len(found.at) // 40, 1), len(found.at) / (1 - found.gave_up) if found.at else 1
    return {
        "returning_per_node": returning,
        "seconds": {f"{share:.0%}": found.percentile(share) for share in PERCENTILES},
        "gave_up": round(found.gave_up, 4),
        "backlog_seconds": round(found.backlog, 2),
        "attempts": round(found.attempts, 2),
        "curve": [(round(at, 2), round((n + 1) / number, 3)) for n, at in enumerate(found.at)][::every],
    }


def _print(figures: Mapping[str, Any]) -> None:
    columns = ("nodes", "sessions_per_node", "loop", "memory_gib", "stores", "adopted_per_node", "adoption_seconds")
    print(f"   {'':38}" + "".join(f"{column.replace('_', ' '):>20}" for column in columns))
    for name, found in figures["capacity"].items():
        print(f"   {name:38}" + "".join(f"{found[column]:>20.4g}" for column in columns))
    for name, storms in figures["storms"].items():
        print(f"   {name}: a third of the nodes is lost")
        for label, found in storms.items():
            seconds = ", ".join(
                f"{share} {'never' if value is None else f'{value:.1f} s'}" for share, value in found["seconds"].items()
            )
            print(f"     {label:34} back: {seconds}; queue {found['backlog_seconds']} s; tries {found['attempts']}")
