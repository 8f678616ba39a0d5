"""No test fails because the machine is slow: what is waited for has a generous limit, or the line says why not."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
GENEROUS = 60  # seconds
LOOK = 0.001  # one that waits no longer looks, and comes again
HTTP = {"AsyncClient", "Client", "delete", "get", "head", "patch", "post", "put", "request", "stream"}
#: What takes a limit, and the place of the limit among its arguments.
LIMITED = {"timeout": 0, "wait_for": 1, "wait": 0, "join": 0, "result": 0, "communicate": 1}


def impatience(source: str) -> list[str]:
    """Calls with a short limit of their own and no comment, and HTTP clients with httpx's limit of five seconds."""
    lines = source.splitlines()
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return [
        ast.unparse(call)
        for call in calls
        if is_impatient(call) and not any("#" in line for line in lines[call.lineno - 1 : call.end_lineno])
    ]


def is_impatient(call: ast.Call) -> bool:
    """Whether it gives up before a slow machine is done."""
    if not isinstance(call.func, ast.Attribute):
        return False
    named = {keyword.arg for keyword in call.keywords}
    if ast.unparse(call.func.value) == "httpx2" and call.func.attr in HTTP:
        return not named & {"timeout", "transport", None}
    return any(limit < GENEROUS for limit in limits(call, call.func.attr))


def limits(call: ast.Call, name: str) -> Iterator[float]:
    """The limits that are written there as numbers."""
    given: list[ast.expr] = [keyword.value for keyword in call.keywords if keyword.arg == "timeout"]
    if (at := LIMITED.get(name)) is not None:
        given += call.args[at : at + 1]
    for one in given:
        if isinstance(one, ast.Constant) and isinstance(one.value, int | float) and one.value > LOOK:
            yield one.value


@pytest.mark.parametrize(
    ("source", "is_found"),
    [
        ("asyncio.timeout(5)", True),
        ("asyncio.timeout(5)  # drips", False),
        ("asyncio.wait_for(it, 5)", True),
        ("asyncio.wait_for(it, SECONDS)", False),
        ("go.wait(10)", True),
        ("thread.join()", False),
        ("done.result(0)", False),
        ("subprocess.run(command, timeout=30)", True),
        ("subprocess.run(command, timeout=300)", False),
        ("httpx2.get(url)", True),
        ("httpx2.AsyncClient(timeout=SECONDS)", False),
        ("httpx2.AsyncClient(**options)", False),
    ],
)
def test_the_rule(source: str, is_found: bool) -> None:
    assert bool(impatience(source)) == is_found


def test_all_tests_are_patient() -> None:
    found = {str(path.relative_to(TESTS)): impatience(path.read_text()) for path in TESTS.rglob("*.py")}
    assert {name: calls for name, calls in found.items() if calls} == {}
