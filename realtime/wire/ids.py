"""Identifiers: an OpenAI-style prefix and 128 random bits, so that an id can be neither guessed nor repeated."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable


def new_id(prefix: str) -> str:
    """A fresh id such as `resp_3f…` (prefix, underscore, 32 hex digits)."""
    return f"{prefix}_{secrets.token_hex(16)}"


def ids_of(owner_id: str) -> Callable[[str], str]:
    """Make ids that follow from the id of what they belong to, which can't be guessed: whoever makes the same things
    again, in the same order, gives them the same ids.
    """
    number = 0

    def next_id(prefix: str) -> str:
        nonlocal number
        number += 1
        digest = hashlib.blake2b(f"{owner_id} {number}".encode(), digest_size=16)
        return f"{prefix}_{digest.hexdigest()}"

    return next_id
