"""Outcomes and what the client is told of them."""

from __future__ import annotations

from typing import Any

import pytest

from realtime.dialects.base import TextDelta
from realtime.engine.base import EngineDead, EngineError, EngineOverloaded, EngineRefused, FinishReason
from realtime.runs.assembler import Assembler
from realtime.runs.cutoff import Cutoff
from realtime.runs.endings import (
    Cancelled,
    Ending,
    Failed,
    Interrupted,
    Outcome,
    Steered,
    conversation_deleted,
    failure,
    too_long,
)
from realtime.wire import events
from realtime.wire.items import Message, OutputText
from realtime.wire.response import CancelReceipt
from tests.support.responses import make_response, text_in

RECEIPT = CancelReceipt(tokens_generated=3, tokens_delivered=2, abort_ms=1.0)
CUT = Cancelled("cancelled", cutoff=Cutoff(through=4, num_whole=0, num_chars=2))


@pytest.mark.parametrize(
    ("outcome", "event", "status", "reason"),
    [
        (FinishReason.STOP, events.ResponseCompleted, "completed", None),
        (FinishReason.LENGTH, events.ResponseIncomplete, "incomplete", "max_output_tokens"),
        (Cancelled("client_disconnected"), events.ResponseIncomplete, "cancelled", "client_disconnected"),
        (Steered(), events.ResponseIncomplete, "incomplete", "steered"),
        (Interrupted(), events.ResponseIncomplete, "incomplete", "interrupted"),
        (Failed("server_error", "Oh."), events.ResponseFailed, "failed", None),
    ],
)
def test_each_outcome_has_its_terminal_event_and_status(
    outcome: Outcome, event: type[events.Event], status: str, reason: str | None
) -> None:
    response = make_response(completed_at=7)
    receipt = RECEIPT if isinstance(outcome, Cancelled) else None
    terminal = Ending(outcome, True).terminal(response, receipt)
    assert isinstance(terminal, event)
    assert response.status == status
    details = response.incomplete_details
    assert (details.reason if details else None) == reason
    assert (response.error is not None) == (status == "failed")
    assert response.completed_at == (None if status == "failed" else 7)


def test_a_cancel_shows_its_receipt_and_an_interrupt_that_the_turn_goes_on() -> None:
    cancelled, interrupted = make_response(), make_response()
    Ending(Cancelled("cancelled"), True).terminal(cancelled, RECEIPT)
    assert cancelled.cancel == RECEIPT
    Ending(Interrupted(), True).terminal(interrupted, None)
    assert interrupted.end_turn is False


def test_a_failure_tells_code_message_and_param() -> None:
    response = make_response()
    Ending(Failed("invalid_image_url", "No.", "input[0]"), True).terminal(response, None)
    assert response.error is not None
    assert (response.error.code, response.error.message, response.error.param) == (
        "invalid_image_url", "No.", "input[0]",
    )  # fmt: skip


def test_no_limit_cuts_short_what_was_not_to_be_generated() -> None:
    response = make_response()
    ending = Ending(FinishReason.LENGTH, False)
    assert isinstance(ending.terminal(response, None), events.ResponseCompleted)
    assert ending.item_status == "completed"


@pytest.mark.parametrize(
    ("outcome", "status", "text"),
    [
        (FinishReason.STOP, "completed", "one two"),
        (FinishReason.LENGTH, "incomplete", "one two"),
        (Cancelled("cancelled"), "incomplete", "one two"),
        (Failed("server_error", "Oh."), "incomplete", "one two"),
        (Interrupted(), None, None),
    ],
)
def test_what_is_open_is_closed_or_forgotten(outcome: Outcome, status: str | None, text: str | None) -> None:
    assembler = Assembler(lambda prefix: prefix)
    list(assembler.feed([TextDelta("one "), TextDelta("two")]))
    closing = list(Ending(outcome, True).close(assembler))
    assert isinstance(closing[-1], events.OutputItemDone), "the reader is told in any case"
    said = [(item.status, text_in(item)) for item in assembler.output if isinstance(item, Message)]
    assert len(said) == len(assembler.output)
    assert said == ([(status, text)] if text else [])


def test_only_what_the_user_has_seen_is_left_after_a_cutoff() -> None:
    said: list[Any] = [
        Message(role="assistant", content=[OutputText(text="one two")]),
        Message(role="assistant", content=[]),
    ]
    assert Ending(FinishReason.STOP, True).seen(said) == said
    (seen,) = Ending(CUT, True).seen(said)
    assert isinstance(seen, Message)
    assert (seen.status, seen.content) == ("incomplete", [OutputText(text="on")])


@pytest.mark.parametrize(
    ("outcome", "continuable", "keeps_tokens"),
    [
        (FinishReason.STOP, True, True),
        (FinishReason.LENGTH, True, True),
        (Steered(), True, True),
        (Cancelled("cancelled"), True, True),
        (CUT, True, False),
        (Interrupted(), True, False),
        (Failed("server_error", "Oh."), False, True),
    ],
)
def test_what_may_be_continued_and_whether_with_its_very_tokens(
    outcome: Outcome, continuable: bool, keeps_tokens: bool
) -> None:
    ending = Ending(outcome, True)
    assert (ending.continuable, ending.keeps_tokens) == (continuable, keeps_tokens)


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (EngineRefused("too odd"), "invalid_prompt", True),
        (EngineOverloaded("secret"), "server_is_overloaded", False),
        (EngineDead("secret"), "server_error", False),
        (EngineError("secret"), "server_error", False),
    ],
)
def test_of_an_engines_error_a_client_is_told_whose_fault_it_is(error: EngineError, code: str, told: bool) -> None:
    failed = failure(error)
    assert failed.code == code
    assert (str(error) in failed.message) == told


def test_a_refusal_names_the_part_of_the_request_that_it_is_about() -> None:
    failed = failure(EngineRefused("no text matches it", "text.format.schema"))
    assert failed == Failed("invalid_prompt", "`text.format.schema`: no text matches it.", "text.format.schema")


def test_figures_and_names_are_told() -> None:
    assert too_long(120, 100).code == "context_length_exceeded"
    assert "120" in too_long(120, 100).message
    assert "100" in too_long(120, 100).message
    assert conversation_deleted("conv_1").code == "conversation_not_found"
    assert "conv_1" in conversation_deleted("conv_1").message
