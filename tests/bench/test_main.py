"""The bench writes what it has found, also when it is interrupted or a part of it fails."""

from __future__ import annotations

import importlib
import inspect
import json
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench import __main__ as bench


def _target(then: BaseException | None = None) -> Any:
    def run(quick: bool, figures: dict[str, Any]) -> None:
        figures["found"] = 1
        if then is not None:
            raise then

    return SimpleNamespace(run=run)


@pytest.mark.parametrize(
    ("first", "broken", "ran"),
    [
        (None, {}, ["one", "two"]),
        (ValueError("bad"), {"one": "ValueError('bad')"}, ["one", "two"]),
        (KeyboardInterrupt(), {"one": "interrupted"}, ["one"]),
    ],
)
def test_it_writes_what_it_has(
    first: BaseException | None,
    broken: dict[str, str],
    ran: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, then in (("one", first), ("two", None)):
        monkeypatch.setitem(sys.modules, f"bench.{name}", _target(then))
    monkeypatch.setattr(bench, "TARGETS", {"one": "the first", "two": "the second"})
    monkeypatch.setattr(sys, "argv", ["bench", "--quick", "--json", str(tmp_path / "found.json")])
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    assert bench.main() == bool(broken)
    out = capsys.readouterr()
    line = json.loads(out.out.splitlines()[-1])
    assert line == json.loads((tmp_path / "found.json").read_text())
    assert line["broken"] == broken
    assert line["figures"] == {name: {"found": 1} for name in ran}
    assert all(f"-- {name}" in out.out for name in ran)


@pytest.mark.parametrize("name", bench.TARGETS)
def test_every_target_is_run_in_the_same_way(name: str) -> None:
    target = importlib.import_module(f"bench.{name}")
    assert list(inspect.signature(target.run).parameters)[:2] == ["quick", "figures"]
