"""The command line as a person meets it: a process, its output, its exit status."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from realtime.__main__ import NO_CLIENT, main
from realtime.settings.fields import Settings
from realtime.settings.sources import load, options
from realtime.settings.text import effective_toml
from tests.support.logs import logging_restored
from tests.support.patience import SECONDS


def realtime(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("REALTIME_")}
    root = str(Path(__file__).parents[2])
    return subprocess.run(
        [sys.executable, "-m", "realtime", *arguments],
        cwd=cwd,
        env=clean | {"PYTHONPATH": root, "COLUMNS": "100"} | environ,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_help_names_the_commands(tmp_path: Path) -> None:
    run = realtime("--help", cwd=tmp_path)
    assert run.returncode == 0
    for command in ("serve", "chat", "keys", "version"):
        assert command in run.stdout


def test_chat_without_the_client_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "realtime_client.chat", None)
    assert main(["chat", "--help"]) == 1
    assert capsys.readouterr().err == f"realtime: {NO_CLIENT.format(prefix=sys.prefix)}\n"


def test_serve_help_has_every_setting_but_the_hidden_ones(tmp_path: Path) -> None:
    text = realtime("serve", "--help", cwd=tmp_path).stdout
    words = set(text.replace("\n", " ").split())
    for option in options():
        assert (option.flag in words) is not (option.hidden or option.secret), option.flag
    assert "scripted" not in text
    assert "[8000]" in text
    assert "examples:" in text


@pytest.mark.parametrize("arguments", [[], ["sevre"], ["serve", "--prot", "1"], ["serve", "--por", "1"], ["keys"]])
def test_a_wrong_command_line(tmp_path: Path, arguments: list[str]) -> None:
    run = realtime(*arguments, cwd=tmp_path)
    assert run.returncode == 2
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("flag", "meant"),
    [("--prot", "--port"), ("--max-conections=3", "--max-connections"), ("--prnt-config", "--print-config")],
)
def test_a_flag_with_a_typing_error_is_told_the_right_one(tmp_path: Path, flag: str, meant: str) -> None:
    run = realtime("serve", flag, "3", cwd=tmp_path)
    assert f"did you mean {meant}?" in run.stderr.splitlines()[-1]


def test_a_busy_port_is_one_line_before_anything_is_loaded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        run = realtime("serve", "--engine", "scripted", "--port", str(port), cwd=tmp_path)
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert line.startswith(f"realtime: port {port} of 127.0.0.1 is in use by ")


def test_a_busy_port_and_an_unwritable_store_are_told_before_a_model_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("realtime.engine.catalog.cache.resolve", lambda *_: pytest.fail("a download began"))
    (tmp_path / "file").write_text("a file is no folder")
    (tmp_path / "foreign.db").write_text("no store, but somebody's text")
    serve = ["serve", "--model", "smollm2"]
    with socket.create_server(("127.0.0.1", 0)) as other, logging_restored():
        port = other.getsockname()[1]
        assert main([*serve, "--port", str(port)]) == 1
    assert f"port {port} of 127.0.0.1 is in use" in capsys.readouterr().err
    for store, said in (("file/store.db", "can't be locked"), ("foreign.db", "foreign.db")):
        with logging_restored():
            assert main([*serve, "--port", "0", "--store", f"sqlite:{tmp_path / store}"]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line


def test_without_vllm_serve_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["serve", "--port", "0"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "vLLM is not installed" in line
    assert "`cpu`" in line or "`gpu`" in line


@pytest.mark.parametrize(("name", "called"), [("realtime", "realtime"), ("__main__.py", "python -m realtime")])
def test_the_program_calls_itself_as_it_was_called(
    name: str, called: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [f"/somewhere/{name}"])
    for arguments in (["--help"], ["serve", "--help"], ["doctor", "--help"], ["chat", "--help"]):
        with pytest.raises(SystemExit):
            main(arguments)
        usage = capsys.readouterr().out.partition("\n\n")[0]
        assert usage.startswith(f"usage: {' '.join([called, *arguments[:-1]])} ")
        assert usage.count("\n") < 5, "a hundred settings are not for the usage"


def test_a_bad_value_is_one_line(tmp_path: Path) -> None:
    run = realtime("serve", "--port", "x", cwd=tmp_path)
    assert (run.returncode, run.stderr) == (
        2,
        "realtime: flag --port: 'x' can't be used; it must be a whole number from 0 up to 65535\n",
    )


def test_print_config_shows_values_and_sources(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[responses]\nlinger_seconds = 7")
    run = realtime(
        "serve", "--print-config", "--config", "c.toml", "--port", "9", "--no-enforce-eager",
        cwd=tmp_path, REALTIME_HOST="::1",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    for line in (
        "port = 9  # flag --port",
        'host = "::1"  # variable REALTIME_HOST',
        "linger_seconds = 7  # file c.toml, responses.linger_seconds",
        "enforce_eager = false  # flag --enforce-eager",
        'log_level = "info"  # default',
        'max_message_bytes = "16MiB"  # default',
        "# api_keys_file =  # default",
    ):
        assert line in lines


def test_what_print_config_prints_can_be_saved_and_says_the_same(tmp_path: Path) -> None:
    given = {
        "REALTIME_MCP_SERVERS": json.dumps({"we ather": {"url": 'https://mcp.example.com/"\u00fc\\', "prefix": True}}),
        "REALTIME_TENANTS": json.dumps({"*": {"weight": 1.5}, "anna": {"tiers": ["flex"]}}),
        "REALTIME_EXTRA": json.dumps({"block_size": 32, "ratio": 1e-7, "deep": {"a": [1, "b", {}]}}),
        "REALTIME_ALLOWED_ORIGINS": "https://a.example,https://b.example",
        "REALTIME_GPU_MEMORY_UTILIZATION": "0.37",
        "REALTIME_MAX_STORE_BYTES": "3GiB",
        "REALTIME_SERVED_NAME": "x#y",
    }
    first = load({}, given)
    file = tmp_path / "saved.toml"
    file.write_text(effective_toml(first))
    assert load({}, {}, str(file)).settings == first.settings
    file.write_text(effective_toml(load({}, {})))
    assert load({}, {}, str(file)).settings == Settings()


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        ("./nowhere", "there is no folder ./nowhere"),
        ("/nowhere/at/all", "there is no folder"),
        ("a/b/c", "there is no folder"),
        ("a-file", "is a file"),
        ("empty", "config.json"),
    ],
)
def test_a_model_that_can_not_be(tmp_path: Path, model: str, complaint: str) -> None:
    (tmp_path / "a-file").touch()
    (tmp_path / "empty").mkdir()
    run = realtime("serve", "--model", model, cwd=tmp_path)
    assert run.returncode == 2
    assert complaint in run.stderr
    assert "Traceback" not in run.stderr


def test_keys_from_add_to_remove(tmp_path: Path) -> None:
    added = realtime("keys", "add", "anna", cwd=tmp_path)
    key = added.stdout.strip()
    assert key.startswith("rt_"), added.stderr
    assert key not in added.stderr
    assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600
    listed = realtime("keys", "list", cwd=tmp_path)
    assert listed.stdout.split()[0] == "anna"
    assert key not in listed.stdout
    again = realtime("keys", "add", "anna", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (2, "")
    assert realtime("keys", "remove", "anna", cwd=tmp_path).returncode == 0
    assert realtime("keys", "list", cwd=tmp_path).stdout == ""
    assert "no key named" in realtime("keys", "remove", "anna", cwd=tmp_path).stderr


def test_keys_file_is_the_servers(tmp_path: Path) -> None:
    assert realtime("keys", "add", "a", cwd=tmp_path, REALTIME_API_KEYS_FILE="mine.json").returncode == 0
    assert realtime("keys", "add", "b", "--api-keys-file", "mine.json", cwd=tmp_path).returncode == 0
    assert len(realtime("keys", "list", "--api-keys-file", "mine.json", cwd=tmp_path).stdout.splitlines()) == 2
    assert not (tmp_path / "keys.json").exists()


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["serve", "PORT=9000"], "-m realtime serve --port 9000"),
        (["chat", "PORT=9000"], "-m realtime chat --url ws://127.0.0.1:9000/v1/responses"),
        (["chat", "URL=wss://gpu-box/v1/responses", "PORT=9000"], "-m realtime chat --url wss://gpu-box/v1/responses"),
        (["chat"], "-m realtime chat"),
    ],
)
def test_make_passes_on_where_the_server_is(arguments: list[str], command: str) -> None:
    root = Path(__file__).parents[2]
    clean = {"PATH": os.environ["PATH"]}  # what an outer make was given is none of ours
    run = subprocess.run(["make", "-n", *arguments], cwd=root, env=clean, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1].rstrip().endswith(command)


def test_version(tmp_path: Path) -> None:
    assert "python " in realtime("version", cwd=tmp_path).stdout
