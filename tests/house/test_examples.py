"""The examples run, and README shows them as they are."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from realtime.engine.base import EngineRequest
from tests.support.node import find_node
from tests.support.server import Running, running

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def server() -> AsyncIterator[Running]:
    def script(request: EngineRequest) -> list[str]:
        return ["word "] * (600 if request.sampling.ignore_eos else 3)

    async with running(script, tick_seconds=0.001) as server:
        yield server


async def run(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, output.decode()
    return output.decode()


async def test_stream(server: Running) -> None:
    assert await run(sys.executable, "examples/stream.py", server.url) == "word word word \n" * 2


async def test_cancel_and_resume(server: Running) -> None:
    output = await run(sys.executable, "examples/cancel_and_resume.py", server.url)
    assert "another connection" in output
    assert "--- cancelled, receipt: {'tokens_generated': " in output


@pytest.mark.parametrize("ends", ["long after", "long before"])
async def test_barge_in(ends: str) -> None:
    """However fast the answer was made: what is kept is what was spoken."""

    def script(request: EngineRequest) -> list[str]:
        return ["word "] * (20 if ends == "long before" else 1900 if request.sampling.ignore_eos else 3)

    async with running(script, tick_seconds=0 if ends == "long before" else 0.01, max_model_len=10**5) as server:
        output = await run(sys.executable, "examples/barge_in.py", server.url)
    assert f", kept: {'word ' * 12!r}\n" in output
    assert ("completed" if ends == "long before" else "cancelled") in output


async def test_barge_in_on_an_answer_that_is_over() -> None:
    """A short answer that was heard whole stays whole."""
    async with running(lambda request: ["word "] * 3, tick_seconds=0.001) as server:
        output = await run(sys.executable, "examples/barge_in.py", server.url)
    assert ", completed, kept: 'word word word '\n" in output


async def test_openai_sdk(server: Running) -> None:
    output = await run(sys.executable, "examples/openai_sdk.py", f"{server.http}/v1")
    assert output.startswith("word word word \nResponseUsage(")


async def test_openai_http(server: Running) -> None:
    output = await run(sys.executable, "examples/openai_http.py", f"{server.http}/v1")
    assert output.startswith("word word word \n" * 3 + "ResponseUsage(")


async def test_stream_in_javascript(server: Running) -> None:
    assert await run(find_node(), "examples/stream.mjs", server.url) == "word word word \n" * 2


def test_readme_shows_the_examples_as_they_are() -> None:
    shown = re.findall(r"<!-- (examples/\S+) -->\n```\w+\n(.*?)\n```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(shown) == 2
    for path, code in shown:
        assert code == (ROOT / path).read_text().strip()
