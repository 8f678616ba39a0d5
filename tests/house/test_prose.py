"""Prose, as far as it can be tested: openings of docstrings, lines of docs, units of settings, texts of refusals."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from realtime.settings.sources import options
from realtime.wire.errors import ErrorCode

ROOT = Path(__file__).parents[2]
WIDTH = 120

# A docstring opens with an imperative verb or the noun that it defines; a pronoun has neither before it.
PRONOUNS = {"it", "this", "that", "these", "those", "there", "they", "he", "she", "we", "you"}
# These open a question instead; what a function returns is "Return whether", "Return how many".
QUESTIONS = {"what", "whether", "how", "where", "when", "which", "why", "who", "whose"}
# A method may point to the one that it implements; a class or a module says what it is.
POINTERS = {"see"}

# Pages whose prose is wrapped; tables, code and generated parts are as wide as they are.
GUIDES = ["README.md", "CONTRIBUTING.md", "clients/README.md", "clients/conformance/README.md"]
FOLDERS = ["docs", "clients/go", "clients/js", "clients/python", "training/gpt_oss", "training/starter"]
WRAPPED = [*GUIDES, *(str(page.relative_to(ROOT)) for name in FOLDERS for page in sorted((ROOT / name).glob("*.md")))]

GENERATED = {"clients/python/realtime_client/wire.py"}


def modules() -> Iterator[Path]:
    for folder in ("realtime", "clients"):
        yield from sources(folder)


def sources(folder: str) -> Iterator[Path]:
    for path in sorted((ROOT / folder).rglob("*.py")):
        if not {".venv", "node_modules"} & set(path.parts) and str(path.relative_to(ROOT)) not in GENERATED:
            yield path


Definition = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@cache
def nodes(path: Path) -> list[Definition | ast.Assign | ast.Call]:
    """Return what may have a docstring, and calls and assignments, in the order of the source."""
    tree = ast.parse(path.read_text("utf-8"))
    found = [node for node in ast.walk(tree) if isinstance(node, Definition | ast.Assign | ast.Call)]
    return sorted(found, key=lambda node: getattr(node, "lineno", 0))


def openings(path: Path, words: set[str], kinds: tuple[type, ...]) -> list[str]:
    """Return the docstrings of these kinds of things that open with one of the words."""
    found = []
    for node in nodes(path):
        if isinstance(node, Definition) and isinstance(node, kinds):
            docstring = ast.get_docstring(node) or ""
            if re.split(r"\W", docstring.lstrip("`\"'"))[0].lower() in words:
                found.append(f"{path.relative_to(ROOT)}:{node.body[0].lineno}: {docstring.splitlines()[0]}")
    return found


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
THINGS = (ast.Module, ast.ClassDef)


@pytest.mark.parametrize("folder", ["realtime", "clients", "bench", "scripts"])
def test_a_docstring_opens_with_a_verb_or_a_noun(folder: str) -> None:
    """As far as its first word tells: neither a pronoun nor a question, and at a class or a module no pointer."""
    found = []
    for path in sources(folder):
        found += openings(path, PRONOUNS | QUESTIONS, (*THINGS, *FUNCTIONS)) + openings(path, POINTERS, THINGS)
    assert found == []


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a page that are prose, each with its number: no tables, code, pictures or link definitions."""
    in_code = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip("> ").startswith("```"):
            in_code = not in_code
        if not (in_code or line.startswith(("|", "    ", "<", "![", "#"))):
            yield number, line


@pytest.mark.parametrize("page", WRAPPED)
def test_the_lines_of_a_page_are_wrapped(page: str) -> None:
    lines = prose((ROOT / page).read_text("utf-8"))
    assert [f"{page}:{number}" for number, line in lines if len(line) > WIDTH] == []


NAMES_A_UNIT = re.compile(r"_(seconds|ms|bytes)$")
WITH_UNIT = re.compile(r"\b(seconds?|milliseconds?|minutes?|bytes?|[KMG]iB|percent|share)\b")


def test_a_setting_that_is_a_time_or_a_size_says_its_unit() -> None:
    """In its name or in its description."""
    numbers = [option for option in options() if isinstance(option.default, int | float) and option.default is not True]
    without = [
        option.name
        for option in numbers
        if re.match(r"(time|size|age|longest|shortest)\b", option.doc)
        and not NAMES_A_UNIT.search(option.name)
        and not WITH_UNIT.search(option.doc)
    ]
    assert without == []


def text_of(node: ast.AST) -> str:
    """Return a text as it stands in the source, with `X` for what is put into it; "" for anything else."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    parts = node.values if isinstance(node, ast.JoinedStr) else []
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in parts)


def refusals() -> Iterator[tuple[str, ErrorCode | None, str]]:
    """Yield each text that is given to a WireError where it is made, or just before: its place, code and words."""
    for path in modules():
        texts: dict[str, str] = {}
        for node in nodes(path):  # in the order of the source, as far as a module's own functions go
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                texts[node.targets[0].id] = text_of(node.value)
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "WireError" and len(node.args) > 1:
                code, given = node.args[:2]
                text = texts.get(given.id, "") if isinstance(given, ast.Name) else text_of(given)
                if text:
                    name = ast.unparse(code).removeprefix("ErrorCode.")
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", ErrorCode.__members__.get(name), text


def test_the_text_of_a_refusal_is_a_sentence() -> None:
    """It may end with what another one says, after a colon."""
    texts = list(refusals())
    assert len(texts) > 50
    unfinished = [line for line in texts if not re.match(r"[A-Z`'\"].*([.!)]|: X)$", line[2], re.DOTALL)]
    assert unfinished == []


ADVICE = re.compile(r"\b(try|wait|send|connect|detach|close|fetch|create|start|repeat|scale)\b", re.IGNORECASE)
IN_A_RECORDING = {"The server is restarting."}  # by `draining.jsonl`; a client is told to retry, and when


def test_a_refusal_that_may_be_retried_says_what_to_do() -> None:
    texts = [(place, text) for place, code, text in refusals() if code is not None and code.value.retry]
    assert len(texts) > 10
    assert [line for line in texts if not ADVICE.search(line[1]) and line[1] not in IN_A_RECORDING] == []
