"""The container files and the compose file: linters find nothing wrong, and every setting that they give exists."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from realtime.settings.sources import CLIENT_VARIABLES, CONFIG_VARIABLE, options

DEPLOY = Path(__file__).parents[2] / "deploy"
CONTAINERS = sorted((DEPLOY / "container").iterdir())
VARIABLE = re.compile(r"\bREALTIME_[A-Z_]+")


def command(name: str) -> str:
    """Return where a command of the dev extra is."""
    found = shutil.which(name, path=sysconfig.get_path("scripts"))
    assert found is not None, f"{name} is in the dev extra: `make install`"
    return found


def unknown_variables(text: str) -> set[str]:
    """Return the variables in a text that are no settings."""
    return set(VARIABLE.findall(text)) - {option.env for option in options()} - {CONFIG_VARIABLE} - CLIENT_VARIABLES


@pytest.fixture
def composed(tmp_path: Path) -> dict[str, Any]:
    """The compose file as podman-compose reads it."""
    for file in (DEPLOY / "compose").iterdir():
        shutil.copy(file, tmp_path / file.name)
    shutil.copy(tmp_path / "example.env", tmp_path / ".env")
    podman = tmp_path / "podman"  # it is only asked for its version
    podman.write_text("#!/bin/sh\necho podman version 5.0.0\n")
    podman.chmod(0o755)
    environ = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [sys.executable, command("podman-compose"), "config"], cwd=tmp_path, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = importlib.import_module("yaml").safe_load(done.stdout)
    return found


@pytest.mark.parametrize("file", CONTAINERS, ids=lambda file: file.name)
def test_a_linter_finds_nothing_wrong(file: Path) -> None:
    done = subprocess.run([command("hadolint"), "--format", "json", str(file)], capture_output=True, text=True)
    assert json.loads(done.stdout) == []


def test_the_two_differ_in_what_they_are_built_on_alone() -> None:
    cpu, gpu = (file.read_text().splitlines()[2:] for file in CONTAINERS)
    assert [pair for pair in zip(cpu, gpu, strict=True) if pair[0] != pair[1]] == [
        ("ARG VLLM=vllm/vllm-openai-cpu:v0.32.0", "ARG VLLM=vllm/vllm-openai:v0.32.0")
    ]


def test_what_the_images_are_made_from_is_there_and_let_through() -> None:
    ignored = (DEPLOY.parent / ".containerignore").read_text().splitlines()
    for line in CONTAINERS[0].read_text().splitlines():
        if line.startswith("COPY "):
            for name in line.split()[1:-1]:
                assert (DEPLOY.parent / name).exists(), name
                assert f"!{name}" in ignored, name


@pytest.mark.parametrize("file", [*CONTAINERS, *(DEPLOY / "compose").glob("*.*")], ids=lambda file: file.name)
def test_every_setting_exists(file: Path) -> None:
    assert unknown_variables(file.read_text()) == set()


def test_two_nodes_behind_caddy(composed: dict[str, Any]) -> None:
    services, environ = composed["services"], {}
    for node in ("one", "two"):
        environ[node] = services[node]["environment"]
        assert environ[node].pop("REALTIME_NODE") == node
        assert environ[node].pop("REALTIME_ADVERTISE") == f"ws://{node}:8000"
        assert services[node]["stop_grace_period"] == "45s", "longer than drain_seconds"
    assert environ["one"] == environ["two"]
    named = {volume.split(":")[0] for service in services.values() for volume in service.get("volumes", ())}
    assert {name for name in named if not name.startswith(".")} == set(composed["volumes"])
    for to in ("one:8000", "two:8000"):
        assert to in (DEPLOY / "compose" / "Caddyfile").read_text()
