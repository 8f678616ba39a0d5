"""Where a request comes from: a trace context is taken as it is, or not at all."""

from __future__ import annotations

import pytest

from realtime.observability.origin import Origin

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_the_headers_of_a_trace_are_taken() -> None:
    origin = Origin.of("req_1", {"traceparent": f" {PARENT.upper()} ", "tracestate": "a=b"})
    assert origin == Origin("req_1", PARENT, "a=b")


@pytest.mark.parametrize("text", ["", "00-1-2-01", PARENT + "x", PARENT.replace("4", "g"), PARENT + "-" + "y" * 500])
def test_what_is_no_trace_context_is_ignored(text: str) -> None:
    assert Origin.of("req_1", {"traceparent": text, "tracestate": "a=b"}) == Origin("req_1")


def test_a_state_is_passed_on_up_to_a_bound() -> None:
    assert len(Origin.of("r", {"traceparent": PARENT, "tracestate": "x" * 9999}).tracestate) == 512


def test_metadata_of_a_request_on_a_socket_is_stronger_than_its_handshake() -> None:
    handshake = Origin("sess_1", PARENT)
    other = PARENT.replace("4bf9", "aaaa")
    assert handshake.stated({"traceparent": other}) == Origin("sess_1", other)
    assert handshake.stated({"traceparent": "junk"}) is handshake
    assert handshake.stated({"a": "b"}) is handshake.stated(None) is handshake
