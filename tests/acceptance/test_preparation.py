"""What a real tokenizer is not given: texts that can't fit, of every kind, are refused by the real server, and a cancel
is answered while one is prepared.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.real import RealServer
from tests.support.server import dial

pytestmark = pytest.mark.vllm

WORDS = "word " * 3_000_000
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
MESSAGES = [{"role": ("user", "assistant")[n % 2], "content": "word " * 300} for n in range(9_989)]
TOO_LONG: dict[str, dict[str, Any]] = {
    "words": {"input": WORDS},
    "one word": {"input": "a" * 15_500_000},
    "not ASCII": {"input": "é" * 2_500_000},
    "instructions": {"input": "x", "instructions": WORDS},
    "output of a tool": {"input": [CALL, {"type": "function_call_output", "call_id": "c", "output": WORDS}]},
    "messages": {"input": MESSAGES},
    "tiny messages": {"input": [{"role": "user", "content": "w"}] * 10_000},
    "tools": {
        "input": "x",
        "tools": [{"type": "function", "name": f"f{n}", "description": "what it does " * 500} for n in range(120)],
    },
}


@pytest.mark.parametrize("what", TOO_LONG)
async def test_what_can_not_fit_is_refused(real: RealServer, what: str) -> None:
    async with dial(real.url, native=True) as client:
        await client.send("response.create", **TOO_LONG[what])
        error = (await client.until_done())[-1]["response"]["error"]
        assert error["code"] == "context_length_exceeded"
        assert "window holds 4096" in error["message"]
        assert ("more than 4096 tokens" in error["message"]) == (what != "tools"), "of those its template shows little"
        assert (await client.create("hi", max_output_tokens=1))[-1]["response"]["error"] is None


@pytest.mark.parametrize("how", [{"truncation": "auto"}, {"context_management": [{"type": "compaction"}]}], ids=str)
async def test_a_history_far_beyond_the_window_is_answered(real: RealServer, how: dict[str, Any]) -> None:
    messages = MESSAGES if "truncation" in how else MESSAGES[-15:]
    async with dial(real.url, native=True) as client:
        await client.send("response.create", input=messages, max_output_tokens=4, **how)
        final = (await client.until_done())[-1]["response"]
        assert final["error"] is None
        assert final["usage"]["input_tokens"] > 100


@pytest.mark.parametrize(
    "input", [WORDS, "a" * 60_000, [{"role": "user", "content": "w"}] * 10_000], ids=["w", "a", "i"]
)
async def test_a_cancel_ends_what_is_prepared_or_it_is_refused_before(real: RealServer, input: Any) -> None:
    """Which of both comes first is open; nothing else may come."""
    async with dial(real.url, native=True) as client:
        await client.send("response.create", input=input)
        created = await client.receive()
        await client.send("response.cancel", response_id=created["response_id"])
        final = (await client.until_done(created["response_id"]))[-1]["response"]
        if final["status"] == "cancelled":
            assert final["cancel"]["tokens_generated"] == 0
        else:
            assert final["error"]["code"] == "context_length_exceeded"
