"""Sessions that are longer than the window, with real vLLM and OpenAI's SDK; conversations beside them."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.support.real import RealServer
from tests.support.sdk import Answer, Talk, talking

pytestmark = pytest.mark.vllm

WINDOW = 4096  # tokens of the starter model
FILLER = "The weather in the port was fine and the ships came in one after another. " * 60


@pytest.mark.parametrize("threshold", [700, 1_000_000], ids=["low", "beyond the window"])
def test_a_session_goes_on_past_the_end_of_the_window(real: RealServer, threshold: int) -> None:
    managed = [{"type": "compaction", "compact_threshold": threshold}]
    with talking(real) as talk:
        answers: list[Answer] = []
        for turn in range(10):
            previous = {"previous_response_id": answers[-1].id} if answers else {}
            text = f"Part {turn}. {FILLER if turn % 2 else ''} Say hello."
            answers.append(turn_of(talk, input=text, context_management=managed, **previous))
        compacted = [answer for answer in answers if "compaction" in answer.kinds]
        assert 2 <= len(compacted) < 10
        assert all(answer.kinds[0] == "compaction" for answer in compacted)
        assert all(answer.final.status in ("completed", "incomplete") for answer in answers)
        read = sum(answer.final.usage.input_tokens for answer in answers if answer.final.usage)
        assert read > WINDOW, "it would not have fitted"


def turn_of(talk: Talk, **members: Any) -> Answer:
    answer = talk.turn(max_output_tokens=60, **members)
    assert answer.final.error is None, answer.final.error
    return answer


def test_what_was_compacted_by_itself_begins_a_new_chain(real: RealServer) -> None:
    history: Any = [
        {"role": "user", "content": "My name is Ada."},
        {"role": "assistant", "content": "Hello Ada."},
        {"role": "user", "content": FILLER * 6},
        {"role": "assistant", "content": "I see."},
    ]
    with openai.OpenAI(base_url=real.base_url, api_key="unused") as client:
        made = client.responses.compact(model="starter", input=history)
        assert [item.type for item in made.output][-1] == "compaction"
        assert made.usage.input_tokens > WINDOW, "it was read in pieces"
        output: Any = [item.to_dict(warnings=False) for item in made.output]
        asked: Any = [*output, {"role": "user", "content": "Say hello."}]
        over_http = client.responses.create(model="starter", input=asked, max_output_tokens=40, temperature=0)
        assert over_http.error is None
    with talking(real) as talk:
        over_socket = turn_of(talk, input=asked)
    assert over_socket.final.usage is not None
    assert over_http.usage is not None
    assert over_socket.final.usage.input_tokens == over_http.usage.input_tokens < WINDOW


def test_a_conversation_is_remembered_with_its_exact_tokens(real: RealServer) -> None:
    with openai.OpenAI(base_url=real.base_url, api_key="unused") as client, talking(real) as talk:
        made = client.conversations.create(items=[{"type": "message", "role": "system", "content": FILLER}])
        for text in ("Hello.", "And again.", "And once more."):
            answer = turn_of(talk, input=text, conversation=made.id)
        assert answer.final.conversation is not None
        assert answer.final.conversation.id == made.id
        usage = answer.final.usage
        assert usage is not None
        assert usage.input_tokens_details.cached_tokens > usage.input_tokens * 0.8, "the prefix cache holds"
        items = list(client.conversations.items.list(made.id, order="asc"))
        said = [getattr(item, "role", None) for item in items if item.type == "message"]
        assert said[:3] == ["system", "user", "assistant"]
        assert len(items) >= 7
