"""Write the server's version, from pyproject.toml, into both clients' packages. `make docs` runs it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: Files that repeat the version, with how often, and the line that does.
REPEATED = {
    "clients/python/pyproject.toml": (1, re.compile(r'^(version = ")[^"]+(")', re.MULTILINE)),
    "clients/js/package.json": (1, re.compile(r'^(  "version": ")[^"]+(")', re.MULTILINE)),
    "clients/js/package-lock.json": (2, re.compile(r'("name": "realtime-llm-client",\s+"version": ")[^"]+(")')),
}


def version(root: Path = ROOT) -> str:
    """Return the version of this tree."""
    with (root / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def with_version(name: str, text: str, version: str) -> str:
    """Return the text of a file of `REPEATED` with this version. Raises ValueError: the file has no place for it."""
    times, place = REPEATED[name]
    written, found = place.subn(rf"\g<1>{version}\g<2>", text)
    if found != times:
        raise ValueError(f"{name} gives its version {found} times, not {times}")
    return written


if __name__ == "__main__":
    for name in REPEATED:
        path = ROOT / name
        path.write_text(with_version(name, path.read_text("utf-8"), version()), "utf-8")
