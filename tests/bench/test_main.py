"""The bench writes what it has found, also when it is interrupted or a part of it fails. Its exit status says so, and
that a goal was missed which must hold.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench import __main__ as bench
from bench import goals, pace, plan
from bench.goals import Goal
from bench.worker import ROOT

SIZES = {name: plan.Size(text=f"{name} form") for name in plan.NAMES}
WHOLE = Goal("whole", ("one", "missing"), most=0, must=True)


def _target(then: BaseException | None = None, missing: int = 0) -> Any:
    def run(share: plan.Share[plan.Size], figures: dict[str, Any]) -> None:
        figures |= {"found": share.size.text, "missing": missing}
        share.left_out.append("this")
        if then is not None:
            raise then

    return SimpleNamespace(run=run, SIZES=SIZES)


@pytest.mark.parametrize(
    ("first", "missing", "broken", "ran"),
    [
        (None, 0, {}, ["one", "two"]),
        (None, 1, {}, ["one", "two"]),
        (ValueError("bad"), 0, {"one": "ValueError('bad')"}, ["one", "two"]),
        (KeyboardInterrupt(), 0, {"one": "interrupted"}, ["one"]),
    ],
)
def test_it_writes_what_it_has(
    first: BaseException | None,
    missing: int,
    broken: dict[str, str],
    ran: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "bench.one", _target(first, missing))
    monkeypatch.setitem(sys.modules, "bench.two", _target())
    monkeypatch.setattr(bench, "TARGETS", {"one": "the first", "two": "the second"})
    monkeypatch.setattr(goals, "goals", lambda: [WHOLE])
    monkeypatch.setattr(pace, "_SECONDS", 0.01)
    monkeypatch.setattr(sys, "argv", ["bench", "--quick", "--json", str(tmp_path / "found.json")])
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    assert bench.main() == bool(broken or missing)
    out = capsys.readouterr()
    line = json.loads(out.out.splitlines()[-1])
    assert line == json.loads((tmp_path / "found.json").read_text())
    assert line["broken"] == broken
    assert line["figures"] == {
        name: {"found": "quick form", "missing": missing if name == "one" else 0} for name in ran
    }
    assert line["plan"]["shortened"] == ["one", "two"]
    assert line["plan"]["targets"]["one"]["left_out"] == ["this"]
    assert [one["verdict"] for one in line["goals"]] == ["missed" if missing else "met"]
    assert all(f"-- {name}" in out.out for name in ran)
    assert "left out: one: this" in out.err


def test_an_interrupted_bench_prints_goals_and_json() -> None:
    command = [sys.executable, "-m", "bench", "--size", "tiny", "--only", "scenarios"]
    flags: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": ROOT}
    with subprocess.Popen(command, process_group=0, env=dict(os.environ), **flags) as process:
        assert process.stdout is not None
        while "Burst" not in (line := process.stdout.readline()):
            assert line, "it ended by itself"
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: all processes have it
        out, _ = process.communicate()
    line = json.loads(out.splitlines()[-1])
    assert process.returncode == 1
    assert line["broken"] == {"scenarios": "interrupted"}
    assert line["figures"]["scenarios"]["burst"]["missing tokens"] == 0
    assert "not measured: scenarios: interrupted" in out
