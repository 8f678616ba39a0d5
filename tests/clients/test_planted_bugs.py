"""The cases catch what is wrong in a client: each of these bugs, put into the Python client, makes some fail."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clients.conformance.case import CASES, Player
from clients.conformance.frames import Mismatch
from conformance import Client
from realtime_client import ConnectionLost, frames
from realtime_client.cuts import Cuts
from realtime_client.inputs import Inputs
from realtime_client.link import Link
from realtime_client.liveness import Liveness
from realtime_client.patience import Patience
from realtime_client.receiving import Receiving
from realtime_client.session import Session
from realtime_client.track import Phase, Track, Verdict
from realtime_client.tracks import Tracks

Patch = pytest.MonkeyPatch


def failing_cases() -> Iterator[str]:
    """Play all cases; the names of those that the client does not pass."""
    client = Client()
    for case in CASES:
        try:
            Player(case, lambda command: json.loads(json.dumps(client.answer(command)))).play()
        except Mismatch:
            yield case["name"]


def around(patch: Patch, owner: Any, name: str, replaced: Callable[..., Any]) -> None:
    """Replace a method by one that is given the original first."""
    original = getattr(owner, name)
    patch.setattr(owner, name, lambda *given, **named: replaced(original, *given, **named))


def delivers_duplicates(patch: Patch) -> None:
    def accept(original: Any, track: Track, event: Any, num_bytes: int) -> Verdict:
        verdict: Verdict = original(track, event, num_bytes)
        if verdict is Verdict.DUPLICATE:
            track.events.append((event, num_bytes))
        return verdict

    around(patch, Track, "accept", accept)


def delivers_over_a_gap(patch: Patch) -> None:
    def accept(original: Any, track: Track, event: Any, num_bytes: int) -> Verdict:
        track.next_number = max(track.next_number, event.get("first_sequence_number", event["sequence_number"]))
        verdict: Verdict = original(track, event, num_bytes)
        return verdict

    around(patch, Track, "accept", accept)


def resumes_one_too_early(patch: Patch) -> None:
    def resume(original: Any, track: Track) -> str:
        frame = json.loads(original(track))
        return json.dumps(frame | {"starting_after": frame["starting_after"] - 1})

    around(patch, frames, "resume", resume)


def forgets_the_epoch(patch: Patch) -> None:
    def resume(original: Any, track: Track) -> str:
        frame = json.loads(original(track))
        frame.pop("epoch", None)
        return json.dumps(frame)

    around(patch, frames, "resume", resume)


def takes_what_is_on_its_way(patch: Patch) -> None:
    """Events that come between a resume and its answer are of the older reading."""

    def event(original: Any, receiving: Receiving, event: Any, num_bytes: int) -> None:
        track = receiving._tracks.of_id(event["response_id"])
        if track is not None and track.phase is Phase.RESUMING:
            track.phase = Phase.LIVE
        original(receiving, event, num_bytes)

    around(patch, Receiving, "_response_event", event)


def repeats_a_create_as_a_new_one(patch: Patch) -> None:
    def cut(original: Any, tracks: Tracks, track: Track) -> None:
        if track.phase is Phase.CREATING:
            track.request = track.request.replace('"request_id":"', '"request_id":"again-')
        original(tracks, track)

    around(patch, Tracks, "cut", cut)


def forgets_a_cancel_with_the_socket(patch: Patch) -> None:
    def cut(original: Any, tracks: Tracks, track: Track) -> None:
        original(tracks, track)
        track.cancel_wanted = False

    around(patch, Tracks, "cut", cut)


def forgets_an_ack_with_the_socket(patch: Patch) -> None:
    def cut(original: Any, tracks: Tracks, track: Track) -> None:
        original(tracks, track)
        track.acked = None

    around(patch, Tracks, "cut", cut)


def forgets_a_truncation_with_the_socket(patch: Patch) -> None:
    patch.setattr(Cuts, "disconnected", lambda cuts: None)


def is_not_told_when_to_retry(patch: Patch) -> None:
    around(patch, Patience, "failed", lambda original, self, now, after, *rest: original(self, now, None, *rest))


def tries_again_what_is_hopeless(patch: Patch) -> None:
    patch.setattr(Link, "lost", lambda link, why, now: link._patience.failed(now, None, link._policy, link._rng))


def never_gives_up(patch: Patch) -> None:
    def failed(original: Any, *given: Any) -> bool:
        original(*given)
        return True

    around(patch, Patience, "failed", failed)


def creates_on_a_socket_that_goes_down(patch: Patch) -> None:
    patch.setattr(Link, "drains", lambda link, resume_after_seconds=None: None)


def holds_all_that_is_unread(patch: Patch) -> None:
    patch.setattr(Receiving, "_ends_soon", staticmethod(lambda track: True))


def detaches_what_was_steered(patch: Patch) -> None:
    patch.setattr(Receiving, "_ends_soon", staticmethod(lambda track: track.cancel_wanted))


def takes_a_successor_for_a_create(patch: Patch) -> None:
    patch.setattr(Inputs, "parent", lambda inputs, response_id, lane: None)


def waits_for_ever_for_a_handshake(patch: Patch) -> None:
    patch.setattr(Link, "connecting", lambda link, now: None)


def drops_the_words_of_a_refusal(patch: Patch) -> None:
    def refused(original: Any, url: str, status: int, body: Any, retry_after: float | None) -> ConnectionLost:
        lost: ConnectionLost = original(url, status, None, retry_after)
        return lost

    around(patch, ConnectionLost, "refused", refused)


def believes_a_silent_socket(patch: Patch) -> None:
    patch.setattr(Liveness, "updated", lambda liveness, event: None)


def never_stops_an_abandoned_create(patch: Patch) -> None:
    def abandon(original: Any, session: Session, track: Track) -> None:
        original(session, track)
        track.abandoned = False

    around(patch, Session, "abandon", abandon)


BUGS = [
    delivers_duplicates,
    delivers_over_a_gap,
    resumes_one_too_early,
    forgets_the_epoch,
    takes_what_is_on_its_way,
    repeats_a_create_as_a_new_one,
    forgets_a_cancel_with_the_socket,
    forgets_an_ack_with_the_socket,
    forgets_a_truncation_with_the_socket,
    is_not_told_when_to_retry,
    tries_again_what_is_hopeless,
    never_gives_up,
    creates_on_a_socket_that_goes_down,
    holds_all_that_is_unread,
    detaches_what_was_steered,
    takes_a_successor_for_a_create,
    waits_for_ever_for_a_handshake,
    drops_the_words_of_a_refusal,
    believes_a_silent_socket,
    never_stops_an_abandoned_create,
]


def test_without_a_bug_nothing_fails() -> None:
    assert list(failing_cases()) == []


@pytest.mark.parametrize("bug", BUGS, ids=[bug.__name__ for bug in BUGS])
def test_a_bug_is_caught(bug: Callable[[Patch], None], monkeypatch: Patch) -> None:
    bug(monkeypatch)
    assert next(failing_cases(), None) is not None
