"""Processes that do jobs: one JSON object per line on stdin, one result per line on stdout."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[1]
Job = Callable[..., Coroutine[Any, Any, Any]]


def work(runner: asyncio.Runner, jobs: Mapping[str, Job]) -> None:
    """Run each job, named by `job`, with its other members as arguments, until stdin ends: the worker's side.

    Results go to the real stdout; everything else that the process prints goes to stderr.
    """
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    out.write(json.dumps({"ready": True}) + "\n")
    for line in sys.stdin:
        arguments = json.loads(line)
        result = runner.run(jobs[arguments.pop("job")](**arguments))
        out.write(json.dumps(result) + "\n")


class Worker:
    """The caller's side. Use it as a context manager; `module` is run as `python -m`."""

    def __init__(self, module: str, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self.pid = self._process.pid

    def __enter__(self) -> Worker:
        self._answer()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()

    def do(self, job: str, **arguments: Any) -> Any:
        """Run a job and wait for its result. Raises RuntimeError when the worker has died, with its last words."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"job": job, **arguments}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._log.seek(0)
            raise RuntimeError(f"{self._process.args!r} ended: {self._log.read()[-3000:].decode(errors='replace')}")
        return json.loads(line)
