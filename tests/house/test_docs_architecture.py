"""docs/architecture.md is true: its map is the layer test's, and the tests that it names exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house.test_layers import HOUSE

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "architecture.md").read_text()
_FILE = re.compile(r"`((?:[a-z_]+/)+[a-z_]+\.(?:py|md))`")
_TEST = re.compile(r"`(tests/[a-z_/]+\.py)::(\w+)`")


def section(name: str) -> list[str]:
    return TEXT.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0].strip().splitlines()[2:]


def test_the_map_is_the_one_that_the_imports_keep_to() -> None:
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in section("wings")]
    assert [row[0].strip("`") for row in rows] == [wing.name for wing in HOUSE]
    assert [row[2].startswith("yes") for row in rows] == [wing.pure for wing in HOUSE]
    for wing, row in zip(HOUSE, rows, strict=True):
        paths = {name.replace(".", "/") for name in wing.io}
        named = {f"{path}/" if (ROOT / "realtime" / wing.name / path).is_dir() else f"{path}.py" for path in paths}
        assert named == set(re.findall(r"`([a-z_/]+(?:\.py|/))`", row[2]))
        folder = ROOT / "realtime" / ("" if wing.name == "__main__" else wing.name)
        assert (folder / row[3].strip("`")).is_file()


@pytest.mark.parametrize("row", section("invariants"), ids=lambda row: row.split("|")[1].strip())
def test_every_invariant_is_held_by_tests_that_exist(row: str) -> None:
    named = _TEST.findall(row)
    assert named, "nothing holds it"
    for path, name in named:
        assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE), f"{path}::{name}"


def test_every_file_that_it_names_exists() -> None:
    rows = "\n".join(section("wings"))  # there, files are named from their wing on
    for name in _FILE.findall(TEXT.replace(rows, "")):
        assert (ROOT / name).is_file() or (ROOT / "realtime" / name).is_file(), name
