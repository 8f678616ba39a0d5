"""Print which packages have another version than the lock: `-m scripts.moved LOCK INSTALLED`. `make next` runs it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from scripts.sbom import pins


def moved(lock: Mapping[str, str], installed: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each package that is installed in another version, or that the lock lacks."""
    for name, version in sorted(installed.items()):
        if name not in lock:
            yield f"  {name} {version}, which the lock lacks"
        elif lock[name] != version.partition("+")[0]:
            yield f"  {name} {lock[name]} -> {version}"


if __name__ == "__main__":
    lock, installed = (pins(Path(name).read_text("utf-8")) for name in sys.argv[1:])
    print("\n".join(moved(lock, installed)) or "  nothing")
