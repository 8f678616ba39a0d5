"""How long orphans are left to nodes that can go on with them exactly; time is the test's."""

from __future__ import annotations

from collections.abc import Iterable

from realtime.server.courtesy import LEAVE_SECONDS, LONGEST_SECONDS, Courtesy, engines_of_others
from realtime.store.cluster.membership import Peer

OTHERS = frozenset({"another"})
LOOK = 3.0  # seconds between two looks at all


def look(courtesy: Courtesy, orphans: Iterable[str], now: float) -> set[str]:
    """Look at all orphans. Return those that this node takes whoever else could."""
    courtesy.begin()
    parts = list(courtesy.sort(sorted(orphans), now, OTHERS))
    taken = {one for part, leave in parts for one in part if not leave}
    courtesy.took(taken)
    courtesy.end(now)
    return taken


def test_an_orphan_is_left_for_a_moment() -> None:
    courtesy = Courtesy()
    assert not look(courtesy, {"one"}, 0.0)
    assert not look(courtesy, {"one", "two"}, LOOK)
    assert look(courtesy, {"one", "two"}, LEAVE_SECONDS) == {"one"}
    assert look(courtesy, {"two"}, LOOK + LEAVE_SECONDS) == {"two"}


def test_looks_that_break_off_do_not_begin_the_moment_anew() -> None:
    """As when the store is away now and then."""
    courtesy = Courtesy()
    look(courtesy, {"one"}, 0.0)
    courtesy.begin()
    courtesy.begin()
    assert look(courtesy, {"one"}, LEAVE_SECONDS) == {"one"}


def test_others_that_take_one_after_another_are_given_the_time() -> None:
    """A node that goes down may leave a thousand; to take one means to read all of its journal."""
    courtesy = Courtesy()
    orphans = {f"orphan {number:02}" for number in range(10)}
    now = 0.0
    while orphans:
        assert not look(courtesy, orphans, now)
        orphans.pop()
        now += LOOK
    assert now > 2 * LEAVE_SECONDS


def test_others_that_take_no_more_are_not_waited_for() -> None:
    courtesy = Courtesy()
    look(courtesy, {"one", "two"}, 0.0)
    assert not look(courtesy, {"one"}, LOOK), "another node took one"
    assert not look(courtesy, {"one"}, LEAVE_SECONDS)
    assert look(courtesy, {"one"}, LOOK + LEAVE_SECONDS) == {"one"}


def test_nothing_is_left_for_long_whatever_others_take() -> None:
    courtesy = Courtesy()
    now = number = 0
    while not (taken := look(courtesy, {"one", f"another {number}"}, now)):
        number += 1
        now += 1
    assert (taken, now) == ({"one"}, LONGEST_SECONDS)


def test_what_this_node_takes_is_no_sign_of_others() -> None:
    courtesy = Courtesy()
    look(courtesy, {"one", "own"}, 0.0)
    courtesy.took(["own"])
    look(courtesy, {"one"}, LOOK)
    assert look(courtesy, {"one"}, LEAVE_SECONDS) == {"one"}


def test_nobody_is_left_anything_who_does_not_serve_or_says_nothing_of_his_engine() -> None:
    """An older node tells none."""
    peers = [
        Peer("a", 1, "", "serving", 0, (), "own"), Peer("b", 1, "", "serving", 0),
        Peer("c", 1, "", "draining", 0, (), "another"), Peer("d", 1, "", "starting", 0, (), "another"),
    ]  # fmt: skip
    assert not engines_of_others("own", peers)
    assert engines_of_others("", peers) == {"own"}
