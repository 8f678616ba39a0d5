"""The cases of clients/conformance against the clients here, and the runner against clients with a bug."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clients.conformance.case import CASES, LeftOut, Player
from clients.conformance.driver import Driver
from tests.support.patience import SECONDS

ROOT = Path(__file__).parents[2]
PYTHON = [sys.executable, str(ROOT / "clients/python/conformance.py")]
EVERY_CASE = pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])


@pytest.fixture(scope="module")
def python_driver() -> Iterator[Driver]:
    with Driver(PYTHON) as driver:
        yield driver


@pytest.fixture(scope="module")
def javascript_driver() -> Iterator[Driver]:
    node = shutil.which("node")
    if os.environ.get("TESTS_NO_NODE") == "1":
        pytest.skip("TESTS_NO_NODE=1: what needs Node is not tested")
    assert node is not None, "the client in JavaScript needs node; TESTS_NO_NODE=1 leaves its tests out"
    with Driver([node, str(ROOT / "clients/js/conformance.mjs")]) as driver:
        yield driver


@EVERY_CASE
def test_python(case: dict[str, Any], python_driver: Driver) -> None:
    Player(case, python_driver.ask).play()


@EVERY_CASE
def test_javascript(case: dict[str, Any], javascript_driver: Driver) -> None:
    try:
        Player(case, javascript_driver.ask).play()
    except LeftOut as error:
        pytest.skip(str(error))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The runner as its users start it."""
    command = [sys.executable, "-m", "clients.conformance", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)


def test_the_command_passes_and_says_so() -> None:
    done = run("--case", "cancel", "--", *PYTHON)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "cases passed" in done.stdout


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("", "the driver ended"),
        ("input(); print('hello', flush=True)", "not a JSON object"),
        ("input(); import time; time.sleep(60)", "no answer in 0.5 s"),
    ],
)
def test_a_driver_that_breaks_the_protocol_of_the_lines(program: str, expected: str) -> None:
    done = run("--timeout", "0.5", "--", sys.executable, "-c", program)
    assert done.returncode == 2
    assert expected in done.stderr


def test_a_report_names_the_case_the_step_and_what_came() -> None:
    mute = "import sys\nfor line in sys.stdin: print('{}', flush=True)"
    done = run("--case", "an uncut answer", "--", sys.executable, "-c", mute)
    assert done.returncode == 1
    assert "FAILED: an uncut answer is delivered as it comes\nstep 2" in done.stdout
    assert "expected 1 frames, sent: nothing" in done.stdout
    assert "0 of 1 cases passed" in done.stdout


def test_a_command_that_the_driver_does_not_know() -> None:
    lacks = "import sys\nfor line in sys.stdin: print('{\"unknown\": true}' if 'create' in line else '{}', flush=True)"
    driver = ["--case", "an uncut answer", "--", sys.executable, "-c", lacks]
    assert run(*driver).returncode == 1
    allowed = run("--allow-missing", *driver)
    assert allowed.returncode == 0
    assert "1 left out" in allowed.stdout
