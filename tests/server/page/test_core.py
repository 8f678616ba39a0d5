"""The pure part of the chat page under Node: Markdown, branches, answers, requests, exports, the page's own tools."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.node import find_node

HERE = Path(__file__).parent


def test_its_own_tests() -> None:
    done = subprocess.run(
        [find_node(), "--test", "core.test.mjs"], cwd=HERE, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
