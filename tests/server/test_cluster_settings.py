"""A node from its settings: its name, its address, and a secret that is there where it has to be."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from realtime.server import cluster_settings
from realtime.server.cluster_settings import configured_node, with_shared_key
from realtime.settings.fields import ClusterSettings, ServerSettings
from realtime.settings.sources import SettingsError, load
from realtime.settings.text import effective_toml

SECRET = "0123456789abcdef0123456789abcdef"
LOCAL = "redis://127.0.0.1/0"


def node(server: ServerSettings | None = None, **members: str) -> cluster_settings.Node:
    found = configured_node(
        ClusterSettings(cluster=members.pop("cluster", LOCAL), **members), server or ServerSettings(), 8000
    )
    assert found is not None
    return found


def test_without_a_cluster_there_is_no_node() -> None:
    assert configured_node(ClusterSettings(), ServerSettings(), 8000) is None


def test_the_name_is_the_hosts_if_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for host, name in {"GPU-01.example.org": "gpu01", "realtime-server-12": "timeserver12", "a": "a"}.items():
        monkeypatch.setattr(socket, "gethostname", lambda host=host: host)
        assert node().name == name
    monkeypatch.setattr(socket, "gethostname", lambda: "---")
    with pytest.raises(SettingsError, match="--node"):
        node()
    assert node(node="a1").name == "a1"


def test_where_it_is_reached() -> None:
    assert node(node="a").url == "ws://127.0.0.1:8000"
    assert node(node="a", advertise="wss://localhost:1").url == "wss://localhost:1"
    assert node(ServerSettings(host="::1"), node="a").url == "ws://[::1]:8000"


@pytest.mark.parametrize(
    ("server", "members"),
    [
        (ServerSettings(host="0.0.0.0"), {}),
        (ServerSettings(), {"advertise": "ws://10.0.0.1:8000"}),
        (ServerSettings(), {"cluster": "postgresql://u:hunter2@db.example/x"}),
    ],
)
def test_beyond_one_machine_a_secret_is_asked_for(server: ServerSettings, members: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="--cluster-secret-file") as caught:
        node(server, node="a", **members)
    assert "hunter2" not in str(caught.value)
    assert node(server, node="a", cluster_secret=SECRET, **members).shared


def test_api_keys_that_anybody_on_the_machine_gets_around_are_refused() -> None:
    keyed = ServerSettings(api_keys_file="keys.json")
    with pytest.raises(SettingsError, match="--cluster-secret-file"):
        node(keyed, node="a")
    assert node(keyed, node="a", cluster_secret=SECRET).shared
    assert not node(node="a").shared


def test_the_secret_is_the_same_from_a_file_and_is_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n")
    given = node(node="a", cluster_secret=SECRET)
    assert node(node="a", cluster_secret_file=str(path)).secret == given.secret
    assert SECRET not in repr(given)
    assert repr(given.secret)[2:-1] not in repr(given)
    path.write_text("short")
    with pytest.raises(SettingsError, match="openssl") as caught:
        node(node="a", cluster_secret_file=str(path))
    assert "short" not in str(caught.value).replace(str(path), "")
    with pytest.raises(SettingsError, match="can't be read"):
        node(node="a", cluster_secret_file=str(tmp_path / "none"))


def test_all_nodes_seal_with_one_key() -> None:
    one, two = (with_shared_key(ServerSettings(), node(node=name, cluster_secret=SECRET)) for name in "ab")
    other = with_shared_key(ServerSettings(), node(node="a", cluster_secret=SECRET[::-1]))
    assert one.sealing_keys == two.sealing_keys != other.sealing_keys
    assert with_shared_key(ServerSettings(), node(node="a")).sealing_keys == (), "anybody could know it"
    own = ServerSettings(sealing_keys=("k",))
    assert with_shared_key(own, node(node="a", cluster_secret=SECRET)) is own


def test_a_password_in_the_url_is_never_shown() -> None:
    table = effective_toml(load({"cluster": "redis://u:hunter2@h/0?password=hunter2"}, {}))
    assert '# cluster = "redis://***@h/0"' in table
    assert 'cluster = "redis://h/0"  #' in effective_toml(load({"cluster": "redis://h/0"}, {}))
    assert "hunter2" not in table
    with pytest.raises(SettingsError) as caught:
        load({"cluster": "http://u:hunter2@h"}, {})
    assert "hunter2" not in str(caught.value)
