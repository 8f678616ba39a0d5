"""The JavaScript client: its own tests under Node, then the client against the real server."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterable

import pytest

from realtime.engine.base import EngineRequest
from realtime.engine.scripted import Step
from tests.support.long import effort
from tests.support.node import JS, find_node
from tests.support.server import running

STORY = [f"word{number} " for number in range(8)]


@pytest.fixture(scope="module")
def node() -> str:
    return find_node()


def test_its_own_tests(node: str) -> None:
    files = sorted(str(path.relative_to(JS)) for path in (JS / "test").glob("*.test.mjs"))
    assert files
    environ = {**os.environ, "PYTHON": sys.executable}  # of the runner of the conformance cases
    _check(subprocess.run([node, "--test", *files], cwd=JS, capture_output=True, text=True, timeout=120, env=environ))


def _script(request: EngineRequest) -> Iterable[Step]:
    prompt = bytes(token for token in request.prompt_token_ids if token < 256)
    return ("on and on " for _ in range(100_000)) if b"endless" in prompt else STORY


async def test_with_the_real_server(node: str) -> None:
    async with running(_script, max_model_len=10**6) as server:
        await _program(node, "real_server.mjs", server.url, "".join(STORY))
        assert server.engine.stats().num_running == 0


async def test_whatever_the_path_does_nothing_is_lost_doubled_or_changed(node: str) -> None:
    words = [f"word{number} " for number in range(80)]
    async with running(lambda request: words, tick_seconds=0.005) as server:
        await _program(node, "rough_path.mjs", server.url, str(effort(12, 50)))
        assert server.engine.stats().num_running == 0


async def _program(node: str, name: str, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        node, f"test/{name}", *arguments, cwd=JS, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(120):  # a lost event would wait for ever
            _, stderr = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, stderr.decode()


def test_the_lock_names_no_registry() -> None:
    assert "resolved" not in (JS / "package-lock.json").read_text()


def _check(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
