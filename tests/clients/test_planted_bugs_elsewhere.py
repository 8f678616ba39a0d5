"""The cases catch what is wrong in the clients in JavaScript and Go: each bug, put into a copy, makes one fail."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from clients.conformance.case import CASES, Player
from clients.conformance.driver import Driver
from clients.conformance.frames import Mismatch
from tests.support.go import GO_CLIENT, build
from tests.support.node import JS, find_node

from .mutants import GO, JAVASCRIPT, Mutant

RECORDING = JS.parent / "conformance" / "recording.json"


def check_caught(bug: Mutant, driver: Sequence[str]) -> None:
    """Play the case that should catch it."""
    (case,) = (case for case in CASES if bug.case in case["name"])
    with Driver(driver) as program, pytest.raises(Mismatch) as mismatch:
        Player(case, program.ask).play()
    assert "broken:" not in str(mismatch.value), "the bug breaks the driver: that proves nothing"


@pytest.mark.parametrize("bug", JAVASCRIPT, ids=[bug.name for bug in JAVASCRIPT])
def test_a_bug_in_javascript_is_caught(bug: Mutant, tmp_path: Path) -> None:
    node = find_node()
    client = tmp_path / "js"
    shutil.copytree(JS / "src", client / "src")
    for name in ("conformance.mjs", "realtime-client.mjs"):
        shutil.copy(JS / name, client)
    (tmp_path / "conformance").mkdir()
    shutil.copy(RECORDING, tmp_path / "conformance")
    bug.plant(client)
    check_caught(bug, [node, str(client / "conformance.mjs")])


@pytest.fixture(scope="session")
def bugs_in_go(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One program with a driver for each bug, on a client that has the bug: named by its number, it plays that one.

    (A program for each would be linked as often.)
    """
    module = tmp_path_factory.mktemp("bugs")
    shutil.copy(GO_CLIENT / "go.mod", module)
    for number, bug in enumerate(GO):
        client = module / f"bug{number}"
        for name in ("protocol", "conformance"):  # the driver needs no more
            shutil.copytree(GO_CLIENT / name, client / name)
        bug.plant(client)
        for path in client.glob("*/*.go"):
            source = path.read_text().replace("package main\n", "package conformance\n")
            source = source.replace("func main()", "func Main()").replace('"realtime/', f'"realtime/{client.name}/')
            path.write_text(source)
    drivers = [f"bug{number}" for number in range(len(GO))]
    imports = "\n".join(f'{name} "realtime/{name}/conformance"' for name in drivers)
    table = ", ".join(f'"{name}": {name}.Main' for name in drivers)
    main = f'package main\nimport (\n"os"\n{imports}\n)\nfunc main() {{ map[string]func(){{{table}}}[os.Args[1]]() }}\n'
    (module / "all").mkdir()
    (module / "all" / "main.go").write_text(main)
    return build("./all", tmp_path_factory.mktemp("bin"), module)


@pytest.mark.parametrize("number", range(len(GO)), ids=[bug.name for bug in GO])
def test_a_bug_in_go_is_caught(number: int, bugs_in_go: Path) -> None:
    check_caught(GO[number], [str(bugs_in_go), f"bug{number}"])
