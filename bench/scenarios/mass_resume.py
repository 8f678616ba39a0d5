"""All sockets lost at once, as when a network fails, and all back at once: how soon each reads on."""

from __future__ import annotations

from .cut_storm import TICK, measure
from .scenario import Scenario

SCENARIO = Scenario(
    "Mass resume: all sockets gone at once, and all back at once",
    measure,
    {
        "full": {"count": 1000, "share": 1.0, "tokens": 60},
        "quick": {"count": 100, "share": 1.0, "tokens": 20},
        "tiny": {"count": 5, "share": 1.0, "tokens": 12},
        "real": {"count": 40, "share": 1.0, "tokens": 64, "per_token": False},
    },
    zero=("mismatches", "gaps"),
    counted="sockets",
    tick=TICK,
)
