"""What was opened with a key ends when the key does: by looks at the keys file, not by waiting."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from realtime.server.keys import KeyFile, KeyRing, read_keys, write_keys
from realtime.server.revocation import LOOK_SECONDS, Revocation
from realtime.service.principal import LOCAL, Principal
from tests.support.steps import make_keys


class Later:
    """In the place of an event loop's timer: `pass_by` is the time that passes."""

    def __init__(self) -> None:
        self.timers: list[Callable[[], None]] = []
        self.num_cancelled = 0

    def call_later(self, seconds: float, call: Callable[[], None]) -> Later:
        assert seconds == LOOK_SECONDS
        self.timers.append(call)
        return self

    def cancel(self) -> None:
        self.timers.clear()

    def pass_by(self) -> None:
        timers, self.timers = self.timers, []
        for call in timers:
            call()


class Opened:
    """Something that a client has opened."""

    def __init__(self, principal: Principal | None) -> None:
        assert principal is not None
        self.principal = principal
        self.num_revoked = 0

    def revoke(self) -> None:
        self.num_revoked += 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_a_key_that_is_removed_ends_what_was_opened_with_it_and_nothing_else(path: Path) -> None:
    keys, later = make_keys(path, "anna", "bob"), Later()
    ring = KeyRing(path)
    revocation = Revocation(ring, later.call_later)
    annas, bobs, another = (Opened(ring.find(keys[name])) for name in ("anna", "bob", "anna"))
    with revocation.watching(annas), revocation.watching(bobs):
        with revocation.watching(another):
            later.pass_by()
        assert [annas.num_revoked, bobs.num_revoked] == [0, 0]
        write_keys(path, read_keys(path).remove("anna"))
        for _ in range(3):
            later.pass_by()
        assert [annas.num_revoked, bobs.num_revoked, another.num_revoked] == [1, 0, 0]
        assert len(later.timers) == 1
    assert not later.timers, "nothing is open: nobody looks"


def test_a_key_that_is_replaced_ends_what_used_the_old_one(path: Path) -> None:
    old, later = make_keys(path, "anna")["anna"], Later()
    ring = KeyRing(path)
    revocation = Revocation(ring, later.call_later)
    opened, renewed = Opened(ring.find(old)), Opened(ring.find(old))
    with revocation.watching(opened), revocation.watching(renewed):
        write_keys(path, read_keys(path).remove("anna"))
        new = ring.find(make_keys(path, "anna")["anna"])
        assert new is not None
        renewed.principal = new
        later.pass_by()
        assert [opened.num_revoked, renewed.num_revoked] == [1, 0]


def test_a_key_that_goes_between_handshake_and_watch_is_noticed(path: Path) -> None:
    keys, later = make_keys(path, "anna", "bob"), Later()
    ring = KeyRing(path)
    revocation = Revocation(ring, later.call_later)
    opened, another = Opened(ring.find(keys["anna"])), Opened(ring.find(keys["bob"]))
    write_keys(path, read_keys(path).remove("anna"))
    with revocation.watching(another):
        later.pass_by()
        with revocation.watching(opened):
            later.pass_by()
            assert [opened.num_revoked, another.num_revoked] == [1, 0]


def test_two_keys_of_one_name_hold_beside_each_other(path: Path, tmp_path: Path) -> None:
    old, new = make_keys(path, "anna")["anna"], make_keys(tmp_path / "more.json", "anna")["anna"]
    both, later = KeyFile((*read_keys(path).keys, *read_keys(tmp_path / "more.json").keys)), Later()
    write_keys(path, both)
    ring = KeyRing(path)
    revocation = Revocation(ring, later.call_later)
    first, second = Opened(ring.find(old)), Opened(ring.find(new))
    with revocation.watching(first), revocation.watching(second):
        later.pass_by()
        assert [first.num_revoked, second.num_revoked] == [0, 0]
        write_keys(path, KeyFile(both.keys[1:]))
        later.pass_by()
        assert [first.num_revoked, second.num_revoked] == [1, 0]


def test_a_file_that_breaks_ends_nothing(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    key, later = make_keys(path, "anna")["anna"], Later()
    ring = KeyRing(path)
    revocation = Revocation(ring, later.call_later)
    opened = Opened(ring.find(key))
    with revocation.watching(opened):
        path.unlink()
        later.pass_by()
        later.pass_by()
        assert opened.num_revoked == 0
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    caplog.clear()  # this error was provoked


def test_what_ends_while_others_are_ended_is_not_ended_again(path: Path) -> None:
    key, later = make_keys(path, "anna", "bob")["anna"], Later()
    ring = KeyRing(path)
    revocation = Revocation(ring, later.call_later)
    first, second = Opened(ring.find(key)), Opened(ring.find(key))
    with ExitStack() as seconds_end, revocation.watching(first):
        seconds_end.enter_context(revocation.watching(second))
        first.revoke = seconds_end.close  # type: ignore[method-assign]
        write_keys(path, read_keys(path).remove("anna"))
        later.pass_by()
        assert second.num_revoked == 0


def test_without_keys_nobody_looks() -> None:
    later = Later()
    with Revocation(None, later.call_later).watching(Opened(LOCAL)):
        assert not later.timers
