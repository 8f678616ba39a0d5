"""Followers that come and go, under each policy; time is the test's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from realtime.runs.audience import DISCONNECTED, RETURN_SECONDS, Absence, Audience, disconnect_policy
from realtime.runs.endings import Cancelled
from realtime.settings.fields import ResponseSettings
from realtime.wire.errors import WireError
from realtime.wire.requests import OnDisconnect, ResponseCreate

LINGER = OnDisconnect(policy="linger", seconds=5.0)


class Timer:
    """A call that was put off, and happens when the test says so."""

    def __init__(self, seconds: float, call: Callable[[], None]) -> None:
        self.seconds = seconds
        self.fire = call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Hall:
    """An audience with what it asked for."""

    def __init__(self, policy: OnDisconnect, absence: Absence | None = None) -> None:
        self.cancels: list[Cancelled] = []
        self.timers: list[Timer] = []
        self.woken: list[str] = []
        self.audience = Audience(policy, self.cancels.append, self.call_later, absence)
        self.ann, self.bob = lambda: self.woken.append("ann"), lambda: self.woken.append("bob")

    def call_later(self, seconds: float, call: Callable[[], None]) -> Timer:
        self.timers.append(Timer(seconds, call))
        return self.timers[-1]

    @property
    def waits(self) -> bool:
        return any(not timer.cancelled for timer in self.timers)


def test_all_watchers_are_told_until_they_leave() -> None:
    hall = Hall(LINGER)
    hall.audience.follow(hall.ann)
    hall.audience.follow(hall.bob)
    hall.audience.notify()
    assert sorted(hall.woken) == ["ann", "bob"]
    hall.audience.leave(hall.ann, detached=False)
    hall.audience.notify()
    assert hall.woken[2:] == ["bob"]
    assert not hall.timers
    assert not hall.cancels


def test_cancel_ends_it_when_the_last_one_leaves() -> None:
    hall = Hall(OnDisconnect(policy="cancel"))
    for wake in (hall.ann, hall.bob):
        hall.audience.follow(wake)
    hall.audience.leave(hall.ann, detached=False)
    assert not hall.cancels
    hall.audience.leave(hall.bob, detached=False)
    assert hall.cancels == [Cancelled(DISCONNECTED)]


def test_linger_waits_as_long_as_it_says() -> None:
    hall = Hall(LINGER)
    hall.audience.follow(hall.ann)
    hall.audience.leave(hall.ann, detached=False)
    (timer,) = hall.timers
    assert (timer.seconds, hall.cancels) == (5.0, [])
    timer.fire()
    assert hall.cancels == [Cancelled(DISCONNECTED)]


def test_somebody_who_comes_back_ends_the_wait_and_the_next_one_is_whole() -> None:
    hall = Hall(LINGER)
    hall.audience.follow(hall.ann)
    hall.audience.leave(hall.ann, detached=False)
    hall.audience.follow(hall.bob)
    assert not hall.waits
    hall.audience.leave(hall.bob, detached=False)
    assert hall.waits
    assert len(hall.timers) == 2


def test_continue_goes_on_without_a_reader() -> None:
    hall = Hall(OnDisconnect(policy="continue"))
    hall.audience.follow(hall.ann)
    hall.audience.leave(hall.ann, detached=False)
    assert (hall.timers, hall.cancels) == ([], [])


@pytest.mark.parametrize("policy", [LINGER, OnDisconnect(policy="cancel")])
def test_who_detaches_has_it_go_on_whoever_leaves_last_and_a_new_follower_begins_anew(policy: OnDisconnect) -> None:
    hall = Hall(policy)
    for wake in (hall.ann, hall.bob):
        hall.audience.follow(wake)
    hall.audience.leave(hall.ann, detached=True)
    hall.audience.leave(hall.bob, detached=False)
    assert (hall.timers, hall.cancels) == ([], [])
    hall.audience.follow(hall.ann)
    hall.audience.leave(hall.ann, detached=False)
    assert hall.waits or hall.cancels


def test_nobody_is_waited_for_when_it_is_over() -> None:
    hall = Hall(LINGER)
    hall.audience.follow(hall.ann)
    hall.audience.leave(hall.ann, detached=False)
    hall.audience.close()
    assert not hall.waits
    hall.audience.leave(hall.bob, detached=False)
    assert not hall.waits


@pytest.mark.parametrize(
    ("members", "native", "policy"),
    [
        ({}, True, OnDisconnect(policy="linger", seconds=30.0)),
        ({}, False, OnDisconnect(policy="cancel")),
        ({"background": True}, False, OnDisconnect(policy="continue")),
        ({"on_disconnect": OnDisconnect(policy="continue")}, False, OnDisconnect(policy="continue")),
        ({"on_disconnect": LINGER}, False, LINGER),
        ({"on_disconnect": OnDisconnect(policy="linger")}, False, OnDisconnect(policy="linger", seconds=30.0)),
    ],
)
def test_the_policy_is_the_requests_else_that_of_its_kind_of_client(
    members: dict[str, Any], native: bool, policy: OnDisconnect
) -> None:
    settings = ResponseSettings(linger_seconds=30.0)
    assert disconnect_policy(ResponseCreate(**members), settings, native=native) == policy


def test_who_wants_to_be_waited_for_longer_than_allowed_is_refused() -> None:
    request = ResponseCreate(on_disconnect=OnDisconnect(policy="linger", seconds=61.0))
    with pytest.raises(WireError, match=r"61.*60"):
        disconnect_policy(request, ResponseSettings(max_linger_seconds=60.0), native=True)


def test_who_only_looks_on_is_told_and_changes_nothing() -> None:
    hall = Hall(OnDisconnect(policy="cancel"))
    hall.audience.follow(hall.ann)
    hall.audience.look_on(hall.bob)
    hall.audience.notify()
    hall.audience.leave(hall.bob, detached=True)
    assert (sorted(hall.woken), hall.cancels) == (["ann", "bob"], [])
    hall.audience.look_on(hall.bob)
    hall.audience.leave(hall.ann, detached=False)
    assert len(hall.cancels) == 1, "neither is it followed by bob, nor did he want it to go on"


def test_who_goes_before_an_answer_has_begun_again_is_waited_for_once() -> None:
    """The answer was taken over, and read there, before it was made again; whoever follows it then ends every wait."""
    hall = Hall(LINGER, Absence.GONE)
    hall.audience.follow(hall.ann)
    hall.audience.leave(hall.ann, detached=False)
    hall.audience.expect()
    hall.audience.follow(hall.bob)
    assert not hall.waits


def test_an_answer_that_begins_again_before_those_who_look_on_waits_for_a_follower() -> None:
    hall = Hall(LINGER, Absence.GONE)
    hall.audience.look_on(hall.ann)
    assert hall.audience.absence is Absence.GONE
    hall.audience.expect()
    assert hall.waits
    assert hall.audience.absence is Absence.GONE
    hall.audience.follow(hall.ann)
    assert not hall.waits
    assert hall.audience.absence is Absence.SENT_AWAY, "if the server goes down now"


@pytest.mark.parametrize(("own", "waits_for"), [(0.0, RETURN_SECONDS), (3600.0, 3600.0)])
def test_who_was_sent_away_is_waited_for_longer_and_not_without_end(own: float, waits_for: float) -> None:
    hall = Hall(OnDisconnect(policy="linger", seconds=own), Absence.SENT_AWAY)
    hall.audience.expect()
    (timer,) = hall.timers
    assert timer.seconds == waits_for
    assert hall.audience.absence is Absence.SENT_AWAY, "the next server waits as long"
    timer.fire()
    assert hall.cancels == [Cancelled(DISCONNECTED)]


def test_what_was_to_go_on_without_a_follower_does_so_until_one_has_come_and_gone() -> None:
    hall = Hall(LINGER, Absence.WANTED)
    hall.audience.expect()
    assert not hall.waits
    assert hall.audience.absence is Absence.WANTED
    hall.audience.follow(hall.ann)
    hall.audience.leave(hall.ann, detached=False)
    assert hall.waits
    assert hall.audience.absence is Absence.GONE


def test_who_has_detached_before_an_answer_has_begun_again_is_not_waited_for() -> None:
    hall = Hall(LINGER, Absence.GONE)
    hall.audience.follow(hall.ann)
    hall.audience.leave(hall.ann, detached=True)
    hall.audience.expect()
    assert not hall.waits
    assert hall.audience.absence is Absence.WANTED
