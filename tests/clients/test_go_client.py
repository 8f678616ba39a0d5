"""The client in Go: its own checks, the conformance cases, and a server whose sockets go wrong."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.go import ROOT, build, go, gofmt
from tests.support.long import effort
from tests.support.process import serve

NUM_TOKENS = 1500
TEXT = [f"{number} " for number in range(NUM_TOKENS)]  # each once: what is lost, doubled or out of place shows


def test_formatted_vetted_and_tested() -> None:
    assert gofmt() == ""
    go("vet", "./...")
    go("test", "-vet=off", "-timeout", "120s", "./...")


def test_it_needs_the_standard_library_alone() -> None:
    assert go("list", "-m", "all").split() == ["realtime"]


def test_conformance(tmp_path: Path) -> None:
    driver = build("./conformance", tmp_path)
    command = [sys.executable, "-m", "clients.conformance", "--", str(driver)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "left out" not in done.stdout


def script(seed: int, num_faults: int) -> str:
    """One long answer, and sockets that are cut, refused, swallowed, late or lose a message."""
    chance = random.Random(seed)
    lines = ["tick_seconds = 0.002", "[[responses]]", f"say = {json.dumps(TEXT)}", "[[responses]]", "say = ['on ']"]
    lines.append("repeat = 100000")
    for _ in range(num_faults):
        cut = f"cut_after = {chance.randint(1, 40)}"
        fault = chance.choice(
            [
                cut,
                cut,
                f"{cut}\nclose_code = {chance.choice([1001, 1011, 1012, 1013])}",
                f"{cut}\ndelay_seconds = 0.01",
                f"{cut}\nlose = [{chance.randint(3, 9)}]",
                f"hole_after = {chance.randint(1, 30)}\nhole_seconds = 0.4",
                "refuse = {status = 503}",
            ]
        )
        lines += ["[[connections]]", fault]
    return "\n".join(lines)


@pytest.mark.parametrize("seed", range(effort(1, 10)))
async def test_every_token_comes_once_through_twenty_faults(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(script(seed, 20))
    soak, stream = build("./internal/soak", tmp_path), build("./examples/stream", tmp_path)
    async with serve("--engine", "scripted", "--script", str(path)) as process:
        url = f"ws://{await process.ready()}/v1/responses"
        report: dict[str, Any] = json.loads(await _output(soak, url))
        assert report["error"] == ""
        assert report["text"] == "".join(TEXT)
        assert report["gaps"] == 0
        assert report["sockets"] > 5
        assert report["status"] == "cancelled"
        example = await asyncio.create_subprocess_exec(
            stream, "-url", url, "hi", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        assert example.stdout is not None
        assert await example.stdout.readexactly(6) == b"on on "
        example.send_signal(signal.SIGINT)
        _, said = await example.communicate()
        assert b"cancelled after" in said


async def _output(program: Path, *arguments: str) -> bytes:
    process = await asyncio.create_subprocess_exec(program, *arguments, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return out
