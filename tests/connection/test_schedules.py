"""Any schedule: random events and times of reading against an oracle of what may be sent."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from realtime.connection.profiles import ConnectionLimits
from realtime.wire.errors import ErrorCode, WireError
from tests.connection.playbook import PULL, Desk, cancel, cancel_lane, create_in, detach, resume
from tests.support.fuzz import examples
from tests.support.responses import Answer

LANES = [None, "a", "b", "c", "d"]


class Schedules(RuleBasedStateMachine):
    """Random creates, tokens, ends, pulls, cancels, resumes and detaches, against an oracle of what may be sent.

    The oracle knows for each followed response the number that must come next, and for each lane what occupies it.
    """

    following = Bundle("responses")

    @initialize(
        max_in_flight=st.integers(1, 3), max_queued=st.integers(0, 4), max_entries=st.sampled_from([12, 10_000])
    )
    def connect(self, max_in_flight: int, max_queued: int, max_entries: int) -> None:
        limits = ConnectionLimits(max_in_flight=max_in_flight, max_queued=max_queued, max_followed=1000)
        self.limits = limits
        self.desk = Desk(limits=limits, max_entries=max_entries)
        self.expected: dict[str, int] = {}  # response id -> the number that must come next
        self.occupied: dict[str | None, str] = {}  # lane -> the response that runs in it
        self.accepted: dict[str | None, list[str]] = {lane: [] for lane in LANES}  # names of requests, in order
        self.names = count()
        self.num_started = 0

    @rule(target=following, lane=st.sampled_from(LANES), refused=st.sampled_from([False, False, False, True]))
    def create(self, lane: str | None, refused: bool) -> Any:
        name = f"request {next(self.names)}"
        self.accepted[lane].append(name)
        self.desk.refuse = WireError(ErrorCode.SERVER_IS_OVERLOADED, "full") if refused else None
        self.desk << create_in(lane, user=name, event_id=name)
        self.desk.refuse = None
        return self.note_starts()

    @rule(response_id=following, texts=st.lists(st.sampled_from(["x", "y" * 300]), min_size=1, max_size=9))
    def say(self, response_id: str, texts: list[str]) -> None:
        answer = self.desk.answers[response_id]
        if not answer.log.sealed:
            answer.say(*texts)

    @rule(response_id=following, end=st.sampled_from([Answer.finish, Answer.fail, Answer.cancel]))
    def end(self, response_id: str, end: Any) -> None:
        answer = self.desk.answers[response_id]
        if not answer.log.sealed:
            end(answer)

    @rule(target=following, max_bytes=st.sampled_from([1, 3000, PULL]))
    def pull(self, max_bytes: int) -> Any:
        for frame in self.desk.pull(max_bytes):
            self.note_frame(frame)
        return self.note_starts()

    @rule(target=following, lane=st.sampled_from(LANES))
    def cancel_lane(self, lane: str | None) -> Any:
        self.desk << cancel_lane(lane)
        return self.obey_cancels()

    @rule(target=following, response_id=following)
    def cancel(self, response_id: str) -> Any:
        followed = len(self.expected)
        self.desk << cancel(response_id)
        answer = self.desk.answers[response_id]
        if not answer.log.sealed and len(self.expected) == followed:
            self.expected.setdefault(response_id, answer.log.tip)
        return self.obey_cancels()

    @rule(response_id=following, starting_after=st.integers(-1, 30))
    def resume(self, response_id: str, starting_after: int) -> None:
        log = self.desk.answers[response_id].log
        if log.floor <= starting_after + 1 <= log.tip:
            self.expected[response_id] = starting_after + 1
        self.desk << resume(response_id, starting_after=starting_after)

    @rule(target=following, response_id=following)
    def detach(self, response_id: str) -> Any:
        self.desk << detach(response_id)
        self.gone(response_id)
        return self.note_starts()

    @rule(response_id=consumes(following))
    def forget(self, response_id: str) -> None:
        """Nobody asks about this one again; it stays as it is."""

    @rule(garbage=st.binary(max_size=9))
    def garbage(self, garbage: bytes) -> None:
        self.desk << garbage

    # -- the oracle

    def obey_cancels(self) -> Any:
        for stop in self.desk.stops:
            answer = self.desk.answers[stop.response_id]
            assert stop.followed is (stop.delivered is not None)
            if stop.delivered is not None:
                assert stop.delivered == self.expected[stop.response_id]
            if not answer.log.sealed:
                answer.cancel()
        self.desk.stops.clear()
        return self.note_starts()

    def note_starts(self) -> Any:
        """Requests of a lane start in their order, one at a time."""
        self.settle()
        started = list(self.desk.answers)[self.num_started :]
        for response_id in started:
            create = self.desk.started[self.num_started]
            self.num_started += 1
            lane = create.stream_id
            assert lane not in self.occupied, "two at once in one lane"
            self.occupied[lane] = response_id
            self.expected[response_id] = 0
            waiting = self.accepted[lane]
            assert create.request.user in waiting
            # Those before it have been refused or cancelled; the error is in the frames that have not been taken yet.
            self.accepted[lane] = waiting[waiting.index(create.request.user) + 1 :]
        return multiple(*started)

    def note_frame(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "error":
            if frame["error"]["code"] == "slow_reader":
                self.gone(frame["error"]["message"].split("'")[1])
            elif "event_id" in frame:
                waiting = self.accepted[frame.get("stream_id")]
                if frame["event_id"] in waiting:
                    waiting.remove(frame["event_id"])
            return
        if frame["type"] == "response.resumed":
            return
        response_id, number = frame["response_id"], frame["sequence_number"]
        assert number == self.expected[response_id], "a gap, a repetition, or an event that nobody asked for"
        assert json.loads(self.desk.answers[response_id].written[number]) == frame
        self.expected[response_id] += 1
        if frame["done"]:
            self.gone(response_id)

    def settle(self) -> None:
        """Resumed after its last event, a response is over without another one."""
        for response_id, number in list(self.expected.items()):
            log = self.desk.answers[response_id].log
            if log.sealed and number == log.tip:
                self.gone(response_id)

    def gone(self, response_id: str) -> None:
        """The connection does not follow it any more."""
        self.expected.pop(response_id, None)
        self.occupied = {lane: other for lane, other in self.occupied.items() if other != response_id}

    @invariant()
    def no_more_than_the_limit(self) -> None:
        if hasattr(self, "desk"):
            assert len(self.occupied) <= self.limits.max_in_flight
            assert self.desk.connection.close is None

    def teardown(self) -> None:
        """Let everything end and be read: then nothing may be stuck."""
        if not hasattr(self, "desk"):
            return
        for _ in range(60):
            for answer in list(self.desk.answers.values()):
                if not answer.log.sealed:
                    answer.finish()
            self.pull(PULL)
            if self.desk.connection.idle:
                break
        assert self.expected == {}
        assert not any(self.accepted.values()), "a request without an answer"
        assert self.desk.connection.idle
        assert not self.desk.connection.pending


TestSchedules = Schedules.TestCase
TestSchedules.settings = examples(25, stateful_step_count=30)
