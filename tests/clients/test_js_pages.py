"""AI SDK's `useChat` on its transport, the hooks, the tool loop, and the page of the examples: on the real server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from realtime.engine.base import EngineRequest
from realtime.engine.scripted import Step
from tests.support.calls import TAGGED, spoken_call
from tests.support.node import JS, find_node
from tests.support.server import running

STORY = [f"word{number} " for number in range(8)]
LONG = [f"{number} " for number in range(400)]


def _script(request: EngineRequest) -> Iterable[Step]:
    prompt = bytes(token for token in request.prompt_token_ids if token < 256)
    asked = prompt.rpartition(b"user")[2]
    if b"endless" in asked:
        return ("on and on " for _ in range(100_000))
    if b"weather" in asked and b"clear" not in prompt:
        return spoken_call("get_weather", '{"city"', ': "Paris"}')
    return LONG if b"long" in asked or b"clear" in prompt else STORY


@pytest.mark.parametrize("program", ["ai_sdk.mjs", "react.mjs", "browser_example.mjs", "tools.mjs"])
async def test_with_the_real_server(program: str) -> None:
    async with running(_script, family=TAGGED, tick_seconds=0.002, max_model_len=10**6) as server:
        command = [find_node(), f"test/{program}", server.url, "".join(STORY), "".join(LONG)]
        process = await asyncio.create_subprocess_exec(*command, cwd=JS, stderr=asyncio.subprocess.PIPE)
        try:
            async with asyncio.timeout(120):  # a lost event would wait for ever
                _, stderr = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, stderr.decode()
        assert server.engine.stats().num_running == 0
