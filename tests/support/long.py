"""The long form of the tests: `make check-long`, where more seeds, samples and cuts are tried than for every change."""

from __future__ import annotations

import os

LONG = os.environ.get("TESTS_LONG") == "1"


def effort(normal: int, long: int) -> int:
    """How many to try."""
    return long if LONG else normal


def places(length: int) -> list[int]:
    """Where something of this length is cut, from 0 to its length: everywhere in the long form. Else near its ends,
    where marks are, and at every third place between them: at others for each length, so that many cases have them all.
    """
    return [place for place in range(length + 1) if LONG or place < 6 or place > length - 10 or place % 3 == length % 3]
