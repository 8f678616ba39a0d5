"""The types of the JavaScript client are those of the server and of its source, and programs compile with them."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from realtime.server.app import build_document
from scripts.js_types import WIRE, render
from tests.support.node import JS, find_node
from tests.support.server import running

EXAMPLES = JS.parents[1] / "examples"
TSC = JS / "node_modules" / "typescript" / "bin" / "tsc"
STRICT = {
    "strict": True,
    "noUncheckedIndexedAccess": True,
    "exactOptionalPropertyTypes": True,
    "skipLibCheck": False,
    "module": "nodenext",
    "target": "es2024",
    "lib": ["es2024", "esnext.disposable", "dom", "dom.iterable", "dom.asynciterable"],
    "types": ["node"],
}


@pytest.fixture(scope="module")
def node() -> str:
    return find_node()


def _run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_types_of_the_wire_are_the_servers() -> None:
    """Else: `make types`."""
    assert WIRE.read_text("utf-8") == render(json.loads(build_document()))


def test_the_declarations_are_those_of_the_source(node: str, tmp_path: Path) -> None:
    """Else: `make types`. Also, the source keeps its own types, in strict mode."""
    _run(node, str(TSC), "-p", ".", "--outDir", str(tmp_path), cwd=JS)
    shutil.copy(JS / "src" / "wire.d.mts", tmp_path / "src")
    assert _files(tmp_path) == _files(JS / "types")


def _files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.d.mts")}


def test_the_package_can_be_resolved_with_its_types(node: str) -> None:
    npm = shutil.which("npm")
    assert npm is not None
    _run(npm, "run", "--silent", "check-types", cwd=JS)


async def test_a_strict_program_compiles_without_a_cast_and_runs(node: str, tmp_path: Path) -> None:
    _compile(node, EXAMPLES / "typed.ts", tmp_path, STRICT)
    async with running(lambda request: ["word "] * 3) as server:
        process = await asyncio.create_subprocess_exec(
            node, "typed.js", server.url, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        output, errors = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, errors.decode()
    assert output.decode() == "word word word \n(4 tokens, completed)\n"


def test_a_page_with_use_chat_compiles_against_ai_sdks_own_types(node: str, tmp_path: Path) -> None:
    # their declarations do not pass under all of this, ours do
    _compile(node, EXAMPLES / "use_chat.tsx", tmp_path, {**STRICT, "skipLibCheck": True, "jsx": "react-jsx"})


def _compile(node: str, example: Path, folder: Path, options: Mapping[str, Any]) -> None:
    """As a project would that has installed the package."""
    assert " as " not in example.read_text().replace(" as const", ""), "without a cast"
    modules = folder / "node_modules"
    modules.mkdir()
    for name in ("@ai-sdk", "@types", "ai", "react"):
        (modules / name).symlink_to(JS / "node_modules" / name)
    (modules / "realtime-llm-client").symlink_to(JS)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": options}))
    shutil.copy(example, folder)
    _run(node, str(TSC), "-p", ".", cwd=folder)
