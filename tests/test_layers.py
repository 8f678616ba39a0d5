"""The house: imports run downward, the pure part is pure, and one file knows the GPU.

`HOUSE` is the table of floors. A new module needs a row (or lives in a package that has one).
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

REPOSITORY = Path(__file__).parent.parent


class Floor(NamedTuple):
    """Where a module lives; pure: no I/O, no clock, no tasks, and it imports only pure modules."""

    number: int
    pure: bool = False


HOUSE = {
    "": Floor(0, pure=True),
    "wire": Floor(1, pure=True),
    "principal": Floor(1, pure=True),
    "engine": Floor(2),
    "engine.base": Floor(2, pure=True),
    "engine.options": Floor(2, pure=True),
    "config": Floor(2, pure=True),
    "engine.parsing": Floor(2, pure=True),
    "engine.families": Floor(2, pure=True),
    "engine.json_grammar": Floor(2, pure=True),
    "engine.structural_tags": Floor(2, pure=True),
    "engine.token_steps": Floor(2, pure=True),
    "pictures": Floor(2, pure=True),
    "input_parts": Floor(2, pure=True),
    "conversation": Floor(2, pure=True),
    "conversations": Floor(2, pure=True),
    "compaction": Floor(2, pure=True),
    "unsealing": Floor(2, pure=True),
    "rendering": Floor(3),
    "compactor": Floor(3),
    "sealed": Floor(2, pure=True),
    "client_tools": Floor(2, pure=True),
    "tools": Floor(2, pure=True),
    "item_effects": Floor(2, pure=True),
    "log": Floor(2, pure=True),
    "scheduler": Floor(2, pure=True),
    "dialects": Floor(2, pure=True),
    "assembler": Floor(2, pure=True),
    "effective": Floor(2, pure=True),
    "commands": Floor(2, pure=True),
    "input_items": Floor(2, pure=True),
    "connection": Floor(2, pure=True),
    "outbox": Floor(2, pure=True),
    "cutoff": Floor(2, pure=True),
    "lanes": Floor(2, pure=True),
    "readers": Floor(2, pure=True),
    "successors": Floor(2, pure=True),
    "steering": Floor(2, pure=True),
    "harmony_encoding": Floor(3),
    "public_network": Floor(3),
    "images": Floor(3),
    "sampling": Floor(2, pure=True),
    "mcp_items": Floor(2, pure=True),
    "mcp_tools": Floor(2, pure=True),
    "mcp_assembler": Floor(2, pure=True),
    "mcp_client": Floor(3),
    "mcp_stage": Floor(3),
    "attempts": Floor(2, pure=True),
    "request_checks": Floor(2, pure=True),
    "outcomes": Floor(2, pure=True),
    "meter": Floor(2, pure=True),
    "context": Floor(3),
    "followed": Floor(3),
    "stopping": Floor(3),
    "runner": Floor(3),
    "responses": Floor(3),
    "service": Floor(3),
    "config_sources": Floor(4),
    "config_docs": Floor(4),
    "server": Floor(4),
    "cli_chat": Floor(5),
    "__main__": Floor(5),
}
IMPURE = frozenset({
    "asyncio", "concurrent", "datetime", "httpcore", "httptools", "httpx", "httpx2", "logging", "mcp",
    "multiprocessing", "os", "sched", "select", "selectors", "signal", "socket", "ssl", "starlette", "subprocess",
    "threading", "time", "torch", "transformers", "uvicorn", "uvloop", "vllm", "websockets",
})  # fmt: skip
GPU = frozenset({"torch", "vllm"})
GPU_HOMES = frozenset({"engine.vllm", "engine.vllm_launch", "engine.vllm_parsers", "engine.vllm_sight"})


class Import(NamedTuple):
    """One import: who, where, and what. `target` is a name below `realtime`, or a foreign module's root."""

    importer: str
    line: int
    target: str
    foreign: bool
    at_start: bool  # executed when the module is imported


def test_the_house_stands() -> None:
    assert list(violations(REPOSITORY)) == []


PLANTED = {
    "upward": ("wire/planted.py", "from realtime.connection import Connection", "is above"),
    "upward, relative": ("wire/planted.py", "from ..connection import Connection", "is above"),
    "upward, a module from its package": ("wire/planted.py", "from .. import connection", "is above"),
    "upward, plain": ("wire/planted.py", "import realtime.connection", "is above"),
    "upward, late": ("log/planted.py", "def f():\n    from realtime.service import Service", "is above"),
    "a clock": ("scheduler.py", "import time", "is pure"),
    "a clock, renamed": ("scheduler.py", "from time import monotonic as now", "is pure"),
    "tasks, late": ("dialects/planted.py", "def f():\n    import asyncio", "is pure"),
    "a submodule": ("wire/planted.py", "import concurrent.futures", "is pure"),
    "the unclean neighbour": ("assembler.py", "from .engine.scripted import Script", "is pure"),
    "the GPU": ("service.py", "def f():\n    import torch.cuda", "only ['engine.vllm'"),
    "the GPU, for types": ("server/planted.py", "from vllm import LLM", "only ['engine.vllm'"),
    "no floor": ("newcomer.py", "import enum", "has no floor"),
    "round in a circle": ("conversation.py", "from realtime.log.store import Store", "in a circle"),
}


