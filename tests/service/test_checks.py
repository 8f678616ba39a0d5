"""What is refused of a request before anything is looked up for it, and with which code."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from realtime.service.checks import check_background, check_history, check_request
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.requests import HARMONY_MESSAGES, ConversationRef, OnDisconnect, ResponseCreate
from tests.support.responses import MODEL

PLAIN: Any = SimpleNamespace(speaks_harmony=False)
HARMONY: Any = SimpleNamespace(speaks_harmony=True)


def check(request: ResponseCreate, dialect: Any = PLAIN) -> None:
    check_request(request, MODEL, dialect)


def refused(check: Callable[[], None], code: ErrorCode, param: str) -> str:
    with pytest.raises(WireError) as error:
        check()
    assert (error.value.code, error.value.param) == (code, param)
    return error.value.message


@pytest.mark.parametrize("name", [None, MODEL.name, MODEL.path])
def test_the_model_is_known_by_its_name_and_its_path(name: str | None) -> None:
    check(ResponseCreate(model=name))


def test_another_model_is_not_served() -> None:
    text = refused(lambda: check(ResponseCreate(model="gpt-9")), ErrorCode.MODEL_NOT_FOUND, "model")
    assert "gpt-9" in text
    assert f"'{MODEL.name}'" in text


@pytest.mark.parametrize("member", ["prompt", "moderation"])
def test_what_would_change_the_answer_if_it_were_ignored_is_refused_by_name(member: str) -> None:
    asked: dict[str, Any] = {member: {}}
    request = ResponseCreate(**asked)
    refused(lambda: check(request), ErrorCode.UNSUPPORTED_PARAMETER, member)


@pytest.mark.parametrize(
    ("members", "other"),
    [({"previous_response_id": "resp_1"}, "previous_response_id"), ({"conversation": "conv_1"}, "conversation")],
)
def test_a_history_in_messages_is_the_only_one(members: dict[str, Any], other: str) -> None:
    request = ResponseCreate(previous_input_messages=[], **members)
    text = refused(lambda: check(request, HARMONY), ErrorCode.INVALID_REQUEST, "previous_input_messages")
    assert f"`{other}`" in text


def test_messages_are_for_models_that_speak_harmony() -> None:
    held = ResponseCreate(previous_input_messages=[])
    included = ResponseCreate(include=[HARMONY_MESSAGES])
    for request in (held, included):
        check(request, HARMONY)
    refused(lambda: check(held), ErrorCode.UNSUPPORTED_PARAMETER, "previous_input_messages")
    refused(lambda: check(included), ErrorCode.UNSUPPORTED_PARAMETER, "include")


def test_variables_of_the_template_are_taken_and_orders_to_the_tokenizer_are_not() -> None:
    check(ResponseCreate(chat_template_kwargs={"enable_thinking": False}))
    for name in ("tokenize", "messages", "return_tensors"):
        request = ResponseCreate(chat_template_kwargs={name: True})
        refused(partial(check, request), ErrorCode.INVALID_REQUEST, f"chat_template_kwargs.{name}")


def test_a_background_response_is_stored_and_goes_on_without_a_reader() -> None:
    fine = OnDisconnect(policy="continue")
    for members in ({}, {"background": True}, {"background": True, "store": True, "on_disconnect": fine}):
        check_background(ResponseCreate(**members))
    check_background(ResponseCreate(store=False, on_disconnect=OnDisconnect(policy="cancel")))
    unstored = ResponseCreate(background=True, store=False)
    refused(lambda: check_background(unstored), ErrorCode.INVALID_REQUEST, "background")
    lonely = ResponseCreate(background=True, on_disconnect=OnDisconnect(policy="linger"))
    refused(lambda: check_background(lonely), ErrorCode.INVALID_REQUEST, "on_disconnect")


@pytest.mark.parametrize("conversation", ["conv_1", ConversationRef(id="conv_1")])
def test_there_is_one_history(conversation: Any) -> None:
    check_history(ResponseCreate(conversation=conversation))
    check_history(ResponseCreate(previous_response_id="resp_1"))
    both = ResponseCreate(conversation=conversation, previous_response_id="resp_1")
    refused(lambda: check_history(both), ErrorCode.INVALID_REQUEST, "conversation")
