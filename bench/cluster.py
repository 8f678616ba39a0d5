"""Costs of a cluster to its readers: an event that is read on another node than the one that makes it, and the death
of a node under many streams.
"""

from __future__ import annotations

from typing import Any

from . import lost_node, plan, proxied


class Size(plan.Size, frozen=True, kw_only=True):
    """A size of this target. seconds: of each way to read, at each of the levels. streams: of a node that dies. tick:
    seconds between two tokens of theirs.
    """

    repeats: int
    seconds: float
    streams: int
    tick: float
    levels: tuple[int, ...] = proxied.LEVELS


SIZES: dict[plan.Name, Size] = {
    "long": Size(
        text="3 runs of 5 s at 1, 32 and 128 streams; 1,000 streams whose node dies", work=60, waits=210,
        repeats=3, seconds=5.0, streams=1000, tick=2.0,
    ),
    "full": Size(
        text="3 runs of 1 s at 1, 32 and 128 streams; 300 streams whose node dies", work=22, waits=60,
        repeats=3, seconds=1.0, streams=300, tick=0.5,
    ),
    "short": Size(
        text="3 runs of 1 s at 1 and 128 streams; 60 streams whose node dies", work=15, waits=45,
        repeats=3, seconds=1.0, streams=60, tick=0.1, levels=(1, 128),
    ),
    "quick": Size(
        text="a run of 1 s at 128 streams; 60 streams whose node dies", work=10, waits=18,
        repeats=1, seconds=1.0, streams=60, tick=0.1, levels=(128,),
    ),
    "tiny": Size(
        text="a run of 0.3 s at 2 streams; 6 streams whose node dies",
        repeats=1, seconds=0.3, streams=6, tick=0.1, levels=(2,),
    ),
}  # fmt: skip


def run(share: plan.Share[Size], figures: dict[str, Any]) -> None:
    """Both parts. Raises NotInstalled without a Redis."""
    size = share.size
    figures["lost_node"] = {}
    lost_node.run(size.streams, size.tick, figures["lost_node"])
    figures["proxied"] = {}
    proxied.run(share.repeats(size.repeats, "readers elsewhere"), size.seconds, size.levels, figures["proxied"])
