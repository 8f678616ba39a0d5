"""The examples run, and README shows them as they are."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from realtime.engine.base import EngineRequest, FinishReason
from realtime.engine.scripted import Finish, ScriptedTokenizer
from tests.support.calls import TAGGED, called
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
    output, _ = await asyncio.wait_for(process.communicate(), 120)
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


async def test_chat(server: Running) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "examples/chat.py",
        server.url,
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await asyncio.wait_for(process.communicate(b"one\ntwo\n\n"), 120)
    assert process.returncode == 0
    assert output.decode() == "word word word   [completed]\n" * 2


async def test_chat_stopped() -> None:
    async with running(lambda request: ["word "] * 5000, tick_seconds=0.001, max_model_len=10**5) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "examples/chat.py",
            server.url,
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"one\n")
        async with asyncio.timeout(120):
            await process.stdout.readexactly(len("word word "))
            process.send_signal(signal.SIGINT)
            output, _ = await process.communicate(b"\n")
    assert process.returncode == 0
    assert output.endswith(b"word   [cancelled]\n")


async def test_tools() -> None:
    def script(request: EngineRequest) -> Sequence[str]:
        prompt = ScriptedTokenizer().decode(request.prompt_token_ids)
        if "Count the sheep" in prompt:
            return called("count_sheep", {})
        return ["Sunny."] if "celsius" in prompt else called("get_weather", {"city": "Paris"})

    async with running(script, family=TAGGED) as server:
        output = await run(sys.executable, "examples/tools.py", server.url)
        assert server.engine.stats().num_running == 0
    assert output == (
        '[calls get_weather {"city": "Paris"}]\nSunny.\n--- completed\n'
        "[calls count_sheep {}]\n--- out of time: all is stopped\n"
    )


@pytest.mark.parametrize("cut", [False, True])
async def test_structured_output(cut: bool) -> None:
    def script(request: EngineRequest) -> list[str | Finish]:
        assert request.constraint is not None
        text = ['{"name": "Ada ', 'Lovelace", "age": 36}']
        return [text[0], Finish(FinishReason.LENGTH)] if cut else [*text]

    async with running(script) as server:
        output = await run(sys.executable, "examples/structured_output.py", server.url)
    assert output == ('cut: {"name": "Ada \n' if cut else "Person(name='Ada Lovelace', age=36)\n")


async def test_watch_along(server: Running) -> None:
    first = await asyncio.create_subprocess_exec(
        sys.executable, "examples/watch_along.py", server.url, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert first.stdout is not None
    said = (await asyncio.wait_for(first.stdout.readline(), 120)).decode().split()
    watched = await run(sys.executable, "examples/watch_along.py", *said[-2:])
    written, _ = await asyncio.wait_for(first.communicate(), 120)
    assert first.returncode == 0
    assert watched == written.decode()
    assert watched.endswith("word \n--- incomplete, 2000 characters\n")


async def test_resume_after_a_restart(server: Running, tmp_path: Path) -> None:
    command = [sys.executable, "examples/resume_after_restart.py", server.url, str(tmp_path / "cursor.json")]
    first = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    assert first.stdout is not None
    async with asyncio.timeout(120):
        shown = await first.stdout.readexactly(200)
        first.kill()
        shown += await first.stdout.read()
        await first.wait()
    rest = await run(*command)
    # It was killed between the two lines: what was shown last may not be in the cursor yet.
    assert len(shown.decode() + rest) - len("word " * 400) in (0, len("word "))
    assert rest


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
