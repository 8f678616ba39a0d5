"""Node.js for the tests of the JavaScript client, its examples, and OpenAI's SDK for JavaScript."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

JS = Path(__file__).parents[2] / "clients" / "js"


def find_node(folder: Path = JS) -> str:
    """Node, with the development dependencies of this folder in place. What is missing fails, unless declared away."""
    if os.environ.get("TESTS_NO_NODE") == "1":
        pytest.skip("TESTS_NO_NODE=1: what needs Node is not tested")
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.fail("what is in JavaScript needs node 20 or newer and npm; TESTS_NO_NODE=1 leaves its tests out")
    with _alone(folder):
        installed = folder / "node_modules" / ".package-lock.json"  # npm writes it last
        if not installed.is_file() or installed.stat().st_mtime < (folder / "package-lock.json").stat().st_mtime:
            done = subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=folder, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
    return node


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process of the test run at a time."""
    with (folder / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