@pytest.mark.parametrize(("path", "source", "complaint"), PLANTED.values(), ids=PLANTED)
def test_a_planted_violation_is_found(tmp_path: Path, path: str, source: str, complaint: str) -> None:
    sources = {
        "connection.py": "", "engine/scripted.py": "", "service.py": "", "conversation.py": "", "__init__.py": "",
        "log/store.py": "from realtime.conversation import Turn", "wire/__init__.py": "", "log/__init__.py": "",
    }  # fmt: skip
    for name, text in sources.items():
        _write(tmp_path / "realtime" / name, text)
    assert list(violations(tmp_path)) == []
    _write(tmp_path / "realtime" / path, source)
    (found,) = violations(tmp_path)
    assert complaint in found


def test_importing_loads_nothing_heavy() -> None:
    """What the source says, asked of the interpreter, which also follows what other packages import."""
    pure = [f"realtime.{name}".rstrip(".") for name in modules(REPOSITORY) if (row := floor(name)) and row.pure]
    script = f"""
import importlib, sys
before = set(sys.modules)
for name in {pure}: importlib.import_module(name)
print(sorted({{"asyncio", "socket", "logging"}} & (set(sys.modules) - before)))
import realtime.service
print(sorted({{"vllm", "torch", "transformers", "uvicorn", "starlette"}} & set(sys.modules)))
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n[]\n", "")


def violations(root: Path) -> Iterator[str]:
    """Everything that breaks the house rules below `root`, in words."""
    names = modules(root)
    found = [one for name, path in names.items() for one in imports(name, path, names)]
    for name in names:
        if floor(name) is None:
            yield f"realtime.{name} has no floor: give it a row in {Path(__file__).name}"
    for one in found:
        here, there = floor(one.importer), floor(one.target)
        at = f"realtime.{one.importer} line {one.line}"
        if one.foreign and one.target in GPU and one.importer not in GPU_HOMES:
            yield f"{at}: only {sorted(GPU_HOMES)} may import {one.target}"
        elif here is None:
            continue
        elif one.foreign:
            if here.pure and one.target in IMPURE:
                yield f"{at}: is pure and imports {one.target}"
        elif there is not None and there.number > here.number:
            yield f"{at}: realtime.{one.target} is above"
        elif there is not None and here.pure and not there.pure:
            yield f"{at}: is pure and imports realtime.{one.target}, which is not"
    yield from circles(found)


def circles(found: list[Import]) -> Iterator[str]:
    """Modules that need each other to be imported."""
    graph: dict[str, set[str]] = {}
    for one in found:
        if not one.foreign and one.at_start:
            graph.setdefault(one.importer, set()).add(one.target)
    while graph:  # take away what needs nothing that is left; a circle is what stays
        free = {name for name, needs in graph.items() if not needs & graph.keys()}
        if not free:
            yield f"import each other in a circle, or need those that do: {sorted(graph)}"
            return
        for name in free:
            del graph[name]


def modules(root: Path) -> dict[str, Path]:
    """Module name below `realtime` -> file."""
    names = {}
    for path in sorted((root / "realtime").rglob("*.py")):
        parts = path.relative_to(root / "realtime").with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def imports(importer: str, path: Path, names: dict[str, Path]) -> Iterator[Import]:
    """Every import in a file, wherever it stands."""
    tree = ast.parse(path.read_text())
    at_start = set(_at_start(tree.body))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(importer, path, node)
            inside = [f"{base}.{alias.name}" for alias in node.names]
            targets = [name if name.removeprefix("realtime.") in names else base for name in inside]
        else:
            continue
        for target in dict.fromkeys(targets):
            root, _, below = target.partition(".")
            foreign = root != "realtime"
            yield Import(importer, node.lineno, root if foreign else below, foreign, node in at_start)


def floor(name: str) -> Floor | None:
    """The row of a module, or of the closest package above it that has one."""
    while name and name not in HOUSE:
        name = name.rpartition(".")[0]
        if not name:
            return None
    return HOUSE[name]


def _at_start(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.If | ast.Try | ast.With):
            yield from _at_start(
                [child for child in ast.walk(node) if isinstance(child, ast.stmt) and child is not node]
            )
        yield node


def _absolute(importer: str, path: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = ["realtime", *importer.split(".")] if importer else ["realtime"]
    if path.name != "__init__.py":
        package = package[:-1]
    package = package[: len(package) - node.level + 1]
    return ".".join([*package, *([node.module] if node.module else [])])


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
