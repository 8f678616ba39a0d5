"""The progress of a start: a line for each phase, or a line that changes on a terminal."""

from __future__ import annotations

import io
import logging
import sys

import pytest

from realtime.observability.progress import Progress, StderrHandler


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_each_phase_is_a_line_when_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    progress = Progress()
    progress.begin("importing vLLM")
    assert caplog.messages == []
    progress.begin("loading the weights")
    progress.begin("loading the weights")
    progress.end()
    progress.end()
    assert [message.partition(" seconds=")[0] for message in caplog.messages] == [
        "importing vLLM",
        "loading the weights",
    ]


def test_a_terminal_shows_the_phase_and_what_is_logged_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    handler = StderrHandler()
    progress = Progress(shows=True)
    progress.begin("loading the weights")
    handler.emit(logging.LogRecord("x", logging.WARNING, "x.py", 1, "look here", None, None))
    progress.end()
    assert sys.stderr is terminal
    assert "loading the weights ..." in terminal.getvalue()
    assert "look here" in terminal.getvalue()
