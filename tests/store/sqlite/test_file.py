"""The file itself: who may read it, who has it, what it is refused for, what is left of it when it is cut."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from realtime.settings.fields import ResponseSettings, StoreSettings
from realtime.store.sqlite import schema
from realtime.store.sqlite.lock import FileLock
from realtime.store.sqlite.schema import CannotOpen, open_for_writing
from realtime.store.sqlite.stores import bounds_of, open_stores

BOUNDS = bounds_of(ResponseSettings())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "here.db"


def test_nobody_else_may_read_it(path: Path) -> None:
    old = os.umask(0)
    try:
        opened = open_stores(path, BOUNDS, StoreSettings())
        opened.transactions.connection.execute("CREATE TABLE t (x)")  # so that there is a log beside it
        modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()}
        opened.stores.close()
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert set(modes) >= {"here.db", "here.db-wal", "here.db-lock"}
    assert set(modes.values()) == {0o600}


def test_it_belongs_to_one_at_a_time(path: Path) -> None:
    opened = open_stores(path, BOUNDS, StoreSettings())
    with pytest.raises(CannotOpen, match=rf"{path} is in use by process {os.getpid()}"):
        open_stores(path, BOUNDS, StoreSettings())
    opened.stores.close()
    open_stores(path, BOUNDS, StoreSettings()).stores.close()


HOLD = """
import os, sys, time
from pathlib import Path
from realtime.store.sqlite.lock import FileLock
lock = FileLock(Path(sys.argv[1]))
child = os.fork()
if not child:
    time.sleep(600)
print(child, flush=True)
time.sleep(600)
"""


def test_a_process_that_is_killed_lets_go_of_it_although_its_children_live(path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    child = int(holder.stdout.readline())
    try:
        with pytest.raises(CannotOpen, match=f"process {holder.pid}"):
            FileLock(path)
        holder.kill()
        holder.wait()
        FileLock(path).release()
        os.kill(child, 0)
    finally:
        os.kill(child, 9)
        holder.kill()
        holder.wait()
        holder.stdout.close()


def test_a_file_of_a_newer_version_is_refused_by_name_and_left_alone(path: Path) -> None:
    open_for_writing(path, "normal").close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(CannotOpen, match=rf"{path} was written by a newer version .*schema {schema.VERSION + 1}"):
        open_for_writing(path, "normal")
    assert path.read_bytes() == before


def test_what_is_not_ours_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(CannotOpen, match="is not a store of this server"):
        open_for_writing(path, "normal")
    assert path.read_bytes() == before
    path.write_text("not a database at all, but long enough to be taken for one" * 20)
    with pytest.raises(CannotOpen, match="is damaged"):
        open_for_writing(path, "normal")


def test_a_file_that_has_lost_its_end_is_refused(path: Path) -> None:
    open_for_writing(path, "normal").close()
    os.truncate(path, path.stat().st_size - 4096)
    with pytest.raises(CannotOpen, match="realtime store check"):
        open_for_writing(path, "normal")


def test_a_folder_that_is_none_is_an_error_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotOpen, match=f"{tmp_path}/file/here.db"):
        open_stores(tmp_path / "file" / "here.db", BOUNDS, StoreSettings())


def test_an_older_file_is_brought_to_the_version_of_today(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_for_writing(path, "normal").close()
    more = (*schema.MIGRATIONS, "ALTER TABLE journal ADD COLUMN more TEXT;\n")
    monkeypatch.setattr(schema, "MIGRATIONS", more)
    monkeypatch.setattr(schema, "VERSION", len(more))
    connection = open_for_writing(path, "normal")
    assert "more" in [row[1] for row in connection.execute("PRAGMA table_info(journal)")]
    assert connection.execute("PRAGMA user_version").fetchone() == (len(more),)
    connection.close()


def test_a_migration_that_fails_leaves_the_file_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_for_writing(path, "normal").close()
    more = (*schema.MIGRATIONS, "CREATE TABLE more (x);\nCREATE TABLE journal (x);\n")
    monkeypatch.setattr(schema, "MIGRATIONS", more)
    monkeypatch.setattr(schema, "VERSION", len(more))
    with pytest.raises(CannotOpen, match="already exists"):
        open_for_writing(path, "normal")
    monkeypatch.undo()
    connection = open_for_writing(path, "normal")
    assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'more'").fetchone() == (0,)
    connection.close()
