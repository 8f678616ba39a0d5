"""The tests that docs/compliance.md names are there."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "compliance.md").read_text()


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`(?:tests/)?((?:[a-z_]+/)*test_[a-z_]+\.py)`", PAGE))
    assert len(named) > 10
    assert [name for name in sorted(named) if not (TESTS / name).is_file()] == []
