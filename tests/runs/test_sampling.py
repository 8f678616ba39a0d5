"""A request's wishes in the engine's terms."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from realtime.runs.sampling import LOGPROBS, sampling
from realtime.wire.requests import ResponseCreate
from tests.support.responses import make_response

PARSER: Any = SimpleNamespace(stop_token_ids=(7, 8), skip_special_tokens=False)


def wishes(parser: Any = None, room: int = 50, **members: Any) -> Any:
    request = ResponseCreate(**members)
    return sampling(request, make_response(request=request), room, parser)


@pytest.mark.parametrize(
    ("members", "limit"),
    [
        ({}, 50),
        ({"max_output_tokens": 20}, 20),
        ({"max_output_tokens": 80}, 50),
        ({"generate": False}, 1),
        ({"generate": False, "max_output_tokens": 20}, 1),
    ],
)
def test_the_limit_is_the_clients_and_never_more_than_there_is_room(members: dict[str, Any], limit: int) -> None:
    assert wishes(**members).max_tokens == limit


def test_what_the_response_shows_is_what_holds() -> None:
    request = ResponseCreate(temperature=0.1)
    response = make_response(request=request, temperature=0.7, top_p=0.5, presence_penalty=0.2, frequency_penalty=0.3)
    asked = sampling(request, response, 50, None)
    assert (asked.temperature, asked.top_p, asked.presence_penalty, asked.frequency_penalty) == (0.7, 0.5, 0.2, 0.3)


def test_vllms_extras_are_passed_on() -> None:
    extras: dict[str, Any] = {"top_k": 3, "min_p": 0.1, "repetition_penalty": 1.2, "seed": 9, "ignore_eos": True}
    asked = wishes(**extras)
    assert {name: getattr(asked, name) for name in extras} == extras
    assert wishes(logit_bias={5: 1.0}).logit_bias == {5: 1.0}
    assert wishes(logit_bias={}).logit_bias is None
    assert wishes().ignore_eos is False


def test_the_engine_is_not_given_the_stop_strings_of_a_message() -> None:
    assert wishes(stop=["a", "b"]).stop == ()


def test_the_parser_adds_its_stop_tokens_and_says_whether_special_tokens_are_text() -> None:
    assert wishes(PARSER, stop_token_ids=[9]).stop_token_ids == (7, 8, 9)
    assert wishes(PARSER).skip_special_tokens is False
    assert (wishes().stop_token_ids, wishes().skip_special_tokens) == ((), True)


def test_log_probabilities_are_made_for_who_wants_to_see_them() -> None:
    assert wishes(top_logprobs=3).num_logprobs is None
    assert wishes(include=[LOGPROBS]).num_logprobs == 0
    assert wishes(include=[LOGPROBS], top_logprobs=3).num_logprobs == 3
