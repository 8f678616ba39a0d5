"""Agent frameworks, unmodified, complete a tool loop over the door that they know: the examples, as users run them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.real import RealServer

pytestmark = pytest.mark.vllm

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("example", ["openai_agents.py", "pydantic_ai_agent.py", "langchain_agent.py"])
def test_an_agent_calls_its_tool_and_answers_with_the_result(real: RealServer, example: str) -> None:
    command = [sys.executable, f"examples/{example}", real.base_url]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    called, answer = ran.stdout.splitlines()
    assert called == "get_weather('Paris')"
    assert "sunny, 21 degrees" in answer
