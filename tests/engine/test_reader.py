"""The text of an engine elsewhere is made here; what it makes of tokens does not depend on how many come at once."""

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


def read(tokenizer: Any, token_ids: list[int], at_once: int, *stop: str) -> tuple[list[int], str, Any, Any]:
    """Read tokens, so many at once, until there is an end: the tokens that count, the text, and the end."""
    from vllm import SamplingParams

    request = EngineRequest(request_id="r", prompt_token_ids=[1], sampling=Sampling(max_tokens=99, stop=stop))
    reader = Reader(tokenizer, request, SamplingParams(stop=list(stop)))
    ids: list[int] = []
    text = ""
    for begin in range(0, len(token_ids), at_once):
        chunk = reader.read(token_ids[begin : begin + at_once], None, None, None)
        ids += chunk.token_ids
        text += chunk.text
        if chunk.finish is not None:
            return ids, text, chunk.finish, chunk.stop_reason
    return ids, text, None, None


@pytest.mark.parametrize("at_once", [2, 3, 5, 100])
def test_what_comes_behind_a_stop_string_does_not_count(tokenizer: Any, at_once: int) -> None:
    token_ids = tokenizer.encode(SAID, add_special_tokens=False)
    one_by_one = read(tokenizer, token_ids, 1, " 7, 8")
    assert one_by_one[1:] == ("1, 2, 3, 4, 5, 6,", FinishReason.STOP, " 7, 8")
    assert len(one_by_one[0]) < len(token_ids)
    assert read(tokenizer, token_ids, at_once, " 7, 8") == one_by_one


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_without_one_all_of_it_counts(tokenizer: Any, at_once: int) -> None:
    token_ids = tokenizer.encode(SAID, add_special_tokens=False)
    assert read(tokenizer, token_ids, at_once) == (token_ids, SAID, None, None)
