"""Steering on one connection, as dialogues: what is accepted, what becomes of it, and when it is given back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from realtime.connection import successors
from realtime.connection.commands import Create, Leave, Resume, Stop
from realtime.connection.profiles import ConnectionLimits
from realtime.wire.items import FunctionCall, OutputItem
from realtime.wire.response import IncompleteDetails
from tests.connection.playbook import (
    NOTHING,
    Asked,
    Events,
    Frame,
    Playbook,
    create_in,
    detach,
    drain,
    error,
    event,
    refusal,
    resume,
)  # fmt: skip
from tests.support.responses import Answer

OUTPUT = {"type": "function_call_output", "call_id": "call_0", "output": "18"}
ACCEPTED: Frame = {"type": "response.steer.accepted"}


class Calling(Answer):
    """A response that has called a function of the client's."""

    CALL = FunctionCall(id="fc_0", status="completed", call_id="call_0", name="f", arguments="{}")

    @property
    def output(self) -> list[OutputItem]:
        return [self.CALL]

    def finish(self) -> Answer:
        super().finish()
        self.response.output = self.output
        return self


def steer(response_id: str = "resp_0", given: Any = "x", **members: Any) -> Frame:
    return event("response.steer", previous_response_id=response_id, input=given, **members)


def inject(*given: Any, response_id: str = "resp_0") -> Frame:
    return event("response.inject", response_id=response_id, input=list(given))


def steer_failed(code: str, **steer: Any) -> Frame:
    return {"type": "response.steer.failed", "error": {"code": code}, "steer": steer}


def running(answer: Answer | None = None, lane: str | None = "a", **request: Any) -> tuple[Playbook, Answer]:
    """A response that has begun, in a lane, and that the client knows."""
    play, create = Playbook(limits=ConnectionLimits(max_steers=2, max_queued_bytes=1000)), Asked(Create)
    answer = answer or Answer("resp_0", stream_id=lane)
    play << create_in(lane, **request) >> create << create.opened(answer)
    answer.say("x")
    play.pull()
    return play, answer


def end(play: Playbook, answer: Answer) -> None:
    """The client has read everything of a response."""
    while play.connection._readers.get(answer.response_id) is not None:
        play.pull()
    play >> Leave(answer.response_id, detached=False)


CUT = Stop(response_id="resp_0", how="steer", followed=True)

# -- to the successor


def test_a_steer_ends_the_response_and_starts_a_successor_that_continues_it() -> None:
    play, answer = running(user="me", request_id="once")
    play << create_in("a", user="next in the lane") << steer(given="more") >> CUT >> {**ACCEPTED, "stream_id": "a"}
    answer.finish()
    end(play, answer)
    successor = Asked(Create, stream_id="a", automatic=True, parent=answer.turn)
    play >> successor
    request = successor.command.request
    assert (request.user, request.previous_response_id, request.request_id) == ("me", "resp_0", None)
    assert [item.content for item in request.items] == ["more"]
    assert [item.content for steer in successor.command.steers for item in steer.items] == ["more"]
    second = Answer("resp_1", stream_id="a")
    play << successor.opened(second) >> Events(second, 0, 1) >> NOTHING
    play << steer(given="to the first one") >> Stop(response_id="resp_1", how="steer", followed=True)
    play >> {**ACCEPTED, "steer": {"previous_response_id": "resp_0"}} >> NOTHING


def test_outputs_come_before_what_the_user_said() -> None:
    play, answer = running(Calling("resp_0", stream_id="a"))
    play << steer(given="first") >> CUT << inject(OUTPUT)
    answer.finish()
    end(play, answer)
    successor = Asked(Create)
    play >> successor
    assert [type(item).__name__ for item in successor.command.request.items] == ["FunctionCallOutput", "Message"]


def test_a_successor_that_is_refused_gives_everything_back_and_answers_no_create() -> None:
    play, answer = running()
    play << steer(given="more") >> CUT >> ACCEPTED
    answer.finish()
    end(play, answer)
    successor = Asked(Create, automatic=True)
    play >> successor << successor.refused(refusal())
    play >> {**steer_failed("successor_creation_failed", input="more"), "stream_id": "a"} >> NOTHING
    assert play.connection.idle
    again = Asked(Create, parent=answer.turn)
    play << create_in("a", previous_response_id="resp_0") >> again, "a refused successor evicts nothing"


# -- what waits for the client


def test_input_waits_until_the_calls_are_answered_and_then_goes_with_the_answer() -> None:
    play, answer = running(Calling("resp_0", stream_id="a"))
    play << steer(given="more") >> CUT >> ACCEPTED
    answer.finish()
    end(play, answer)
    answered = Asked(Create)
    play << create_in("b", previous_response_id="resp_0") >> Asked(Create, steers=())
    play << create_in("a", previous_response_id="resp_0") >> answered
    assert [item.content for steer in answered.command.steers for item in steer.items] == ["more"]
    play << answered.refused(refusal()) >> error("server_is_overloaded")
    play >> steer_failed("successor_creation_failed", input="more") >> NOTHING


def test_a_client_is_told_which_calls_its_input_waits_for() -> None:
    play, answer = running(Calling("resp_0", stream_id="a"))
    play << steer(given="more") >> CUT >> ACCEPTED
    answer.finish()
    frames = play.pull()
    (pending,) = [frame for frame in frames if frame["type"] == "response.steer.pending"]
    assert pending["required_input"] == [{"type": "function_call_output", "call_id": "call_0", "name": "f"}]
    assert pending["stream_id"] == "a"


