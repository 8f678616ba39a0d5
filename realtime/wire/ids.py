"""Identifiers: an OpenAI-style prefix and 128 random bits, so that an id can be neither guessed nor repeated.

In a cluster the ids of responses and conversations have the name of a node between the two, their home: where they were
made. It is a hint; the store knows who has a response now.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable

_HOMED = frozenset({"resp", "conv"})
_WITH_HOME = re.compile(r"(?:resp|conv)_([a-z0-9]{1,12})_[0-9a-f]{32}")


def new_id(prefix: str) -> str:
    """Return a new id such as `resp_3f…` (prefix, underscore, 32 hex digits)."""
    return f"{prefix}_{secrets.token_hex(16)}"


def ids_at(node: str) -> Callable[[str], str]:
    """Return a maker of ids whose home is this node."""

    def next_id(prefix: str) -> str:
        return new_id(f"{prefix}_{node}" if prefix in _HOMED else prefix)

    return next_id


def home_of(id: str) -> str | None:
    """Return the node where a response or a conversation was made; None: the id does not say."""
    match = _WITH_HOME.fullmatch(id)
    return match[1] if match is not None else None


def ids_of(owner_id: str) -> Callable[[str], str]:
    """Return a maker of ids that follow from the id of what they belong to, which can't be guessed. Whoever makes the
    same things again, in the same order, gives them the same ids.
    """
    number = 0

    def next_id(prefix: str) -> str:
        nonlocal number
        number += 1
        digest = hashlib.blake2b(f"{owner_id} {number}".encode(), digest_size=16)
        return f"{prefix}_{digest.hexdigest()}"

    return next_id
