"""What an engine elsewhere can't do: the list of docs/engines.md is that of the tests, and its reasons still hold."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from realtime.engine.base import Loaded
from tests.support.elsewhere import CANNOT, Elsewhere

from ..asking import Client

DOCS = Path(__file__).parents[3] / "docs" / "engines.md"


def test_the_docs_list_what_the_tests_leave_out() -> None:
    [table] = re.findall(r"<!-- cannot -->\n(.*?)<!-- /cannot -->", DOCS.read_text(), re.DOTALL)
    rows = [line.split("|")[1].strip() for line in table.splitlines()]
    assert rows[2:] == list(CANNOT)


@pytest.mark.vllm
@pytest.mark.filterwarnings("ignore")  # importing vLLM and torch warns of their own affairs
def test_what_is_lacking_is_lacking_still() -> None:
    """A member that is new may do what could not be done: then read the list, and pin it here."""
    from vllm.entrypoints.scale_out.token_in_token_out import protocol

    chunk, choice = protocol.GenerateTokensStreamResponse, protocol.GenerateTokensStreamChoice
    assert set(protocol.PlaceholderRangeInfo.model_fields) == {"offset", "length"}
    assert set(chunk.model_fields) == {
        "request_id", "usage", "prompt_token_ids", "mm_placeholders", "metrics", "output_mode", "choices",
    }  # fmt: skip
    assert set(choice.model_fields) == {
        "index", "finish_reason", "stop_reason", "token_ids", "routed_experts", "sampling_mask", "weight_versions",
        "logprobs",
    }  # fmt: skip


@pytest.mark.vllm
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.filterwarnings("ignore")
async def test_what_the_real_one_does_not_tell(elsewhere: Elsewhere) -> None:
    loaded: Loaded = elsewhere.loaded
    client = Client(elsewhere.newest, loaded)
    prompt = "what is 2 + 3? " * 100
    hot: dict[str, Any] = {"temperature": 2.0, "top_p": 1.0, "top_k": 0, "seed": 3, "ignore_eos": True}
    for _ in range(2):
        _, sink = await client.submit(prompt, max_tokens=60, num_logprobs=20, **hot)
        await sink.first.wait()
        stats = elsewhere.newest.stats()
        assert (stats.kv_cache_usage, stats.prefill) == (0.0, {})
        await asyncio.wait_for(sink.ended.wait(), 120)
    assert (sink.chunks[0].num_cached_tokens, sink.chunks[-1].num_cached_tokens > 0) == (0, True)
    beside = {len(position) for chunk in sink.chunks for position in chunk.logprobs or ()}
    assert beside == {20}, "the taken token is the first of 21 here where it is not among the first 20"
