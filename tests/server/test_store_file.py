"""Where the store's file is, the key beside it, and what the command line says of it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from realtime.__main__ import main
from realtime.server.encryption_keys import encryption_keys
from realtime.server.store_file import open_configured, store_path, with_key
from realtime.settings.fields import ServerSettings, Settings, StoreSettings
from tests.support.server import changed


@pytest.mark.parametrize(
    ("members", "name"),
    [
        ({}, "127.0.0.1-8000.db"),
        ({"host": "::1", "port": 9000}, "_1-9000.db"),
        ({"host": "../../etc"}, ".._.._etc-8000.db"),
        ({"port": 0}, None),
        ({"store": "memory"}, None),
        ({"store": "sqlite", "port": 0}, "127.0.0.1-0.db"),
    ],
)
def test_the_file_is_named_by_the_servers_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, members: dict[str, object], name: str | None
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    path = store_path(changed(Settings(), **members))
    assert path == (tmp_path / "realtime" / name if name is not None else None)


def test_without_the_variable_it_is_in_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_STATE_HOME", value)
        assert store_path(Settings()) == tmp_path / ".local" / "state" / "realtime" / "127.0.0.1-8000.db"


def test_a_key_is_made_once_unless_one_is_configured(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    first, second = (encryption_keys(with_key(ServerSettings(), path)) for _ in range(2))
    assert first == second
    assert len(first[0]) == 32
    assert stat.S_IMODE((tmp_path / "store.db-key").stat().st_mode) == 0o600
    configured = ServerSettings(sealing_keys_file=str(tmp_path / "store.db-key"))
    assert with_key(configured, tmp_path / "other.db") is configured
    assert with_key(ServerSettings(), None) == ServerSettings()
    assert {one.name for one in tmp_path.iterdir()} == {"store.db-key"}


def test_the_command_line_looks_checks_copies_shrinks_and_deletes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.db"
    monkeypatch.setenv("REALTIME_STORE", f"sqlite:{path}")
    assert main(["store", "info"]) == 1
    assert f"there is no store {path}" in capsys.readouterr().err
    open_configured(Settings(store=StoreSettings(store=f"sqlite:{path}"))).close()
    assert main(["store", "info"]) == 0
    assert "responses\t0" in capsys.readouterr().out
    assert main(["store", "check"]) == 0
    assert main(["store", "backup", str(tmp_path / "copy.db")]) == 0
    assert main(["store", "check", "--store", f"sqlite:{tmp_path}/copy.db", "--save", str(tmp_path / "new.db")]) == 0
    assert main(["store", "vacuum"]) == 0
    assert main(["store", "delete", "--tenant", "somebody"]) == 0
    assert "deleted 0 responses and 0 conversations of somebody" in capsys.readouterr().err
    assert main(["store", "info", "--store", "memory"]) == 2
    assert "name a file" in capsys.readouterr().err
