"""Programs of the operating system that tests need: skipped where one is missing, except in CI, which installs them."""

from __future__ import annotations

import os
import shutil

import pytest

PLACES = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


def find_program(name: str, package: str) -> str:
    """Return where it is. package: Debian's."""
    found = shutil.which(name, path=PLACES)
    if found is None and os.environ.get("TESTS_NEED_PROGRAMS") != "1":
        pytest.skip(f"no {name} here (on Debian: apt install {package})")
    assert found is not None, f"CI has to have {name}: .ci/run installs it"
    return found
