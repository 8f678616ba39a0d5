"""Costs of a cluster to its readers: an event that is read on another node than the one that makes it, and the death
of a node under many streams.
"""

from __future__ import annotations

from typing import Any

from . import lost_node, proxied


def run(quick: bool, figures: dict[str, Any]) -> None:
    """Both parts. Raises NotInstalled without a Redis."""
    figures["proxied"] = {}
    proxied.run(quick, figures["proxied"])
    figures["lost_node"] = {}
    lost_node.run(quick, figures["lost_node"])
