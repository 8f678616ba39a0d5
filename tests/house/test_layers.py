"""The house: wings in their order, imports downward between them, what is pure stays pure, one folder knows the GPU, no
files import each other in a circle, there or in the Python client.

`HOUSE` is the table of wings, from the top down; docs/architecture.md shows the same one. A module has its wing by its
folder, so a new module needs no row and a new folder does.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

REPOSITORY = Path(__file__).parents[2]
SERVER = Path("realtime")
CLIENT = Path("clients/python/realtime_client")


class Wing(NamedTuple):
    """A folder of `realtime/`, or a module beside the folders.

    pure: no I/O, no clock, no tasks, and only pure modules are imported; `io` names the exceptions, modules and
    folders. There and elsewhere a module is pure, and is held to it, when its docstring says "Pure."
    """

    name: str
    pure: bool = False
    io: frozenset[str] = frozenset()


HOUSE = (
    Wing("__main__"),
    Wing("server"),
    Wing("service"),
    Wing("runs"),
    Wing("connection", pure=True),
    Wing("dialects", pure=True, io=frozenset({"harmony.library"})),
    Wing("store", pure=True, io=frozenset({"cluster", "packed", "sqlite"})),
    Wing("context", pure=True),
    Wing("settings", pure=True, io=frozenset({"flags", "sources", "text"})),
    Wing("engine"),
    Wing("observability"),
    Wing("wire", pure=True),
)
IMPURE = frozenset({
    "asyncio", "asyncpg", "concurrent", "datetime", "httpcore2", "httptools", "httpx2", "logging", "mcp",
    "multiprocessing", "os", "redis", "sched", "select", "selectors", "signal", "socket", "sqlite3", "ssl", "starlette",
    "subprocess", "threading", "time", "torch", "transformers", "uvicorn", "uvloop", "vllm", "websockets",
})  # fmt: skip
GPU = frozenset({"torch", "vllm"})
GPU_HOME = "engine.vllm"
_PURE = re.compile(r"\bPure[.;:,]")  # how a docstring says it
MAX_ENTRIES = 11  # of realtime/, beside its dunder modules, py.typed and models/
NOT_ROOMS = frozenset({"__init__.py", "__main__.py", "__pycache__", "py.typed", "models"})
MAX_DEPTH = 2  # folders below realtime/


class Module(NamedTuple):
    """A module below `package`, by its dotted name there."""

    package: str
    name: str
    path: Path
    pure: bool

    @property
    def wing(self) -> str:
        return self.name.partition(".")[0]


class Import(NamedTuple):
    """One import: who, where, and what. `target` is a name below the package, or a foreign module's root."""

    importer: Module
    line: int
    target: str
    foreign: bool


def test_the_house_stands() -> None:
    assert list(violations(REPOSITORY)) == []


FOR_TYPES = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
PLANTED = {
    "upward": ("wire/planted.py", "from realtime.connection.lanes import Lanes", "is above"),
    "upward, relative": ("wire/planted.py", "from ..connection.lanes import Lanes", "is above"),
    "upward, a module from its package": ("wire/planted.py", "from ..connection import lanes", "is above"),
    "upward, plain": ("wire/planted.py", "import realtime.connection.lanes", "is above"),
    "upward, late": ("store/planted.py", "def f():\n    from realtime.service.service import Service", "is above"),
    "a clock": ("connection/planted.py", "import time", "is pure"),
    "a clock, renamed": ("connection/planted.py", "from time import monotonic as now", "is pure"),
    "a clock, by its word": ("service/planted.py", '"""Who is next. Pure."""\nimport time', "is pure"),
    "tasks, late": ("dialects/planted.py", "def f():\n    import asyncio", "is pure"),
    "a submodule": ("wire/planted.py", "import concurrent.futures", "is pure"),
    "the unclean neighbour": ("runs/planted.py", '"""Pure."""\nfrom realtime.engine.scripted import say', "is pure"),
    "the GPU": ("service/service.py", "def f():\n    import torch.cuda", "only realtime.engine.vllm"),
    "the GPU, next door": ("engine/planted.py", "import vllm", "only realtime.engine.vllm"),
    "the GPU, for types": ("server/planted.py", "from vllm import LLM", "only realtime.engine.vllm"),
    "no wing": ("newcomer/planted.py", "import enum", "has no wing"),
    "beside the wings": ("newcomer.py", "import enum", "has no wing"),
    "too deep": ("server/http/pages/planted.py", "import enum", "lies deeper"),
    "round in a circle": ("connection/lanes.py", "from realtime.connection.readers import Reader", "in a circle"),
    "round, late": ("connection/lanes.py", "def f():\n    from .readers import Reader", "in a circle"),
    "round, for types": ("connection/lanes.py", f"{FOR_TYPES}    from .readers import Reader", "in a circle"),
    "round, in the client": (f"../{CLIENT}/session.py", "def f():\n    from .client import Client", "in a circle"),
}


