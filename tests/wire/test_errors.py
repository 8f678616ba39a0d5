"""The registry of errors: literal where clients match on it, and consistent in itself."""

from __future__ import annotations

import re

import pytest

from realtime.wire.errors import CloseCode, ErrorCode, Fault, WireError

# OpenAI's own codes: clients compare these.
LITERAL = {
    ErrorCode.PREVIOUS_RESPONSE_NOT_FOUND: ("previous_response_not_found", 400, "invalid_request_error"),
    ErrorCode.INVALID_STREAM_ID: ("invalid_stream_id", 400, "invalid_request_error"),
    ErrorCode.STREAM_LIMIT: ("websocket_stream_limit_reached", 400, "invalid_request_error"),
    ErrorCode.CONNECTION_LIMIT: ("websocket_connection_limit_reached", 400, "invalid_request_error"),
    ErrorCode.UNSUPPORTED_EVENT_TYPE: ("unsupported_event_type", 400, "invalid_request_error"),
    ErrorCode.INVALID_JSON: ("invalid_json", 400, "invalid_request_error"),
    ErrorCode.SERVER_IS_OVERLOADED: ("server_is_overloaded", 503, "server_error"),
    ErrorCode.SERVER_ERROR: ("server_error", 500, "server_error"),
    ErrorCode.CONTEXT_LENGTH_EXCEEDED: ("context_length_exceeded", 400, "invalid_request_error"),
}
STATUSES = {
    Fault.CLIENT: range(400, 429),
    Fault.IDENTITY: (401, 403),
    Fault.CAPACITY: (429,),
    Fault.SERVER: range(500, 504),
}


@pytest.mark.parametrize(("code", "row"), LITERAL.items(), ids=lambda value: getattr(value, "name", None))
def test_what_clients_match_on_is_literal(code: ErrorCode, row: tuple[str, int, str]) -> None:
    error = WireError(code, "x")
    assert (error.spec.code, error.spec.status, error.spec.fault.value) == row


def test_every_code_has_one_row() -> None:
    codes = [member.value.code for member in ErrorCode.__members__.values()]
    assert len(set(codes)) == len(codes) == len(ErrorCode)
    assert all(re.fullmatch("[a-z]+(_[a-z0-9]+)*", code) for code in codes)


@pytest.mark.parametrize("code", ErrorCode, ids=lambda code: code.name)
def test_the_status_says_whose_fault_it_is(code: ErrorCode) -> None:
    spec = code.value
    assert spec.status in STATUSES[spec.fault]
    if spec.fault in (Fault.SERVER, Fault.CAPACITY):
        assert spec.retry, "our fault passes"
    if spec.fault is Fault.IDENTITY:
        assert not spec.retry


def test_clients_come_back_after_the_close_codes_that_ask_for_it() -> None:
    again = {1001, 1005, 1006, 1011, 1012, 1013, 1015}  # openai-python and openai-node
    assert {code for code in CloseCode if code in again} == {
        CloseCode.GOING_AWAY, CloseCode.INTERNAL, CloseCode.RESTART, CloseCode.OVERLOAD,
    }  # fmt: skip


def test_an_error_keeps_what_the_client_may_know() -> None:
    error = WireError(ErrorCode.SERVER_IS_OVERLOADED, "full", param="p", retry_after=2.0)
    assert (error.message, error.param, error.retry_after, str(error)) == ("full", "p", 2.0, "full")
