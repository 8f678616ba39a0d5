"""Every folder of `realtime/` says what it is for, and which file to open first."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "realtime"
ROOMS = sorted(path.parent for path in PACKAGE.rglob("*.py") if path.name == "__init__.py")
_FILE = re.compile(r"`([\w/]+\.(?:py|md))`")


@pytest.mark.parametrize("room", ROOMS, ids=[str(room.relative_to(PACKAGE.parent)) for room in ROOMS])
def test_a_room_introduces_itself(room: Path) -> None:
    module = ast.parse((room / "__init__.py").read_text())
    text = ast.get_docstring(module) or ""
    assert len(module.body) == 1, "a docstring, and no code"
    first = re.search(r"[Oo]pen\s+`([\w/]+\.py)`\s+first", text)
    assert first is not None, "it does not say which file to open first"
    assert (room / first[1]).is_file()
    for name in _FILE.findall(text):
        places = (room, PACKAGE, PACKAGE.parent, room.parent)
        assert any((place / name).is_file() for place in places), f"there is no {name}"


def test_every_folder_is_a_room() -> None:
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert folders == set(ROOMS)
