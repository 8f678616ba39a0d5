"""A connection in time: heartbeats, its lifetime, and the credential that may be renewed."""

from __future__ import annotations

import pytest

from realtime.connection.commands import Beat, Create, Identify, Leave
from realtime.connection.heartbeats import Heartbeats, check_interval
from realtime.connection.profiles import ConnectionLimits, Profile
from realtime.connection.protocol import Connection
from realtime.wire import events
from realtime.wire.errors import CloseCode, ErrorCode, WireError
from tests.connection.playbook import (
    NOTHING,
    TENANT,
    Asked,
    Desk,
    Events,
    Given,
    Playbook,
    create_in,
    drain,
    error,
    event,
    gone,
    refusal,
)  # fmt: skip
from tests.connection.test_protocol import SESSION
from tests.support.responses import Answer

HEARTBEAT = events.Heartbeat(engine="ready", responses=[])
EVERY_TEN = ConnectionLimits(heartbeat_seconds=10)


def open_at(now: float) -> Given:
    return lambda connection: connection.open(SESSION, now)


def deadline(now: float) -> Given:
    return lambda connection: connection.handle_deadline(now)


def beat(connection: Connection) -> None:
    connection.beat(HEARTBEAT)


def opened(profile: Profile = Profile.NATIVE, limits: ConnectionLimits = EVERY_TEN) -> Playbook:
    """A connection that was opened at 100, and has greeted."""
    play = Playbook(profile, limits).at(100)
    play << open_at(100)
    play.pull()
    return play


# -- heartbeats


def test_a_heartbeat_is_asked_for_at_its_deadline_and_names_what_is_followed() -> None:
    play, create = opened(), Asked(Create)
    answer = Answer("resp_0")
    assert play.connection.next_deadline() == 110
    play << create_in() >> create << create.opened(answer) >> Events(answer, 0, 1)
    play << deadline(109.9) >> NOTHING
    play << deadline(110.5) >> Beat(("resp_0",)) << beat
    play >> {"type": "session.heartbeat", "heartbeat": {"engine": "ready"}} >> NOTHING
    assert play.connection.next_deadline() == 120.5


def test_who_has_not_read_the_last_one_is_not_told_again() -> None:
    play = opened()
    for now in (110, 120, 130):
        play << deadline(now) >> Beat(()) << beat
    play >> {"type": "session.heartbeat"} >> NOTHING
    play << deadline(140) >> Beat(()) << beat >> {"type": "session.heartbeat"} >> NOTHING


@pytest.mark.parametrize(
    ("profile", "limits"), [(Profile.PLAIN, EVERY_TEN), (Profile.NATIVE, ConnectionLimits())], ids=["plain", "never"]
)
def test_without_heartbeats_there_is_no_deadline(profile: Profile, limits: ConnectionLimits) -> None:
    play = opened(profile, limits)
    assert play.connection.next_deadline() is None
    play << deadline(1e9) >> NOTHING


def test_the_interval_can_be_changed_and_counts_from_then() -> None:
    play = opened().at(105)
    play << event("session.update", heartbeat_seconds=3)
    play >> {"type": "session.updated", "session": {"heartbeat_seconds": 3.0}} >> NOTHING
    assert play.connection.next_deadline() == 108
    play << event("session.update")
    play >> {"type": "session.updated", "session": {"heartbeat_seconds": 3.0}} >> NOTHING
    assert play.connection.next_deadline() == 108
    play << event("session.update", heartbeat_seconds=0)
    play >> {"type": "session.updated", "session": {"heartbeat_seconds": 0.0}} >> NOTHING
    assert play.connection.next_deadline() is None


def test_an_interval_that_is_too_short_changes_nothing() -> None:
    play = opened()
    play << event("session.update", heartbeat_seconds=0.5, api_key="k", event_id="e")
    play >> error("invalid_request", param="heartbeat_seconds", event_id="e") >> NOTHING
    assert play.connection.next_deadline() == 110


def test_a_plain_client_may_set_an_interval_and_hears_nothing_of_it() -> None:
    play = opened(Profile.PLAIN)
    play << event("session.update", heartbeat_seconds=3)
    play >> {"type": "session.updated", "session": {"heartbeat_seconds": 3.0}} >> NOTHING
    assert play.connection.next_deadline() is None


def test_a_lost_socket_has_no_deadline() -> None:
    play = opened()
    play << gone
    assert play.connection.next_deadline() is None


def test_the_next_heartbeat_comes_an_interval_after_the_last_one() -> None:
    heartbeats = Heartbeats(10, wanted=True)
    assert not heartbeats.take(1e9)
    heartbeats.schedule(100)
    assert [heartbeats.take(now) for now in (109, 110, 119, 125, 134, 135)] == [False, True, False, True, False, True]
    heartbeats.seconds = 0
    heartbeats.schedule(200)
    assert heartbeats.due_at is None


@pytest.mark.parametrize(("seconds", "fine"), [(None, True), (0, True), (1, True), (0.01, False), (0.999, False)])
def test_an_interval_is_none_or_at_least_a_second(seconds: float | None, fine: bool) -> None:
    if fine:
        check_interval(seconds)
        return
    with pytest.raises(WireError) as refused:
        check_interval(seconds)
    assert refused.value.code is ErrorCode.INVALID_REQUEST


