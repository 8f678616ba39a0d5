"""The settings: what fills them, in which order, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from realtime.settings.fields import ConnectionSettings, McpServer, Settings
from realtime.settings.sources import CLIENT_VARIABLES, SettingsError, load, options


def toml(tmp_path: Path, text: str) -> str:
    path = tmp_path / "realtime.toml"
    path.write_text(text)
    return str(path)


def refusal(
    flags: dict[str, str] | None = None, environ: dict[str, str] | None = None, config: str | None = None
) -> str:
    with pytest.raises(SettingsError) as caught:
        load(flags or {}, environ or {}, config)
    return str(caught.value)


def test_nothing_given_is_the_default() -> None:
    effective = load({}, {"HOME": "/root"})
    assert effective.settings == Settings()
    assert set(effective.sources.values()) == {"default"}
    assert set(effective.sources) == {option.name for option in options()}


def test_defaults_that_the_protocol_fixes() -> None:
    assert Settings().server.host == "127.0.0.1"
    assert Settings().connections.max_message_bytes == 16 * 1024 * 1024
    assert Settings().connections.max_in_flight_per_connection == 16
    assert Settings().connections.max_streams_per_connection == 32
    assert Settings().connections.connection_lifetime_seconds == 3600
    assert not Settings().connections.permessage_deflate


@pytest.mark.parametrize(
    ("flags", "environ", "with_file", "port", "source"),
    [
        ({"port": "1"}, {"REALTIME_PORT": "2"}, True, 1, "flag --port"),
        ({}, {"REALTIME_PORT": "2"}, True, 2, "variable REALTIME_PORT"),
        ({}, {}, True, 3, "server.port"),
        ({}, {}, False, 8000, "default"),
    ],
)
def test_order_of_strength(
    tmp_path: Path, flags: dict[str, str], environ: dict[str, str], with_file: bool, port: int, source: str
) -> None:
    config = toml(tmp_path, "[server]\nport = 3") if with_file else None
    effective = load(flags, environ, config)
    assert effective.settings.server.port == port
    assert effective.sources["port"].endswith(source)


def test_a_stronger_source_leaves_its_neighbours_alone(tmp_path: Path) -> None:
    config = toml(tmp_path, '[server]\nhost = "::1"\nport = 3')
    server = load({"port": "1"}, {"REALTIME_LOG_LEVEL": "debug"}, config).settings.server
    assert (server.host, server.port, server.log_level) == ("::1", 1, "debug")


def test_config_file_by_variable_and_flag_over_it(tmp_path: Path) -> None:
    config = toml(tmp_path, "[server]\nport = 3")
    assert load({}, {"REALTIME_CONFIG": config}).settings.server.port == 3
    assert load({}, {"REALTIME_CONFIG": "/nowhere.toml"}, config).settings.server.port == 3


def test_values_of_every_kind_from_text() -> None:
    settings = load(
        {
            "permessage_deflate": "true",
            "drain_seconds": "0.5",
            "allowed_origins": "https://a.example, https://b.example",
            "max_message_bytes": "1MiB",
            "max_model_len": "none",
            "extra": '{"block_size": 16}',
            "served_name": "mine",
        },
        {"REALTIME_ENFORCE_EAGER": "0", "REALTIME_API_KEYS_FILE": ""},
    ).settings
    assert settings.connections.permessage_deflate is True
    assert settings.connections.max_message_bytes == 1 << 20
    assert settings.server.drain_seconds == 0.5
    assert settings.server.allowed_origins == ("https://a.example", "https://b.example")
    assert settings.server.api_keys_file is None
    assert settings.vllm.max_model_len is None
    assert settings.vllm.extra == {"block_size": 16}
    assert settings.vllm.served_name == "mine"
    assert settings.vllm.enforce_eager is False


def test_values_of_every_kind_from_toml(tmp_path: Path) -> None:
    text = """
        engine = "scripted"
        [server]
        allowed_origins = ["https://a.example"]
        drain_seconds = 5
        [connections]
        max_message_bytes = "1MiB"
        [responses]
        max_store_bytes = 2147483648
        [vllm]
        model = "owner/name"
        extra = {block_size = 16}
    """
    settings = load({}, {}, toml(tmp_path, text)).settings
    assert settings.engine == "scripted"
    assert settings.server.allowed_origins == ("https://a.example",)
    assert settings.server.drain_seconds == 5
    assert settings.connections.max_message_bytes == 1 << 20
    assert settings.responses.max_store_bytes == 1 << 31
    assert settings.vllm.model == "owner/name"
    assert settings.vllm.extra == {"block_size": 16}


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("port", "abc", "a whole number from 0 up to 65535"),
        ("port", "65536", "a whole number from 0 up to 65535"),
        ("port", "8000.5", "a whole number"),
        ("log_level", "loud", "one of debug, error, info, warning"),
        ("permessage_deflate", "maybe", "true or false"),
        ("drain_seconds", "nan", "a number from 0"),
        ("drain_seconds", "inf", "a number from 0"),
        ("drain_seconds", "-1", "a number from 0"),
        ("gpu_memory_utilization", "0", "above 0 up to 1"),
        ("max_message_bytes", "5MB", "64KiB"),
        ("host", "", "not empty"),
        ("extra", "[1]", "JSON object"),
        ("extra", "{", "JSON object"),
    ],
)
def test_a_bad_value_says_where_what_and_what_is_allowed(name: str, value: str, allowed: str) -> None:
    flag, env = "--" + name.replace("_", "-"), "REALTIME_" + name.upper()
    for message in (refusal({name: value}), refusal(environ={env: value})):
        assert flag in message or env in message
        assert repr(value) in message
        assert allowed in message


@pytest.mark.parametrize("line", ['port = "8000"', "port = true", "port = 8000.5", "allowed_origins = 5", "host = 1"])
def test_toml_types_are_not_guessed(tmp_path: Path, line: str) -> None:
    message = refusal(config=toml(tmp_path, f"[server]\n{line}"))
    assert "realtime.toml" in message
    assert f"server.{line.split()[0]}" in message


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("[server]\nprot = 1", "server.port"),
        ("[server]\nlinger_seconds = 1", "responses.linger_seconds"),
        ("port = 1", "server.port"),
        ("server = 1", None),
        ("[serve]\nport = 1", None),
    ],
)
def test_unknown_names_in_the_file(tmp_path: Path, text: str, meant: str | None) -> None:
    message = refusal(config=toml(tmp_path, text))
    assert "is not a setting" in message
    assert meant is None or f"did you mean {meant}?" in message


def test_a_file_that_is_not_toml_or_not_there(tmp_path: Path) -> None:
    assert "line 1" in refusal(config=toml(tmp_path, "port 8000"))
    assert "/nowhere.toml" in refusal(config="/nowhere.toml")


def test_unknown_variables() -> None:
    assert "did you mean REALTIME_MAX_CONNECTIONS?" in refusal(environ={"REALTIME_MAX_CONECTIONS": "1"})
    assert "did you mean" not in refusal(environ={"REALTIME_XYZZY": "1"})
    assert load({}, dict.fromkeys(CLIENT_VARIABLES, "x")).settings == Settings()


@pytest.mark.parametrize(
    "flags", [{"linger_seconds": "9", "max_linger_seconds": "8"}, {"max_log_bytes": "2GiB", "max_store_bytes": "1GiB"}]
)
def test_values_that_contradict_each_other(flags: dict[str, str]) -> None:
    message = refusal(flags)
    assert all(name in message for name in flags)


def test_every_setting_has_a_doc_and_a_valid_default() -> None:
    for option in options():
        assert option.doc, option.name
        assert msgspec.convert(option.default, option.annotation) == option.default, option.name


def test_settings_are_frozen() -> None:
    with pytest.raises(AttributeError):
        Settings().server.port = 1  # type: ignore[misc]
    with pytest.raises(AttributeError):
        ConnectionSettings().max_connections = 1  # type: ignore[misc]


def test_no_asyncio_socket_or_vllm_behind_the_settings() -> None:
    code = (
        "import sys, realtime.settings.sources, realtime.settings.text, realtime.service.principal;"
        "print([name for name in ('asyncio', 'socket', 'torch', 'vllm') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_mcp_servers_come_from_a_table_or_from_json(tmp_path: Path) -> None:
    path = tmp_path / "realtime.toml"
    path.write_text('[mcp.mcp_servers.weather]\nurl = "http://tools/mcp"\nprefix = true\nheaders = { "X" = "y" }\n')
    expected = {"weather": McpServer(url="http://tools/mcp", prefix=True, headers={"X": "y"})}
    assert load({}, {}, str(path)).settings.mcp.mcp_servers == expected
    text = '{"weather": {"url": "http://tools/mcp", "prefix": true, "headers": {"X": "y"}}}'
    assert load({"mcp_servers": text}, {}).settings.mcp.mcp_servers == expected


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ({"url": "ftp://tools/mcp"}, "http"),
        ({"url": "http://me:secret@tools/mcp"}, "without credentials"),
        ({"url": "http://tools", "token_env": "A", "token_file": "b"}, "not both"),
        ({"url": "http://tools", "tokenenv": "A"}, "tokenenv"),
        ({}, "url"),
    ],
)
def test_an_mcp_server_that_makes_no_sense_is_refused(server: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load({"mcp_servers": json.dumps({"weather": server})}, {})


def test_what_a_table_has_is_not_shown_when_it_is_refused(tmp_path: Path) -> None:
    servers = {"tools": {"url": "http://me:hunter2@tools/mcp", "headers": {"x-key": "hunter3"}}}
    config = toml(tmp_path, '[mcp.mcp_servers.tools]\nurl = "http://me:hunter2@tools/mcp"')
    for text in (refusal(environ={"REALTIME_MCP_SERVERS": json.dumps(servers)}), refusal(config=config)):
        assert "must be http(s)://host/path, without credentials" in text
        assert "hunter" not in text
