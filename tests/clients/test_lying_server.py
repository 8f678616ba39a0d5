"""A server that says anything: the Python client's core answers with errors of its own, and never breaks."""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Iterator
from typing import Any

import pytest

from realtime_client import ConnectionLost, Policy, ProtocolError, RealtimeError
from realtime_client.session import Session
from tests.support.long import LONG

_PART = {"type": "output_text", "text": "x"}
_RESPONSE = {
    "id": "r1",
    "status": "in_progress",
    "previous_response_id": None,
    "output": [{"type": "message", "id": "m", "content": [_PART]}],
    "error": None,
    "incomplete_details": None,
    "truncated": {"through": 2},
}
_STEER = {"id": "steer_1", "previous_response_id": "r1", "input": "more"}
_ERROR = {"code": "rate_limit_exceeded", "message": "m", "retry": True, "retry_after": 0.5}


def _of_response(kind: str, number: int, **members: Any) -> dict[str, Any]:
    return {"type": kind, "response_id": "r1", "sequence_number": number, "done": False, **members}


_TOLD: list[dict[str, Any]] = [
    {"type": "session.created", "session": {"id": "s", "limits": {"max_message_bytes": 10**6}}},
    {"type": "session.updated", "session": {"heartbeat_seconds": 5}},
    {"type": "error", "event_id": "create.0", "status": 429, "error": _ERROR},
    _of_response("response.created", 0, response=_RESPONSE, epoch="e"),
    _of_response("response.output_text.delta", 2, first_sequence_number=1, delta="a", item_id="m"),
    {"type": "session.heartbeat", "heartbeat": {"engine": "ready", "responses": []}},
    {"type": "response.steer.accepted", "steer": _STEER},
    {"type": "response.steer.pending", "steer": _STEER, "required_input": [{"type": "function_call_output"}]},
    {"type": "response.steer.failed", "steer": _STEER, "error": {"code": "x", "message": "y"}},
    {"type": "response.inject.failed", "response_id": "r1", "input": [], "error": {"code": "x", "message": "y"}},
    {"type": "response.truncated", "event_id": "truncate.0", "response": _RESPONSE},
    {"type": "error", "error": {"code": "slow_reader", "message": "m"}},
    {"type": "response.resumed", "resumed": {"response_id": "r1", "epoch": "e"}},
    {"type": "session.draining", "resume_after_seconds": 3},
    _of_response("response.completed", 3, response=_RESPONSE, done=True),
]
_LIES: list[Any] = [
    ..., None, True, 0, -1, 1.5, -1e9, 10**30, math.nan, math.inf, "", "12", "\u2028", [], [1], [[]], {}, {"a": 1}
]  # fmt: skip


def _places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in an event."""
    yield place
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        yield from _places(member, (*place, name))


def _with(event: Any, place: tuple[Any, ...], lie: Any) -> Any:
    """Put a lie there; `...`: take away what is there."""
    if not place:
        return lie if lie is not ... else {}
    event = copy.deepcopy(event)
    inner = event
    for name in place[:-1]:
        inner = inner[name]
    if lie is ...:
        del inner[place[-1]]
    else:
        inner[place[-1]] = lie
    return event


def _hear(told: list[Any]) -> None:
    """Let a session that creates and steers hear all this. Raises what it raises."""
    session, now = Session(Policy(heartbeat_seconds=5), "n", random.Random(0)), 0.0
    session.connecting(now)
    session.connected(now)
    track = session.create({"input": "hi"})
    given = False
    for event in told:
        now += 1.0
        for frame in session.frames(now):
            if json.loads(frame)["type"] == "response.create":
                lane = json.loads(frame)["stream_id"]
        if isinstance(event, dict) and event.get("type") == "response.created":
            event = {**event, "stream_id": lane}
        session.receive(json.dumps(event), now)
        if track.confirmed and not given and not track.over:
            given = True
            session.give("steer", track, "more")
            session.truncate(track, {"through": -1})
        while session.take(track) is not None:
            pass
        assert session.due_at is None or not math.isnan(session.due_at)
    session.disconnected(ConnectionLost.closed(1006), now)
    assert session.connect_at is None or session.connect_at >= now
    if track.final is not None:
        assert isinstance(track.final.output_text, str)
        track.final.is_cut_at(1)


def test_what_the_lies_are_made_of_is_understood() -> None:
    _hear(_TOLD)


@pytest.mark.parametrize("at", range(len(_TOLD)), ids=lambda at: str(_TOLD[at]["type"]))
def test_a_wrong_type_anywhere_is_an_error_of_the_protocol_or_nothing(at: int) -> None:
    rng = random.Random(at)
    for place in _places(_TOLD[at]):
        for lie in _LIES if LONG else rng.sample(_LIES, 4):
            try:
                _hear([*_TOLD[:at], _with(_TOLD[at], place, lie), *_TOLD[at + 1 :]])
            except RealtimeError:
                continue
            except Exception as error:
                raise AssertionError(f"{lie!r} at {place}: {error!r}") from error


@pytest.mark.parametrize("text", ["[" * 100_000, "", "\ud800", '{"type":"a"}' * 2, "9" * 5000])
def test_what_is_no_event_is_an_error_of_the_protocol(text: str) -> None:
    session = Session(Policy(), "n", random.Random(0))
    session.connected(0.0)
    with pytest.raises(ProtocolError):
        session.receive(text, 0.0)