# -- the lifetime


def test_past_its_lifetime_a_connection_starts_nothing_and_closes_when_idle() -> None:
    desk = Desk(expires_at=100.0).at(99.9)
    answer = desk.start("a")
    desk << create_in("a") >> Events(answer, 0, 1)
    assert len(desk.started) == 1
    desk.at(100.0)
    for event_id in ("e", "f"):
        desk << create_in("b", event_id=event_id)
        desk >> error("websocket_connection_limit_reached", status=400, event_id=event_id, stream_id=None) >> NOTHING
    assert desk.connection.close is None
    answer.say("x").finish()
    desk.pull()
    assert len(desk.started) == 2, "what was accepted in time is served"
    assert desk.connection.close is None
    list(desk.answers.values())[1].say("x").finish()
    desk.pull()
    assert desk.connection.close is not None
    assert desk.connection.close[0] in (CloseCode.RESTART, CloseCode.GOING_AWAY), "clients come back after these"


def test_age_alone_closes_nothing() -> None:
    desk = Desk(expires_at=100.0).at(99.0)
    desk.turn()
    desk.at(200.0)
    assert desk.connection.next_deadline() is None
    desk << deadline(200.0)
    desk << event("response.cancel", stream_id="b") >> error("response_not_found") >> NOTHING
    assert desk.connection.close is None


# -- the credential


def test_a_key_of_the_same_owner_is_accepted() -> None:
    play, key = opened(), Asked(Identify, api_key="new")
    play << event("session.update", api_key="new") >> key << key.identified(TENANT)
    play >> {"type": "session.updated", "session": {"heartbeat_seconds": 10.0}} >> NOTHING
    assert play.connection.next_deadline() == 110


@pytest.mark.parametrize("tenant", ["bert", None])
def test_a_key_of_somebody_else_changes_nothing(tenant: str | None) -> None:
    play, key = opened(), Asked(Identify)
    play << event("session.update", api_key="new", heartbeat_seconds=7, event_id="e") >> key
    play << key.identified(tenant) >> error("invalid_api_key", status=401, param="api_key", event_id="e") >> NOTHING
    assert play.connection.next_deadline() == 110, "all or nothing"
    play << event("session.update") >> {"type": "session.updated", "session": {"heartbeat_seconds": 10.0}}


def test_the_interval_waits_for_the_key() -> None:
    play, key = opened(), Asked(Identify, api_key="new", heartbeat_seconds=7.0)
    play << event("session.update", api_key="new", heartbeat_seconds=7) >> key >> NOTHING
    play << key.identified(TENANT, now=150)
    play >> {"type": "session.updated", "session": {"heartbeat_seconds": 7.0}} >> NOTHING
    assert play.connection.next_deadline() == 157


def test_updates_are_obeyed_in_their_order_however_long_a_key_takes() -> None:
    play, first, second = opened(), Asked(Identify, api_key="1"), Asked(Identify, api_key="2")
    play << event("session.update", api_key="1", heartbeat_seconds=3) >> first
    play << event("session.update", heartbeat_seconds=4) << event("session.update", api_key="2", heartbeat_seconds=5)
    play << event("session.update", heartbeat_seconds=0.5, event_id="e") >> NOTHING
    play << first.identified(TENANT, now=150) >> second
    for seconds in (3.0, 4.0):
        play >> {"type": "session.updated", "session": {"heartbeat_seconds": seconds}}
    play >> NOTHING
    play << second.refused(refusal()) >> error("server_is_overloaded")
    play >> error("invalid_request", param="heartbeat_seconds", event_id="e") >> NOTHING
    assert play.connection.next_deadline() == 104, "an interval after it was asked for"


def revoked(connection: Connection) -> None:
    connection.revoked()


def test_a_connection_whose_key_is_gone_says_so_and_closes() -> None:
    desk = Desk(Profile.NATIVE)
    answer = desk.start("a")
    desk << create_in("a") << create_in("b")
    answer.say("x")
    desk.pull()
    answer.say("not sent any more")
    desk << revoked
    assert desk.left == [Leave("resp_0", detached=False), Leave("resp_1", detached=False)]
    desk >> error("invalid_api_key", status=401) >> NOTHING
    assert desk.connection.close == (CloseCode.INVALID_KEY, "invalid_api_key")
    assert not desk.connection.pending
    desk << create_in("a") >> NOTHING
    assert desk.connection.next_deadline() is None, "there are no heartbeats any more"


def test_what_comes_of_a_command_after_the_key_is_gone_is_left_as_well() -> None:
    play, create, leave = opened(), Asked(Create), Leave("resp_0", detached=False)
    play << create_in("a") >> create << revoked >> error("invalid_api_key", status=401) >> NOTHING
    play << create.opened(Answer("resp_0")) >> leave >> NOTHING


def test_a_connection_that_closes_already_goes_on_to_close_as_it_did() -> None:
    desk = Desk(Profile.NATIVE)
    desk << drain
    desk.pull()
    assert desk.connection.close == (CloseCode.RESTART, "server_draining")
    desk << revoked >> NOTHING
    assert desk.connection.close == (CloseCode.RESTART, "server_draining")
