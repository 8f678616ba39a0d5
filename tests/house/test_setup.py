"""What the first set-up says: a few lines, whatever the installer says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPT = (Path(__file__).parents[2] / "scripts" / "setup.sh").read_text()
SAID = """\
Using Python 3.11.7 environment at: .venv
Resolved 187 packages in 640ms
   Building realtime-llm @ file:///x
Downloading torch (203.1MiB)
Downloading numpy (16.3MiB)
Downloading vllm (1.2GiB)
   Downloading tiny (98.6KiB)
 Downloaded numpy
 Downloaded torch
Prepared 187 packages in 1m 02s
Installed 187 packages in 3.40s
 + torch==2.13.0
 + numpy==2.3.0
"""


def test_a_few_lines_are_said_and_all_are_in_the_log(tmp_path: Path) -> None:
    functions = "".join(re.findall(r"^(?:say|tell)\(\) \{.*?\}$\n", SCRIPT, re.MULTILINE | re.DOTALL))
    run = subprocess.run(
        ["sh", "-eu", "-c", f"LOG=setup.log\n{functions}\ntell"],
        input=SAID, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout.splitlines() == [
        "setup: found 187 packages in 640ms",
        "setup: downloading torch (203.1MiB)",
        "setup: downloading vllm (1.2GiB)",
        "setup: downloaded 187 packages in 1m 02s",
        "setup: installed 187 packages in 3.40s",
    ]
    assert (tmp_path / "setup.log").read_text() == SAID


@pytest.mark.parametrize("engine", ["cpu", "gpu"])
def test_what_is_compiled_is_what_there_is(engine: str) -> None:
    [modules] = re.findall(r'^ +modules="(.*)"$', SCRIPT, re.MULTILINE)
    for module in modules.replace("${engine}", engine).split(", "):
        package, *inside = module.split(".")
        spec = find_spec(package)  # of the package alone: that imports nothing
        assert spec is not None, f"{package} is not installed"
        assert spec.submodule_search_locations is not None
        assert Path(spec.submodule_search_locations[0], *inside).with_suffix(".py").is_file(), module


@pytest.mark.parametrize(("version", "said"), [("0.32.0+cpu", "vllm==0.32.0+cpu\n"), ("0.31.0+cpu", "")])
def test_vllms_own_build_for_cpus_is_taken_where_there_is_one(version: str, said: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / f"vllm-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"vllm-{version}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n")
        wheel.writestr(f"vllm-{version}.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    (tmp_path / "cpu.txt").write_text("uvloop==0.23.0\nvllm-cpu==0.32.0 ; sys_platform == 'linux'\n")
    function = "".join(re.findall(r"^official_cpu_vllm\(\) \{.*?^\}$\n", SCRIPT, re.MULTILINE | re.DOTALL))
    run = subprocess.run(
        ["sh", "-eu", "-c", f"VENV={sys.prefix}\n{function}\nofficial_cpu_vllm cpu.txt || true"],
        cwd=tmp_path, env={**os.environ, "UV_FIND_LINKS": str(tmp_path), "UV_NO_INDEX": "1"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout == said


def test_no_switch_of_the_tests_looks_like_a_setting() -> None:
    """A server that a test starts inherits them, and refuses a setting that it does not know."""
    tests = Path(__file__).parents[1]
    found = [
        f"{path.relative_to(tests)}: {name}"
        for path in tests.rglob("*.py")
        for name in re.findall(r"environ\.get\(\s*\"(REALTIME_[A-Z_]+)", path.read_text())
    ]
    assert found == []
