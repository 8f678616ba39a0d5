"""The log's lines about what has ended: one for each connection, response, and refused or failed request.

They hold ids, counts and times, never contents. `request` is the `x-request-id` that the client was given.
"""

from __future__ import annotations

import logging

from .report import Report

responses = logging.getLogger("realtime.responses")
connections = logging.getLogger("realtime.connections")
requests = logging.getLogger("realtime.requests")
continuations = logging.getLogger("realtime.continuations")


def response_over(report: Report, trace: str | None = None) -> None:
    """Log that a response is over. `trace`: its `traceparent`, if it is traced."""
    if not responses.isEnabledFor(logging.INFO):
        return
    times, asked = report.times, report.beginning
    members: dict[str, object] = {
        "response_id": asked.response_id,
        "status": report.status,
        "reason": report.reason or None,
        "tenant": asked.tenant,
        "request": asked.origin.request_id or None,
        "trace": trace.split("-")[1] if trace else None,
        "previous": asked.previous_id,
        "input_tokens": report.num_input,
        "cached_tokens": report.num_cached,
        "output_tokens": report.num_output,
        "reasoning_tokens": report.num_reasoning or None,
        "queue_ms": _ms(times.seconds_in("queued")),
        "aside_ms": _ms(times.seconds_in("put aside")) or None,
        "ttft_ms": None if times.first_token_at is None else _ms(times.first_token_at - times.began_at),
        "abort_ms": round(report.abort_ms, 1) or None,
        "seconds": None if times.ended_at is None else round(times.ended_at - times.began_at, 3),
    }
    write(responses, "response over", members)


def connection_closed(name: str, profile: str, tenant: str, code: int, seconds: float, num_responses: int) -> None:
    """Log that a socket is closed. `name`: its session's `x-request-id`. `num_responses`: those created on it."""
    members: dict[str, object] = {
        "session": name,
        "profile": profile,
        "tenant": tenant,
        "code": code,
        "seconds": round(seconds, 3),
        "responses": num_responses,
    }
    write(connections, "connection closed", members)


def went_on(after: str, outcome: str, response_id: str, attempts: int, num_tokens: int | None) -> None:
    """Log that an answer continues, or does not, after it was interrupted."""
    goes_on = outcome in ("exact", "prefix_exact")
    members: dict[str, object] = {
        "response_id": response_id,
        "after": after,
        "outcome": outcome,
        "attempts": attempts,
        "tokens": num_tokens,
    }
    write(continuations, "response goes on" if goes_on else "response does not go on", members)


def write(log: logging.Logger, text: str, members: dict[str, object], level: int = logging.INFO) -> None:
    """Log a text with members. They follow the text, or are members of their own where the log is JSON."""
    if log.isEnabledFor(level):
        given = {name: value for name, value in members.items() if value is not None}
        behind = "".join(f" {name}={value}" for name, value in given.items())
        log.log(level, "%s%s", text, behind, extra={"text": text, "members": given})


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 1)
