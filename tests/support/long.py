"""The long form of the tests: `make check-long`, where more seeds, samples and cuts are tried than for every change."""

from __future__ import annotations

import os

LONG = os.environ.get("TESTS_LONG") == "1"


def effort(normal: int, long: int) -> int:
    """How many to try."""
    return long if LONG else normal
