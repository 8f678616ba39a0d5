"""The text of an engine elsewhere is made here, token by token."""

from __future__ import annotations

from typing import Any

import pytest

from realtime.engine.base import EngineRequest, FinishReason, Sampling
from realtime.engine.options import STARTER_MODEL
from realtime.engine.vllm.front import Reader

pytestmark = pytest.mark.filterwarnings("ignore")  # importing vLLM and torch warns of their own affairs

SAID = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10"


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(STARTER_MODEL)


def read(tokenizer: Any, token_ids: list[int], *stop: str) -> tuple[list[int], str, Any, Any]:
    """Read tokens until there is an end: the tokens that count, the text, and the end."""
    from vllm import SamplingParams

    request = EngineRequest(request_id="r", prompt_token_ids=[1], sampling=Sampling(max_tokens=99, stop=stop))
    reader = Reader(tokenizer, request, SamplingParams(stop=list(stop)))
    ids: list[int] = []
    text = ""
    for token_id in token_ids:
        chunk = reader.read(token_id, None, None, None)
        ids += chunk.token_ids
        text += chunk.text
        if chunk.finish is not None:
            return ids, text, chunk.finish, chunk.stop_reason
    return ids, text, None, None


def test_a_stop_string_ends_it(tokenizer: Any) -> None:
    token_ids = tokenizer.encode(SAID, add_special_tokens=False)
    counted, *rest = read(tokenizer, token_ids, " 7, 8")
    assert rest == ["1, 2, 3, 4, 5, 6,", FinishReason.STOP, " 7, 8"]
    assert counted == token_ids[: len(counted)] != token_ids


def test_without_one_all_of_it_counts(tokenizer: Any) -> None:
    token_ids = tokenizer.encode(SAID, add_special_tokens=False)
    assert read(tokenizer, token_ids) == (token_ids, SAID, None, None)