@pytest.mark.parametrize(("path", "source", "complaint"), PLANTED.values(), ids=PLANTED)
def test_a_planted_violation_is_found(tmp_path: Path, path: str, source: str, complaint: str) -> None:
    sources = {
        "__init__.py": "", "wire/__init__.py": "", "connection/__init__.py": "", "service/service.py": "",
        "connection/lanes.py": "", "connection/readers.py": "from .lanes import Lane", "engine/scripted.py": "",
        f"../{CLIENT}/client.py": "from .session import Session", f"../{CLIENT}/session.py": "import enum",
    }  # fmt: skip
    for name, text in sources.items():
        _write(tmp_path / "realtime" / name, text)
    assert list(violations(tmp_path)) == []
    _write(tmp_path / "realtime" / path, source)
    (found,) = violations(tmp_path)
    assert complaint in found


def test_the_listing_can_be_taken_in_at_a_glance() -> None:
    rooms = {path.name for path in (REPOSITORY / "realtime").iterdir()} - NOT_ROOMS
    assert len(rooms) <= MAX_ENTRIES
    assert rooms == {wing.name for wing in HOUSE} - {"__main__"}


def test_importing_loads_nothing_heavy() -> None:
    """What the source says, asked of the interpreter, which also follows what other packages import."""
    known = modules(REPOSITORY / SERVER).values()
    pure = [f"realtime.{module.name}" for module in known if module.name and module.pure]
    script = f"""
import importlib, sys
before = set(sys.modules)
for name in {pure}: importlib.import_module(name)
print(sorted({{"asyncio", "socket", "logging"}} & (set(sys.modules) - before)))
import realtime.service.service
print(sorted({{"vllm", "torch", "transformers", "uvicorn", "starlette"}} & set(sys.modules)))
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n[]\n", "")


def violations(root: Path) -> Iterator[str]:
    """Everything that breaks the house rules below `root`, in words."""
    known = modules(root / SERVER)
    order = {wing.name: number for number, wing in enumerate(HOUSE)}
    for module in known.values():
        if module.name and module.wing not in order:
            yield f"realtime.{module.name} has no wing: move it into one, or give its folder a row in {__name__}"
        if len(module.path.relative_to(root / "realtime").parts) > MAX_DEPTH + 1:
            yield f"realtime.{module.name} lies deeper than {MAX_DEPTH} folders"
    found = [one for module in known.values() for one in imports(module, known)]
    for one in found:
        here = one.importer
        at = f"realtime.{here.name} line {one.line}"
        if one.foreign:
            if one.target in GPU and not f"{here.name}.".startswith(f"{GPU_HOME}."):
                yield f"{at}: only realtime.{GPU_HOME} may import {one.target}"
            elif here.pure and one.target in IMPURE:
                yield f"{at}: is pure and imports {one.target}"
            continue
        there = known.get(one.target)
        wing = one.target.partition(".")[0]
        if order.get(wing, 99) < order.get(here.wing, 0):
            yield f"{at}: realtime.{one.target} is above"
        elif here.pure and there is not None and not there.pure:
            yield f"{at}: is pure and imports realtime.{one.target}, which is not"
    yield from circles(found)
    client = modules(root / CLIENT)
    yield from circles([one for module in client.values() for one in imports(module, client)])


def circles(found: list[Import]) -> Iterator[str]:
    """Modules that can't be understood, or moved, without each other: late imports and those for types count too."""
    needs: dict[str, set[str]] = {}
    for one in found:
        if not one.foreign:
            needs.setdefault(one.importer.name, set()).add(one.target)
    while needs:  # take away what needs nothing that is left, and what nothing needs; circles are what stays
        needed = set[str]().union(*needs.values())
        free = {name for name in needs if not needs[name] & needs.keys() or name not in needed}
        if not free:
            yield f"import each other in a circle, or are between two: {sorted(needs)}"
            return
        for name in free:
            del needs[name]


def modules(package: Path) -> dict[str, Module]:
    """Every module below a package, by its name."""
    wings = {wing.name: wing for wing in HOUSE}
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        wing = wings.get(name.partition(".")[0])
        if path.name == "__init__.py":
            pure = True  # a docstring, and no more
        elif wing is not None and wing.pure and not _is_io(name.partition(".")[2], wing.io):
            pure = True
        else:
            pure = bool(_PURE.search(ast.get_docstring(ast.parse(path.read_text())) or ""))
        found[name] = Module(package.name, name, path, pure)
    return found


def _is_io(name: str, io: frozenset[str]) -> bool:
    return name in io or name.partition(".")[0] in io


def imports(importer: Module, known: dict[str, Module]) -> Iterator[Import]:
    """Every import in a module, wherever it stands."""
    for node in ast.walk(ast.parse(importer.path.read_text())):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(importer, node)
            inside = [f"{base}.{alias.name}" for alias in node.names]
            targets = [name if name.removeprefix(f"{importer.package}.") in known else base for name in inside]
        else:
            continue
        for target in dict.fromkeys(targets):
            root, _, below = target.partition(".")
            foreign = root != importer.package
            yield Import(importer, node.lineno, root if foreign else below, foreign)


def _absolute(importer: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = [importer.package, *importer.name.split(".")] if importer.name else [importer.package]
    if importer.path.name != "__init__.py":
        package = package[:-1]
    package = package[: len(package) - node.level + 1]
    return ".".join([*package, *([node.module] if node.module else [])])


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
