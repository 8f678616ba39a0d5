"""The embedded model can do what the documentation says, in real vLLM, on questions that it was not trained on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.vllm

ROOT = Path(__file__).parents[2]


def test_every_skill_is_above_its_floor() -> None:
    """In a process of its own: vLLM's offline engine and the test runner's event loops don't share one."""
    command = [sys.executable, "-m", "training.starter.evaluate", "--samples", "20", "--min-score", "0.75"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    scores = json.loads(done.stdout.strip().splitlines()[-1])
    assert len(scores["scores"]) >= 20
