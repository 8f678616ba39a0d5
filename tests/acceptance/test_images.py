"""Images all the way: OpenAI's SDK, our server, vLLM, and a model that really looks at them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from realtime.engine.options import VllmOptions
from realtime.engine.vllm.launch import SMALL_MODEL_BLOCK_SIZE as BLOCK
from tests.support import vision_model
from tests.support.pictures import data_url, image, question
from tests.support.real import hosting
from tests.support.sdk import Answer, Talk, talking

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.filterwarnings("ignore"),  # vLLM, torch and transformers warn of their own affairs
]

RED, BLUE = data_url(image("red", (64, 48))), data_url(image("blue", (64, 48)))
LONG = "What is this? " * 30


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    folder: Path = tmp_path_factory.mktemp("vision")
    vision_model.make(folder)
    with hosting(VllmOptions(model=str(folder), served_name="starter")) as server, talking(server) as talk:
        yield talk


def ask(talk: Talk, *urls: str, **members: Any) -> Answer:
    members = {"input": question(*urls), "max_output_tokens": 8, "include": ["token_ids"], **members}
    return talk.turn(**members)


def tokens(answer: Answer) -> tuple[int, int]:
    assert answer.final.usage is not None
    return answer.final.usage.input_tokens, answer.final.usage.input_tokens_details.cached_tokens


def said(answer: Answer) -> list[int]:
    token_ids: list[int] = answer.shown["output_token_ids"]
    return token_ids


def test_what_is_seen_decides_what_is_said(talk: Talk) -> None:
    nothing, red, again, blue = ask(talk), ask(talk, RED), ask(talk, RED), ask(talk, BLUE)
    assert said(red) == said(again)
    assert len({str(said(answer)) for answer in (nothing, red, blue)}) == 3


def test_an_image_takes_its_tokens(talk: Talk) -> None:
    none, one, two = (tokens(ask(talk, *urls))[0] for urls in ((), (RED,), (BLUE, RED)))
    assert (one - none, two - one) == (vision_model.IMAGE_TOKENS, vision_model.IMAGE_TOKENS)
    answer = ask(talk, RED)
    assert len(answer.shown["input_token_ids"]) == one


def test_the_prefix_cache_knows_images_apart(talk: Talk) -> None:
    first, again, other = (ask(talk, url, input=question(url, text=LONG)) for url in (RED, RED, BLUE))
    assert tokens(first)[1] == 0
    assert tokens(again)[1] > 0
    assert tokens(other)[1] == 0


def test_a_continuation_sees_what_was_shown_before(talk: Talk) -> None:
    first = {url: ask(talk, url, input=question(url, text="?"), max_output_tokens=1) for url in (RED, BLUE)}
    later = {url: ask(talk, previous_response_id=answer.id, input="!") for url, answer in first.items()}
    assert said(later[RED]) != said(later[BLUE])


def test_a_continuation_begins_with_exactly_the_tokens_before(talk: Talk) -> None:
    before = ask(talk, RED, input=question(RED, text=LONG))
    after = ask(talk, previous_response_id=before.id, input=question(BLUE, text="And now?"))
    given = [list(answer.shown["input_token_ids"]) for answer in (before, after)]
    assert given[1][: len(given[0])] == given[0]
    assert tokens(after)[1] >= tokens(before)[0] // BLOCK * BLOCK


def test_a_tool_may_answer_with_an_image(talk: Talk) -> None:
    call = {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"}
    both = []
    for url in (RED, BLUE):
        output = [{"type": "input_image", "image_url": url}]
        result = {"type": "function_call_output", "call_id": "call_1", "output": output}
        both.append(ask(talk, input=[{"role": "user", "content": "look"}, call, result]))
    assert said(both[0]) != said(both[1])


def test_the_marker_of_an_image_in_a_text_is_text(talk: Talk) -> None:
    for input in ("<image>", question(RED, text="and <image>")):
        answer = ask(talk, input=input)
        assert answer.final.status == "incomplete"
    assert ask(talk, RED).final.status == "incomplete"


def test_a_prompt_that_is_too_long_with_its_images_is_told_and_harms_nobody(talk: Talk) -> None:
    answer = ask(talk, input=question(*[RED, BLUE] * 10, text="word " * 900))
    assert answer.final.error is not None
    assert answer.shown["error"]["code"] == "context_length_exceeded"
    assert ask(talk, *[RED, BLUE] * 10).final.status == "incomplete"


def test_a_file_that_is_no_image_fails_by_name(talk: Talk) -> None:
    answer = ask(talk, data_url(image()[:50]))
    assert answer.final.error is not None
    assert (answer.final.error.code, answer.final.error.param) == (
        "image_parse_error",
        "input[0].content[0].image_url",
    )
