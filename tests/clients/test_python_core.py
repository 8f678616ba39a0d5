"""The pure core: any schedule of cuts, losses, repeats and swaps against an oracle."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.conformance.case import RECORDING, encode, recorded
from realtime_client import AlreadyFollowed, ConnectionLost, FinalResponse, Policy, ProtocolError
from realtime_client.session import Session
from realtime_client.track import Phase, Track


class Network:
    """A server with the whole answer in its log, and a path to it that cuts, loses, repeats and swaps messages."""

    def __init__(self, session: Session, faults: list[tuple[str, int]]) -> None:
        self.session = session
        self.now = 0.0
        self._faults = faults
        self._followed_from: int | None = None  # the number that the server sends next; None: not followed
        self._lane: str | None = None
        self._in_flight: list[str] = []
        self._connected = False

    def step(self) -> None:
        """Connect if need be, let the server answer, play one fault, deliver one message."""
        if not self._connected:
            assert self.session.connect_at is not None, "an unfinished response needs a socket"
            self.now = max(self.now, self.session.connect_at)
            self.session.connected(self.now)
            self._connected = True
        for frame in self.session.frames(self.now):
            self._serve(json.loads(frame))
        if self._followed_from is not None and self._followed_from < len(RECORDING):
            self._in_flight.append(recorded(self._followed_from, "r1", self._lane))
            self._followed_from += 1
        elif not self._in_flight:
            self._cut()  # the last event was lost and nothing follows it: only a new socket shows that
            return
        if self._faults:
            self._play(*self._faults.pop())
        if self._in_flight:
            self.session.receive(self._in_flight.pop(0), self.now)

    def _serve(self, frame: dict[str, Any]) -> None:
        match frame["type"]:
            case "response.create":
                self._followed_from, self._lane = 0, frame["stream_id"]
            case "response.resume":
                start = frame["starting_after"] + 1
                assert frame.get("epoch") == "e1"
                resumed = {"response_id": "r1", "epoch": "e1", "starting_after": start - 1, "tip": len(RECORDING)}
                self._in_flight.append(encode({"type": "response.resumed", "resumed": resumed | {"status": "any"}}))
                self._followed_from = start
            case "response.detach":
                self._followed_from = None

    def _play(self, fault: str, where: int) -> None:
        """Only events are touched: TCP does not lose answers, and what it does lose ends in a cut."""
        events = [i for i, message in enumerate(self._in_flight) if '"response_id":"r1","stream_id"' in message]
        if fault == "cut":
            self._cut()
        elif fault == "skip" and self._followed_from is not None:
            self._followed_from += where % 4
        elif fault == "back" and self._followed_from is not None:
            self._followed_from = max(0, self._followed_from - where)
        elif events:
            index = events[where % len(events)]
            if fault == "lose":
                del self._in_flight[index]
            elif fault == "repeat":
                self._in_flight.insert(index, self._in_flight[index])
            elif fault == "swap":
                self._in_flight.insert(0, self._in_flight.pop(index))

    def _cut(self) -> None:
        self._in_flight.clear()
        self._followed_from = None
        self._connected = False
        self.session.disconnected(ConnectionLost.closed(1006), self.now)


FAULTS = st.lists(
    st.tuples(st.sampled_from(["cut", "lose", "repeat", "swap", "skip", "back", "none"]), st.integers(0, 12)),
    max_size=40,
)


@given(FAULTS, st.sampled_from([600, 2**20]), st.randoms(use_true_random=False))
def test_every_event_once_and_in_order(faults: list[tuple[str, int]], max_bytes: int, rng: random.Random) -> None:
    """Whatever the path does and however slowly the reader reads: what it gets is the recording."""
    policy = Policy(max_buffer_bytes=max_bytes, max_retry_seconds=1e9)
    session = Session(policy, "test", random.Random(0))
    track = session.create({"input": "hi"})
    network = Network(session, faults)
    delivered = []
    for _ in range(2000):
        if track.over or (track.phase is Phase.PAUSED):
            delivered += _take(session, track, 100)
        if track.over:
            break
        if track.phase is not Phase.PAUSED:
            _survive_broken_numbers(network, track)
        if rng.random() < 0.3:
            delivered += _take(session, track, 1)
    assert track.terminal is not None, track.phase
    delivered += _take(session, track, 100)
    assert delivered == [json.loads(recorded(n, "r1", track.lane)) for n in range(len(RECORDING))]


def _survive_broken_numbers(network: Network, track: Track) -> None:
    """A path that makes a gap after each resume is reported as a broken server; here it is only bad luck."""
    track.num_gaps = 0
    network.step()


def _take(session: Session, track: Track, count: int) -> list[Any]:
    events = (session.take(track) for _ in range(count))
    return [event for event in events if event is not None]


def test_a_request_id_is_open_once() -> None:
    session = Session(Policy(), "test", random.Random(0))
    session.create({"input": "hi", "request_id": "mine"})
    with pytest.raises(AlreadyFollowed):
        session.create({"input": "hi", "request_id": "mine"})


def test_a_created_response_that_is_followed_already_refuses_the_create() -> None:
    """The server knows the request_id and answers with a response that this client follows by a resume."""
    session = Session(Policy(), "test", random.Random(0))
    session.connected(0)
    viewer = session.resume("r1", -1, None)
    session.frames(0)
    resumed = {"response_id": "r1", "epoch": "e1", "starting_after": -1, "tip": 2, "status": "in_progress"}
    session.receive(encode({"type": "response.resumed", "resumed": resumed}), 0)
    session.receive(recorded(0, "r1", None), 0)
    create = session.create({"input": "hi", "request_id": "mine", "stream_id": "x"})
    session.frames(0)
    session.receive(recorded(0, "r1", "x"), 0)
    assert isinstance(create.error, AlreadyFollowed)
    session.receive(recorded(1, "r1", "x"), 0)
    assert [event["sequence_number"] for event in _take(session, viewer, 9)] == [0, 1]


@pytest.mark.parametrize("message", ["", "[]", "3", '"x"', "{}", "not json", '{"type":"x"', "null"])
def test_what_is_no_event_is_a_protocol_error(message: str) -> None:
    with pytest.raises(ProtocolError):
        Session(Policy(), "test", random.Random(0)).receive(message, 0)


def test_more_creates_than_lanes_wait_for_one() -> None:
    session = Session(Policy(num_lanes=2), "test", random.Random(0))
    session.connected(0)
    tracks = [session.create({"input": str(n)}) for n in range(3)]
    assert len(session.frames(0)) == 2
    for number in range(len(RECORDING)):
        session.receive(recorded(number, "r1", tracks[1].lane), 0)
    (frame,) = session.frames(0)
    assert json.loads(frame)["input"] == "2"
    assert tracks[2].lane == tracks[1].lane


def test_a_continuation_goes_where_its_parent_is_and_other_work_elsewhere() -> None:
    session = Session(Policy(num_lanes=3), "test", random.Random(0))
    session.connected(0)
    first = _finish(session, "r1", {"input": "a"})
    other = _finish(session, "r2", {"input": "b"})
    second = _finish(session, "r3", {"input": "c", "previous_response_id": "r1"})
    assert first.lane == second.lane != other.lane


def _finish(session: Session, response_id: str, body: dict[str, Any]) -> Track:
    track = session.create(body)
    session.frames(0)
    for number in range(len(RECORDING)):
        session.receive(recorded(number, response_id, track.lane), 0)
    assert track.over
    return track


def test_a_dropped_handle_is_detached() -> None:
    session = Session(Policy(), "test", random.Random(0))
    session.connected(0)
    track = session.create({"input": "hi"})
    session.frames(0)
    session.receive(recorded(0, "r1", track.lane), 0)
    session.dropped.append(track)
    assert session.pending(0)
    assert [json.loads(frame)["type"] for frame in session.frames(0)] == ["response.detach"]
    assert track.over


def test_an_illegal_move_says_so() -> None:
    with pytest.raises(AssertionError, match="can't go from 'held' to 'live'"):
        Track(0, Phase.HELD).move(Phase.LIVE)


def test_backoff_grows_is_bounded_and_never_earlier_than_asked() -> None:
    policy = Policy(initial_delay_seconds=1, max_delay_seconds=8)
    delays = [policy.delay_seconds(n, None, random.Random(1)) for n in (0, 1, 2, 3, 50, 10**9)]
    assert all(0.5 * 2 ** min(n, 3) <= delay <= 2 ** min(n, 3) for n, delay in zip(range(6), delays, strict=True))
    assert policy.delay_seconds(0, 30, random.Random(1)) >= 30


def test_output_text_joins_the_parts() -> None:
    final = FinalResponse(RECORDING[-1]["response"])
    assert final.output_text == "Hello, 日本."
    assert final.receipt is None


@pytest.mark.parametrize(("resume_after", "patience"), [(None, 60.0), (10.0, 60.0), (100.0, 200.0)])
def test_a_server_that_goes_down_is_waited_for_twice_as_long_as_a_start_takes(
    resume_after: float | None, patience: float
) -> None:
    session = Session(Policy(), "test", random.Random(0))
    track = session.create({"input": "hi"})
    session.connected(0.0)
    told: dict[str, Any] = {"type": "session.draining", "sequence_number": 1, "done": True, "grace_seconds": 30}
    session.receive(json.dumps(told | ({"resume_after_seconds": resume_after} if resume_after else {})), 0.0)
    now = 0.0
    while not track.over:
        session.disconnected(ConnectionLost.closed(1012, ""), now)
        last, now = now, session.connect_at or now
    assert patience - 10 <= last <= patience
