"""What a tenant may take: the keys file before the settings' table, both followed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from realtime.__main__ import main
from realtime.server.keys import KeyFile, KeyRing, KeysError, read_keys, write_keys
from realtime.server.tenant_limits import LimitsByTenant, config_file
from realtime.settings.sources import load
from realtime.settings.tenants import UNLIMITED, TenantLimits


class Clock:
    now = 0.0

    def __call__(self) -> float:
        self.now += 1.0  # each look is a second later than the one before
        return self.now


def test_the_keys_file_goes_before_the_table_and_the_table_has_one_for_everybody(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    keys, _ = KeyFile().add("anna")
    keys, _ = keys.add("bert")
    write_keys(path, keys.limit("anna", {"weight": 3}))
    table = {"anna": TenantLimits(weight=7), "carl": TenantLimits(weight=2), "*": TenantLimits(max_running=1)}
    book = LimitsByTenant(KeyRing(path), table, clock=Clock())
    found = {name: book.of(name) for name in ("anna", "bert", "carl")}
    assert found == {
        "anna": TenantLimits(weight=3), "bert": TenantLimits(max_running=1), "carl": TenantLimits(weight=2)
    }  # fmt: skip
    assert LimitsByTenant(None, {}).of("local") is UNLIMITED
    write_keys(path, read_keys(path).limit("anna", {"weight": 5, "max_waiting": 0}))
    assert book.of("anna") == TenantLimits(weight=5, max_waiting=0), "a running server follows"


def test_a_change_of_the_toml_file_counts_and_a_slip_in_it_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = tmp_path / "server.toml"
    config.write_text('[scheduling.tenants."*"]\nweight = 2\n')
    effective = load({}, {}, str(config))
    path = config_file(effective.sources["tenants"], str(config))
    assert path == config
    book = LimitsByTenant(None, effective.settings.scheduling.tenants, path, Clock())
    assert book.of("x").weight == 2
    config.write_text('[scheduling.tenants."*"]\nweight = 30\ntiers = ["flex"]\n')
    assert book.of("x") == TenantLimits(weight=30, tiers=("flex",))
    config.write_text('[scheduling.tenants."*"]\nweight = "much"\n')
    assert book.of("x").weight == 30
    assert "limits_not_reloaded" in caplog.text
    caplog.clear()
    config.write_text("")
    assert book.of("x") is UNLIMITED


@pytest.mark.parametrize(("source", "followed"), [("flag --tenants", False), ("variable REALTIME_TENANTS", False)])
def test_a_table_from_elsewhere_is_not_followed(source: str, followed: bool) -> None:
    assert (config_file(source, "x.toml") is not None) is followed


def test_limits_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "keys.json"
    keys, _ = KeyFile().add("anna")
    write_keys(path, keys)
    file = ["--api-keys-file", str(path)]
    assert main(["keys", "limit", "anna", "--weight", "3", "--tiers", "priority,flex", *file]) == 0
    assert json.loads(capsys.readouterr().out) == {"weight": 3.0, "tiers": ["priority", "flex"]}
    assert main(["keys", "limit", "anna", "--weight", "none", "--max-running", "2", *file]) == 0
    assert read_keys(path).keys[0].limits == TenantLimits(max_running=2, tiers=("priority", "flex"))
    assert main(["keys", "limit", "anna", "--tiers", "none", *file]) == 0
    assert read_keys(path).keys[0].limits == TenantLimits(max_running=2)
    assert main(["keys", "limit", "bert", "--weight", "3", *file]) != 0


@pytest.mark.parametrize("changes", [{"weight": 0}, {"weight": -1}, {"max_running": 0}, {"tiers": ["gold"]}, {"x": 1}])
def test_limits_that_can_not_be(changes: dict[str, object]) -> None:
    keys, _ = KeyFile().add("anna")
    with pytest.raises(KeysError):
        keys.limit("anna", changes)
