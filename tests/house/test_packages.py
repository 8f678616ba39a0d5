"""The packages: built, installed into empty environments, and used there as a user would."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import httpx2
import pytest

from scripts import sbom
from scripts.moved import moved
from scripts.versions import REPEATED, version, with_version
from tests.support.node import JS, find_node
from tests.support.patience import SECONDS
from tests.support.process import serve

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "requirements"
UV = Path(sys.executable).with_name("uv")
CLIENT = """
import asyncio, sys, realtime_client
async def main():
    async with realtime_client.connect(sys.argv[1]) as client:
        for question in ("one", "two"):
            response = await client.create(input=question)
            said = "".join([text async for text in response.text()])
            print(said, (await response.result())["status"])
asyncio.run(main())
"""
CLIENT_JS = """
import { connect } from "realtime-llm-client/node";
const rt = await connect(process.argv[2]);
for (const input of ["one", "two"]) {
  const response = await rt.create({ input });
  let said = "";
  for await (const text of response.text()) said += text;
  console.log(said, (await response.result()).status);
}
rt.close();
"""
SCRIPT = 'tick_seconds = 0.001\n[[responses]]\nsay = ["a ", "b ", "c"]\n'


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """Run it away from the environment of the tests, and return what it prints."""
    environ = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both Python packages, as sdists and wheels."""
    folder = tmp_path_factory.mktemp("packages")
    for project in (ROOT, ROOT / "clients" / "python"):
        run(sys.executable, "-m", "hatchling", "build", "-d", folder, "-t", "sdist", "-t", "wheel", cwd=project)
    return folder


def wheel(folder: Path, name: str) -> Path:
    """Return the one wheel of this package."""
    [found] = folder.glob(f"{name}-*.whl")
    return found


def environment(folder: Path, package: Path | str) -> Path:
    """Make an environment with this alone, and what it asks for, as the lock pins it; return its programs."""
    run(UV, "venv", "--quiet", "--python", sys.executable, folder)
    pins = ("-c", REQUIREMENTS / "cpu.txt", "--overrides", REQUIREMENTS / "overrides.txt")
    found = [f"--find-links={place}"] if (place := os.environ.get("PIP_FIND_LINKS")) else []  # as scripts/setup.sh does
    run(UV, "pip", "install", "--quiet", "--python", folder / "bin" / "python", *pins, *found, package)
    return folder / "bin"


def test_one_place_says_the_version() -> None:
    for name in REPEATED:
        text = (ROOT / name).read_text("utf-8")
        assert text == with_version(name, text, version()), f"{name}: `make docs` writes it"


def test_the_bill_of_materials_has_what_the_lock_pins(built: Path) -> None:
    with zipfile.ZipFile(wheel(built, "realtime_llm")) as file:
        [name] = [name for name in file.namelist() if ".dist-info/sboms/" in name]
        bill = json.loads(file.read(name))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    pinned = sbom.pins(sbom.LOCK.read_text("utf-8"))
    listed = {one["name"]: one for one in bill["components"]}
    moved = {name for name, one in listed.items() if pinned.get(name) != one["version"]}
    assert not moved, "`make docs` writes it anew"
    asked = {name for name, one in listed.items() if one["scope"] == "required"}
    assert sbom.named(project["dependencies"]) <= asked
    assert sbom.named(project["optional-dependencies"]["cpu"]) <= listed.keys() - asked
    assert not {"pytest", "ruff"} & listed.keys()
    references = {one["bom-ref"] for one in [bill["metadata"]["component"], *bill["components"]]}
    assert {one["ref"] for one in bill["dependencies"]} == references
    assert {ref for one in bill["dependencies"] for ref in one["dependsOn"]} <= references


def test_what_moved_is_told() -> None:
    lock, newest = sbom.pins("a==1\nb==1 ; x\ntorch==2.0\n"), sbom.pins("a==1\nB==2\nc==3\ntorch==2.0+cpu\n")
    assert list(moved(lock, newest)) == ["  b 1 -> 2", "  c 3, which the lock lacks"]


