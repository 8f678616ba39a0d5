"""Ids that carry the node where they were made, `resp_NODE_…` and `conv_NODE_…`: a hint where to ask first. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

from realtime.wire.ids import new_id

NODE = r"[a-z0-9]{1,12}"
_HOMED = re.compile(rf"(?:resp|conv)_({NODE})_[0-9a-f]+")
_PREFIXES = frozenset({"resp", "conv"})


def ids_at(node: str) -> Callable[[str], str]:
    """Return what makes ids at a node."""

    def make(prefix: str) -> str:
        fresh = new_id(prefix)
        return fresh if prefix not in _PREFIXES else f"{prefix}_{node}_{fresh.removeprefix(prefix + '_')}"

    return make


def home_of(name: str) -> str | None:
    """Return the node at which an id was made; None: it does not say."""
    found = _HOMED.fullmatch(name)
    return found[1] if found is not None else None
