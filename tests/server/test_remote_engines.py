"""Settings of engines elsewhere: what can't be meant is refused before anything starts, and no secret is shown."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from realtime.engine.options import RemoteOptions
from realtime.server.remote_engines import check_remote, key_of
from realtime.settings.fields import Settings
from realtime.settings.sources import SettingsError, load, options
from realtime.settings.text import effective_toml


def remote(*urls: str, **members: Any) -> Settings:
    return Settings(engine="remote", remote=RemoteOptions(engine_url=urls, **members))


def test_flags_and_the_key_by_variable() -> None:
    flags = {"engine": "remote", "engine_url": "http://127.0.0.1:1,https://b"}
    settings = load(flags, {"REALTIME_ENGINE_KEY": "sesame"}).settings
    assert settings.remote.engine_url == ("http://127.0.0.1:1", "https://b")
    assert key_of(settings.remote) == "sesame"
    check_remote(settings)
    assert {option.name for option in options() if option.secret} >= {"engine_key"}


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        (remote(), "needs --engine-url"),
        (remote(*(f"http://a:{port}" for port in range(1, 66))), "1 to 64"),
        (remote("http://a:1", "http://a:1/"), "twice"),
        (remote("http://me:secret@a"), "no user"),
        (remote("a:1"), "http"),
        (Settings(remote=RemoteOptions(engine_url=("http://a",))), "--engine remote"),
        (remote("http://a", engine_key_file="/nowhere"), "can't be read"),
        (remote("http://a", engine_key="a secret\r\nx: y"), "no key"),
    ],
)
def test_what_can_not_be_meant(settings: Settings, what: str) -> None:
    with pytest.raises(SettingsError, match=what) as refused:
        check_remote(settings)
    assert "secret" not in str(refused.value)


def test_a_key_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sesame\n")
    assert key_of(RemoteOptions(engine_key_file=str(tmp_path / "key"))) == "sesame"
    (tmp_path / "key").write_text("\n")
    with pytest.raises(SettingsError, match="no key"):
        key_of(RemoteOptions(engine_key_file=str(tmp_path / "key")))
    with pytest.raises(ValueError, match="both"):
        RemoteOptions(engine_key="a", engine_key_file="b")


def test_a_password_in_a_url_is_not_shown_where_the_settings_are() -> None:
    shown = effective_toml(load({"engine": "remote", "engine_url": "http://a:1,http://me:hunter2@b?key=hunter2"}, {}))
    assert "hunter2" not in shown
    assert '# engine_url = ["http://a:1", "http://***@b"]' in shown
    assert '\nengine_url = ["http://a:1"]' in effective_toml(load({"engine_url": "http://a:1"}, {}))


@pytest.mark.parametrize(
    ("url", "warns"), [("http://10.0.0.1:8000", True), ("https://10.0.0.1", False), ("http://127.0.0.1:1", False)]
)
def test_a_key_over_http_is_warned_of(url: str, warns: bool, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        check_remote(remote(url, engine_key="sesame"))
    assert ("use https" in caplog.text) is warns
    assert "sesame" not in caplog.text
