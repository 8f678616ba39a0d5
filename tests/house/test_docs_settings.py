"""The table of settings in docs/operations.md is the one that the code writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from realtime.settings.sources import options
from realtime.settings.text import TABLE_BEGIN, TABLE_END, settings_table, with_table

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


def test_docs_match_the_code() -> None:
    text = OPERATIONS.read_text("utf-8")
    assert with_table(text) == text, "docs/operations.md is behind the code: run `make docs`"


def test_table_has_every_setting_and_nothing_of_this_machine() -> None:
    table = settings_table()
    for option in options():
        assert f"| `{option.name}` |" in table
    assert str(Path(__file__).parents[2]) not in table


def test_with_table_replaces_what_is_between_the_markers() -> None:
    new = with_table(f"before\n{TABLE_BEGIN}\nstale words\n{TABLE_END}\nafter\n")
    assert new == f"before\n{TABLE_BEGIN}\n\n{settings_table()}\n\n{TABLE_END}\nafter\n"
    assert with_table(new) == new
    with pytest.raises(ValueError, match="markers"):
        with_table("no markers")
