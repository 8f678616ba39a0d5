"""Looking at a file, checking, copying and shrinking it; and saving what can be read of one that was cut."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from realtime.settings.fields import StoreSettings
from realtime.store.sqlite.maintenance import backup, info, problems, vacuum
from realtime.store.sqlite.salvage import salvage
from realtime.store.sqlite.schema import CannotOpen
from realtime.store.sqlite.stores import open_at_once, open_stores
from realtime.wire.items import Message
from tests.support.at_once import at_once

from .test_deletion import BOUNDS, begin, end


def write(path: Path, number: int) -> list[str]:
    """Fill a file with a chain of answers, each of a few pages, and a conversation."""
    opened = open_at_once(path, BOUNDS)
    turn, ids = None, []
    for n in range(number):
        answer = begin(opened, f"{n}-" + os.urandom(6000).hex())
        turn = end(opened, answer, parent=turn if n % 5 else None)
        ids.append(answer.response_id)
    conversation = opened.stores.conversations.create("t", {}, 0)
    item = Message(role="user", content="hi")
    opened.stores.conversations.post(conversation, [item], [item], 0)
    opened.stores.close()
    return ids


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def test_looking_says_what_there_is_and_changes_nothing(path: Path) -> None:
    write(path, 3)
    opened = open_at_once(path, BOUNDS)
    begin(opened, "running", "another")
    found = info(path)
    assert (found.num_finished, found.num_running, found.num_conversations, found.num_tenants) == (3, 1, 1, 2)
    assert 3 * 6000 < found.content_bytes < found.num_bytes
    assert problems(path) == []
    opened.stores.close()
    with pytest.raises(CannotOpen, match="there is no store"):
        info(path.with_name("none.db"))
    assert not path.with_name("none.db").exists()


def test_a_copy_is_whole_while_a_server_writes(path: Path) -> None:
    ids = write(path, 3)
    opened = open_stores(path, BOUNDS, StoreSettings())
    copy = path.with_name("copy.db")
    backup(path, copy)
    opened.stores.close()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert problems(copy) == []
    again = open_at_once(copy, BOUNDS)
    assert all(at_once(again.stores.responses.read(one, 0.0)) is not None for one in ids)
    again.stores.close()
    with pytest.raises(CannotOpen, match="File exists"):
        backup(path, copy)


def test_shrinking_needs_the_file_for_itself(path: Path) -> None:
    ids = write(path, 6)
    opened = open_at_once(path, BOUNDS)
    for one in ids:
        opened.stores.responses.delete(one)
    opened.stores.close()
    before = path.stat().st_size
    held = open_stores(path, BOUNDS, StoreSettings())
    with pytest.raises(CannotOpen, match="is in use"):
        vacuum(path)
    held.stores.close()
    vacuum(path)
    assert path.stat().st_size < before / 2
    assert info(path).num_conversations == 1


def test_what_this_server_can_not_read_is_named(path: Path) -> None:
    ids = write(path, 2)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE response SET body = x'0163' WHERE id = ?", (ids[0],))
        connection.execute("UPDATE log SET entries = x'0163' WHERE response = 2")
    connection.close()
    found = problems(path)
    assert [one.partition(":")[0] for one in found] == [f"response {one}" for one in ids]


@pytest.mark.parametrize("share", [0.95, 0.7, 0.4])
def test_what_can_be_read_of_a_file_that_was_cut_is_saved(path: Path, share: float) -> None:
    ids = write(path, 40)
    opened = open_at_once(path, BOUNDS)
    logs = {one: at_once(opened.stores.responses.read(one, 0.0)) for one in ids}
    turns = {one: at_once(opened.stores.responses.get(one, 0.0)).turn.items() for one in ids}  # type: ignore[union-attr]
    opened.stores.close()
    os.truncate(path, int(path.stat().st_size * share) // 4096 * 4096)
    with pytest.raises(CannotOpen, match="realtime store check"):
        open_at_once(path, BOUNDS)
    new = path.with_name("new.db")
    saved = salvage(path, new)
    assert problems(new) == []
    again = open_at_once(new, BOUNDS)
    found = {one: at_once(again.stores.responses.get(one, 0.0)) for one in ids}
    kept = {one: record for one, record in found.items() if record is not None}
    assert len(kept) == saved.num_responses
    assert len(kept) > 40 * share / 2, "most of what is before the cut"
    for one, record in kept.items():
        assert at_once(again.stores.responses.read(one, 0.0)) == logs[one]
        if record.turn is not None:
            assert record.turn.items() == turns[one]
    for one in kept:
        again.stores.responses.delete(one)
    assert (again.transactions.turns.num_bytes, again.transactions.responses.num_bytes) == (0, 0)
    again.stores.close()
    with pytest.raises(CannotOpen, match="exists already"):
        salvage(path, new)
