"""The JavaScript client: its own tests under Node, then the client against the real server."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from realtime.engine.base import EngineRequest
from realtime.engine.scripted import Step
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
        program = [node, "test/real_server.mjs", server.url, "".join(STORY)]
        process = await asyncio.create_subprocess_exec(*program, cwd=JS, stderr=asyncio.subprocess.PIPE)
        try:
            async with asyncio.timeout(60):  # a lost event would wait for ever
                _, stderr = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, stderr.decode()
        assert server.engine.stats().num_running == 0


def test_the_lock_names_no_registry() -> None:
    assert "resolved" not in (JS / "package-lock.json").read_text()


def test_no_path_of_the_module_is_left_out_of_the_types() -> None:
    """Every export has its declaration."""
    exports = _exported(JS / "realtime-client.mjs")
    assert exports == _exported(JS / "realtime-client.d.ts") & exports


def _exported(path: Path) -> set[str]:
    words = [line.replace("async ", "").split() for line in path.read_text().splitlines() if line.startswith("export ")]
    return {line[2].partition("(")[0].rstrip(":") for line in words if line[1] in ("class", "function", "const")}


def _check(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
