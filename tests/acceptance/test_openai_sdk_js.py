"""OpenAI's SDK for JavaScript, and the AI SDK, unmodified, over the doors of the server as a newcomer starts it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.node import find_node
from tests.support.real import RealServer

JS = Path(__file__).parent / "js"
PARTS = {"openai_sdk.mjs": 12, "chat_completions.mjs": 7}  # each says `ok`; here so that none gets lost


@pytest.mark.vllm
@pytest.mark.parametrize("program", PARTS)
def test_every_part_of_the_program_is_ok(real: RealServer, program: str) -> None:
    command = [find_node(JS), program, real.base_url]
    ran = subprocess.run(command, cwd=JS, capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert len(ran.stdout.splitlines()) == PARTS[program]


def test_the_lock_names_no_registry() -> None:
    assert "resolved" not in (JS / "package-lock.json").read_text()
