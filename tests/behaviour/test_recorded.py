"""The wire is what it was: sessions over all doors against recordings of them.

`RECORD=1 pytest tests/behaviour` records anew; what then has changed is for the review of the recordings.
"""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.support.recording import Recording, difference, write

HERE = Path(__file__).parent
FOLDER = HERE / "recorded"
RECORD = os.environ.get("RECORD", "") not in ("", "0")
Session = Callable[[Recording], Awaitable[None]]


def _sessions() -> dict[str, Session]:
    """The public coroutines of the modules beside this one, by name."""
    found: dict[str, Session] = {}
    for path in sorted(HERE.glob("sessions_*.py")):
        module = importlib.import_module(f"{__package__}.{path.stem}")
        for name, member in inspect.getmembers(module, inspect.iscoroutinefunction):
            if member.__module__ == module.__name__ and not name.startswith("_"):
                assert name not in found, f"two sessions are named {name}"
                found[name] = member
    return found


SESSIONS = _sessions()


@pytest.mark.parametrize("name", SESSIONS)
async def test_the_wire_is_as_recorded(name: str) -> None:
    recording = Recording()
    await SESSIONS[name](recording)
    path = FOLDER / f"{name}.jsonl"
    if RECORD:
        write(path, recording.lines)
    assert path.exists(), "no recording: RECORD=1 makes one"
    found = difference(path, recording.lines)
    if found is not None:
        pytest.fail(found, pytrace=False)


def test_every_recording_has_its_session() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == SESSIONS.keys()
