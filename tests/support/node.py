"""Node.js for the tests of the JavaScript client and examples."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

JS = Path(__file__).parents[2] / "clients" / "js"


def find_node() -> str:
    """Node, with the client's one development dependency in place. What is missing fails, unless declared away."""
    if os.environ.get("REALTIME_NO_NODE") == "1":
        pytest.skip("REALTIME_NO_NODE=1: what needs Node is not tested")
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.fail("the JavaScript client needs node 20 or newer and npm; REALTIME_NO_NODE=1 leaves its tests out")
    if not (JS / "node_modules" / "ws").is_dir():
        done = subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=JS, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return node
