"""What a continuation costs: whole blocks of all that was said before come from the engine's prefix cache."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from realtime.engine.options import VllmOptions
from realtime.engine.vllm.launch import SMALL_MODEL_BLOCK_SIZE as BLOCK
from tests.support.long import effort
from tests.support.real import RealServer, hosting
from tests.support.sdk import Answer, Talk, talking
from tests.support.server import changed
from tests.support.steps import make_keys

pytestmark = pytest.mark.vllm

CITY = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"]}
WEATHER = {"type": "function", "name": "get_weather", "description": "Weather", "parameters": CITY, "strict": True}
QUESTION = {"role": "user", "content": "What is the weather in Paris?"}
TURNS = effort(8, 20)


def call(talk: Talk, salt: str, **members: Any) -> Answer:
    choice = {"type": "function", "name": "get_weather"}
    answer = talk.turn(
        tools=[WEATHER],
        tool_choice=choice,
        include=["reasoning.encrypted_content"],
        cache_salt=salt,  # nothing of another test's
        max_output_tokens=150,
        **members,
    )
    assert answer.kinds == ["reasoning", "function_call"]
    return answer


def result_of(answer: Answer) -> dict[str, Any]:
    (made,) = answer.calls()
    return {"type": "function_call_output", "call_id": made.call_id, "output": "sunny, 21 degrees"}


def blocks(tokens: int) -> int:
    return tokens // BLOCK * BLOCK


def cached(before: Answer, after: Answer) -> tuple[int, int, int]:
    """Tokens of the later prompt from the cache; those of the earlier prompt, and of its answer too, that can be."""
    assert before.final.usage is not None
    assert after.final.usage is not None
    found = after.final.usage.input_tokens_details.cached_tokens
    print(f"{found} of {after.final.usage.input_tokens} input tokens were cached")
    # The newest token of an answer was never computed, and a block counts when it is full.
    return found, blocks(before.final.usage.input_tokens), blocks(before.final.usage.total_tokens - 1)


def test_a_tool_loop_of_many_turns_by_previous_response_id(real: RealServer) -> None:
    with talking(real) as talk:
        answers = [call(talk, "chained", input=[QUESTION])]
        while len(answers) < TURNS:
            answers.append(call(talk, "chained", previous_response_id=answers[-1].id, input=[result_of(answers[-1])]))
    for before, after in pairwise(answers):
        found, _, everything = cached(before, after)
        assert found == everything


def test_a_tool_loop_of_many_turns_in_which_the_client_sends_everything_again(real: RealServer) -> None:
    items: list[dict[str, Any]] = [QUESTION]
    with talking(real) as talk:
        answers = [call(talk, "stateless", input=items, store=False)]
        while len(answers) < TURNS:
            items += [*answers[-1].done_items(), result_of(answers[-1])]
            answers.append(call(talk, "stateless", input=items, store=False))
    for before, after in pairwise(answers):  # the tokenizer may choose other tokens than the model did
        found, prompt, everything = cached(before, after)
        assert prompt <= found <= everything


def test_a_tenant_finds_its_own_prompts_in_the_cache_and_no_others(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys.json", "ada", "eve")
    prompt = " ".join(map(str, range(400)))

    def cached_tokens(server: RealServer, key: str) -> int:
        with OpenAI(base_url=server.base_url, api_key=key, max_retries=0) as client:
            answer = client.responses.create(model="starter", input=prompt, max_output_tokens=16)
        assert answer.usage is not None
        return answer.usage.input_tokens_details.cached_tokens

    with hosting(VllmOptions(), changed(api_keys_file=str(tmp_path / "keys.json"))) as server:
        assert cached_tokens(server, keys["ada"]) == 0
        assert cached_tokens(server, keys["eve"]) == 0
        assert cached_tokens(server, keys["ada"]) > 0
