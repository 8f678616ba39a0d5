"""Identifiers: an OpenAI-style prefix and 128 random bits, so that an id can be neither guessed nor repeated."""

from __future__ import annotations

import secrets


def new_id(prefix: str) -> str:
    """A fresh id such as `resp_3f…` (prefix, underscore, 32 hex digits)."""
    return f"{prefix}_{secrets.token_hex(16)}"