def test_a_warm_up_takes_nothing_that_waits_and_another_turn_gives_it_back() -> None:
    play, answer = running(Calling("resp_0", stream_id="a"))
    play << steer(given="more") >> CUT >> ACCEPTED
    answer.finish()
    end(play, answer)
    warm_up = Asked(Create, steers=())
    play << create_in("a", previous_response_id="resp_0", generate=False) >> warm_up
    play << warm_up.refused(refusal()) >> error("server_is_overloaded") >> NOTHING
    play << create_in("a") >> Asked(Create, steers=())
    play >> steer_failed("response_not_active", input="more") >> NOTHING


# -- what is given back at once


@pytest.mark.parametrize(
    ("request_members", "given", "code"),
    [
        ({}, [], "invalid_input"),
        ({}, [{"role": "system", "content": "x"}], "invalid_input"),
        ({}, [OUTPUT], "invalid_input"),
        ({"generate": False}, "x", "steering_not_supported"),
        ({"conversation": "conv_0"}, "x", "steering_not_supported"),
        ({"context_management": [{"type": "compaction"}]}, "x", "steering_not_supported"),
    ],
)
def test_what_cannot_be_taken_is_given_back(request_members: dict[str, Any], given: Any, code: str) -> None:
    play, _ = running(**request_members)
    play << steer(given=given) >> steer_failed(code, input=given, previous_response_id="resp_0") >> NOTHING


def test_input_for_one_response_is_bounded_in_number_and_in_bytes() -> None:
    play, _ = running()
    play << steer() >> CUT >> ACCEPTED << steer(given="x" * 1100)
    play >> steer_failed("too_many_pending_steers")
    play << steer() >> CUT >> ACCEPTED << steer() >> steer_failed("too_many_pending_steers") >> NOTHING


def test_a_response_of_another_connection_can_not_be_steered_nor_an_unknown_one() -> None:
    play, attach = Playbook(), Asked(Resume)
    play << resume("resp_0") >> attach << attach.resumed(Answer("resp_0"))
    play.pull()
    play << steer() >> steer_failed("steering_not_supported")
    play << steer("resp_1") >> steer_failed("response_not_found")
    play << inject(OUTPUT, response_id="resp_1")
    play >> {"type": "response.inject.failed", "error": {"code": "response_not_found"}} >> NOTHING


def test_what_comes_after_the_end_is_given_back_with_the_reason() -> None:
    play, answer = running()
    answer.finish()
    end(play, answer)
    play << steer() >> steer_failed("response_already_completed")
    play << inject(OUTPUT) >> {"type": "response.inject.failed", "error": {"code": "response_already_completed"}}
    play >> NOTHING


def test_the_ends_of_old_responses_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(successors, "_MAX_CREATED", 1)
    play, answer = running()
    answer.finish()
    end(play, answer)
    create, second = Asked(Create), Answer("resp_1", stream_id="a").finish()
    play << create_in("a") >> create << create.opened(second)
    end(play, second)
    play << steer("resp_0") >> steer_failed("response_not_found")
    play << steer("resp_1") >> steer_failed("response_already_completed") >> NOTHING


# -- what is given back later


def cancelled(answer: Answer) -> None:
    answer.cancel()


def interrupted(answer: Answer) -> None:
    answer.cancel()
    answer.response.status, answer.response.incomplete_details = "incomplete", IncompleteDetails("interrupted")


def failed(answer: Answer) -> None:
    answer.fail()


@pytest.mark.parametrize("stop", [cancelled, interrupted, failed])
def test_a_response_that_is_stopped_or_fails_has_no_successor(stop: Any) -> None:
    play, answer = running()
    play << steer(given="more") >> CUT >> ACCEPTED
    stop(answer)
    play << steer(given="after the end, before it is read") >> steer_failed("response_not_active")
    frames = play.pull()
    (given_back,) = [frame for frame in frames if frame["type"] == "response.steer.failed"]
    assert (given_back["error"]["code"], given_back["steer"]["input"]) == ("response_not_active", "more")
    play >> Leave("resp_0", detached=False) >> NOTHING


def test_what_waits_for_a_response_that_is_left_goes_back() -> None:
    play, _ = running(Calling("resp_0", stream_id="a"))
    play << steer(given="more") >> CUT >> ACCEPTED << inject(OUTPUT) >> {"type": "response.inject.created"}
    play << detach("resp_0") >> Leave("resp_0", detached=True)
    play >> steer_failed("response_not_active", input="more")
    play >> {"type": "response.inject.failed", "input": [OUTPUT]} >> NOTHING


def test_a_connection_that_ends_takes_no_input_and_starts_no_successor() -> None:
    play, answer = running()
    play << steer(given="more") >> CUT >> ACCEPTED << drain
    play << steer() >> steer_failed("successor_creation_failed")
    answer.finish()
    frames = play.pull()
    assert [frame["error"]["code"] for frame in frames if frame["type"] == "response.steer.failed"] == [
        "successor_creation_failed"
    ]
    play >> Leave("resp_0", detached=False) >> NOTHING
    assert play.connection.close is not None


def test_input_comes_back_as_it_was_sent() -> None:
    play, _ = running()
    given = b'[ {"role" : "system","content":"\\u00e9"} ]'
    play << b'{"type":"response.steer","previous_response_id":"resp_0","input":' + given + b"}"
    entry = play.connection.frames(1 << 20)[0]
    assert given in entry
    assert json.loads(entry)["type"] == "response.steer.failed"