@pytest.mark.parametrize("name", ["realtime_llm", "realtime_llm_client"])
def test_the_sdist_makes_the_same_wheel(built: Path, name: str, tmp_path: Path) -> None:
    [archive] = built.glob(f"{name}-{version()}.tar.gz")
    shutil.unpack_archive(archive, tmp_path, filter="data")
    unpacked = tmp_path / archive.name.removesuffix(".tar.gz")
    run(sys.executable, "-m", "hatchling", "build", "-d", tmp_path, "-t", "wheel", cwd=unpacked)
    first, second = (hashlib.sha256(wheel(place, name).read_bytes()).hexdigest() for place in (built, tmp_path))
    assert first == second


async def test_installed_alone_it_serves_and_the_clients_chat(built: Path, tmp_path: Path) -> None:
    node = find_node()
    server = environment(tmp_path / "server", wheel(built, "realtime_llm"))
    client = environment(tmp_path / "client", wheel(built, "realtime_llm_client"))
    assert "serve" in run(server / "realtime", "--help", cwd=tmp_path)
    assert run(server / "realtime", "version", cwd=tmp_path).startswith(f"realtime-llm {version()}\n")
    inside = "from realtime.server.process import *; import realtime; print(realtime.__path__[0])"
    package = Path(run(server / "python", "-c", inside, cwd=tmp_path).strip())
    assert package.is_relative_to(tmp_path)
    assert (package / "models" / "starter" / "model.safetensors").is_file()
    (tmp_path / "script.toml").write_text(SCRIPT)
    arguments = ("--engine", "scripted", "--script", str(tmp_path / "script.toml"))
    async with serve(*arguments, program=(str(server / "realtime"),), PYTHONPATH="") as process:
        address = await process.ready()
        page = httpx2.get(f"http://{address}/", timeout=SECONDS).text
        [folder] = re.findall(r'src="([^"]+)/main\.mjs"', page)
        assert (
            "RealtimeClient"
            in httpx2.get(f"http://{address}/{folder}/client/realtime-client.mjs", timeout=SECONDS).text
        )
        url = f"ws://{address}/v1/responses"
        assert run(client / "python", "-c", CLIENT, url, cwd=tmp_path) == "a b c completed\n" * 2
        assert run(node, _javascript(tmp_path), url, cwd=tmp_path) == "a b c completed\n" * 2


def _javascript(folder: Path) -> Path:
    """Install the tarball that npm makes of the client, and return a program that uses it."""
    [packed] = json.loads(run("npm", "pack", "--json", "--pack-destination", folder, cwd=JS))
    (folder / "package.json").write_text('{"type": "module", "private": true}')
    run("npm", "install", "--no-audit", "--no-fund", "--offline", "--legacy-peer-deps", packed["filename"], cwd=folder)
    (folder / "node_modules" / "ws").symlink_to(JS / "node_modules" / "ws")
    program = folder / "chat.mjs"
    program.write_text(CLIENT_JS)
    return program


@pytest.mark.long
def test_twine_finds_nothing(built: Path) -> None:
    run(UV, "tool", "run", "twine==7.0.0", "check", "--strict", *sorted(built.iterdir()))


@pytest.mark.long
async def test_installed_alone_with_its_extra_it_runs_vllm(built: Path, tmp_path: Path) -> None:
    server = environment(tmp_path / "server", f"{wheel(built, 'realtime_llm')}[cpu]")
    client = environment(tmp_path / "client", wheel(built, "realtime_llm_client"))
    async with serve(program=(str(server / "realtime"),), PYTHONPATH="") as process:
        url = f"ws://{await process.ready()}/v1/responses"
        answers = run(client / "python", "-c", CLIENT, url, cwd=tmp_path).splitlines()
        assert [answer.rsplit(" ", 1)[-1] for answer in answers] == ["completed"] * 2
