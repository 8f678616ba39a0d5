"""Constraints are compiled in a process that may crash, hang and swell: nobody but who sent them notices."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from realtime.engine import structural_tags
from realtime.engine.backoff import Backoff
from realtime.engine.base import EngineDead, EngineOverloaded, EngineRefused
from realtime.engine.parsing import Constraint
from realtime.engine.vllm.grammar_compiler import _COMMAND, GrammarCompiler
from tests.support.patience import SECONDS

Schema = dict[str, Any]

SMALL: Schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
SLOW = "start: start start | /[ab]/"  # to follow: to compile it takes no time


def by(schema: Schema, param: str = "text.format.schema") -> Constraint:
    return Constraint("structural_tag", structural_tags.of_json(schema, param))


def lark(definition: str) -> Constraint:
    return Constraint("grammar", definition, "tools[0].format.definition")


def tokenizer_info() -> str:
    """Of a model whose tokens are bytes."""
    import xgrammar

    vocabulary = [bytes([byte]) for byte in range(256)] + [b"</s>"]
    info: str = xgrammar.TokenizerInfo(vocabulary, xgrammar.VocabType.RAW, stop_token_ids=[256]).serialize_json()
    return info


@contextlib.asynccontextmanager
async def started(seconds: float = 1.0, **options: Any) -> AsyncIterator[GrammarCompiler]:
    compiler = GrammarCompiler(seconds, **options)
    compiler.start(tokenizer_info)
    try:
        async with asyncio.timeout(SECONDS):
            yield compiler
    finally:
        await compiler.close()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - another process is waited for
        await asyncio.sleep(0.005)


async def refused(compiler: GrammarCompiler, constraint: Constraint) -> EngineRefused:
    with pytest.raises(EngineRefused) as caught:
        await compiler.compile(constraint, "eve", None)
    return caught.value


def chain(length: int) -> Schema:
    """Objects that refer to each other, each to the next."""
    links: Schema = {
        f"D{at}": {"type": "object", "properties": {"a": {"$ref": f"#/$defs/D{at + 1}"}}} for at in range(length)
    }
    return {"$defs": {**links, f"D{length}": {"type": "integer"}}, "$ref": "#/$defs/D0"}


BOMBS: dict[str, Constraint] = {
    "groups of a pattern": by({"type": "string", "pattern": "(" * 60_000 + "a" + ")" * 60_000}),
    "a chain of references": by(chain(5000)),
    "repeats": by({"type": "string", "pattern": "^a{20000}$"}),
    "values": by({"type": "string", "enum": [f"value{number}" for number in range(100_000)]}),
    "optional properties": by({"type": "object", "properties": {f"p{at}": {"type": "string"} for at in range(8000)}}),
    "patterns of properties": by({"type": "object", "patternProperties": {f"^a{{9000}}{n}$": {} for n in range(40)}}),
    "an ambiguous grammar": lark(SLOW),
    "a grammar of many ways": lark('start: a\na: b b b b b b | "x"\nb: a a | a | "x" | ""'),
    "a left recursion to nowhere": lark('start: start "a"'),
    "nothing": by({"anyOf": []}),
    "a regular expression of nothing": Constraint("regex", r"[^\s\S]", "tools[0].format.definition"),
    "a property of nothing": by({**SMALL, "properties": {"a": {"type": "string", "pattern": r"^a[^\s\S]$"}}}),
    "a reference to itself": by({"$ref": "#"}),
    "a large number": by({"type": "integer", "minimum": -(10**400)}),
    "no type": by({"type": "not-a-type"}),
    "no grammar": lark("start: NOWHERE"),
    "half a surrogate pair": lark('start: "\ud83d"'),
}


async def test_bombs_are_refused_with_their_place_and_others_go_on() -> None:
    async with started(0.3) as compiler:
        for name, bomb in BOMBS.items():
            error = await refused(compiler, bomb)
            assert error.param == (bomb.param or "text.format.schema"), name
            assert len(str(error)) > 10, name
            assert (await compiler.compile(by(SMALL), "ada", name)).kind == "structural_tag", name
        assert compiler.num_compiled == len(BOMBS)
        assert compiler.trouble is None


REASONS = [
    (by({"type": "integer", "minimum": 2, "maximum": 1}), "minimum greater than maximum"),
    (by({"type": "string", "pattern": "^(?!a)[ab]$"}), "held to exactly: Lookahead"),
    (by({"type": "string", "pattern": "a$b"}), "held to exactly: Anchor"),
    (by({"oneOf": [{"type": "integer"}, {"type": "number"}]}), "held to exactly: oneOf"),
    (lark("start: NOWHERE"), "unknown name 'NOWHERE'"),
    (Constraint("regex", "a\0b", "p"), "NUL"),
    (Constraint("regex", "(?<=a)b", "p"), "Lookbehind"),
    (Constraint("grammar", 'root ::= "a', "p"), "EBNF"),
    (by({"anyOf": []}), "no text matches it"),
    (by({"type": "array", "items": {"type": "string", "pattern": r"^a[^\s\S]$"}, "minItems": 1}), "have no end"),
]


async def test_the_reason_is_in_words() -> None:
    async with started() as compiler:
        for constraint, reason in REASONS:
            assert reason in str(await refused(compiler, constraint))


async def test_the_part_that_is_wrong_is_named() -> None:
    forms = [
        structural_tags.by_json(SMALL, "tools[0].parameters"),
        structural_tags.by_grammar("lark", "start: NOWHERE", "tools[1].format.definition"),
        structural_tags.by_json({"type": "string", "pattern": "(" * 60_000 + ")" * 60_000}, "tools[2].parameters"),
    ]
    async with started() as compiler:
        for first, last, param in ((0, 2, "tools[1].format.definition"), (2, 3, "tools[2].parameters")):
            tag = structural_tags.tag({"type": "or", "elements": [forms[0], *forms[first:last]]})
            assert (await refused(compiler, Constraint("structural_tag", tag))).param == param


async def test_a_grammar_stands_in_json_when_it_is_compiled() -> None:
    import xgrammar

    accepts = xgrammar.testing._is_grammar_accept_string
    async with started() as compiler:
        for syntax, definition in (("lark", 'start: "\\"" /[0-9]+/'), ("regex", '"[0-9]+')):
            form = structural_tags.input_by_grammar(syntax, definition, "tools[0].format.definition")
            compiled = await compiler.compile(Constraint("structural_tag", structural_tags.tag(form)), "ada", None)
            assert not list(structural_tags.parts(compiled.value))
            grammar = xgrammar.Grammar.from_structural_tag(compiled.value)
            assert accepts(grammar, r'{"input": "\"12"}')
            assert not accepts(grammar, r'{"input": "12"}')


async def test_many_tools_have_more_time_together_than_one() -> None:
    """Agents bring a hundred; each takes as long as alone."""
    tools = [
        structural_tags.by_json(
            {"type": "object", "properties": {f"a{tool}_{at}": {"type": "string"} for at in range(10)}},
            f"tools[{tool}]",
        )
        for tool in range(100)
    ]
    async with started() as compiler:
        tag = structural_tags.tag({"type": "or", "elements": tools})
        await compiler.compile(Constraint("structural_tag", tag), "ada", None)


async def test_what_takes_too_long_is_ended() -> None:
    async with started(0.05) as compiler:
        assert "takes too long" in str(await refused(compiler, lark(SLOW)))
        assert await compiler.compile(by(SMALL), "ada", None)


async def test_what_takes_too_much_memory_is_ended() -> None:
    async with started(10, memory_bytes=24 << 20) as compiler:
        assert "too much memory" in str(await refused(compiler, by({"const": "x" * 500_000})))
        assert await compiler.compile(by(SMALL), "ada", None)


async def test_who_gives_up_leaves_at_once_and_what_was_running_ends() -> None:
    async with started(600, slots=1) as compiler:
        running = asyncio.create_task(compiler.compile(lark(SLOW), "eve", None))
        waiting = asyncio.create_task(compiler.compile(lark(SLOW + "\n"), "eve", None))
        other = asyncio.create_task(compiler.compile(by(SMALL), "ada", None))
        await until(lambda: bool(compiler._running))
        waiting.cancel()
        await asyncio.sleep(0)
        assert len(compiler._queue) == 1
        running.cancel()
        assert await other
        await until(lambda: not compiler._running)


async def test_one_of_two_who_want_the_same_may_give_up() -> None:
    async with started(slots=1) as compiler:
        first, second = (asyncio.create_task(compiler.compile(by(SMALL), "ada", None)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert await second
        assert compiler.num_compiled == 1


async def test_one_who_gave_up_may_ask_again() -> None:
    async with started(600, slots=1) as compiler:
        running = asyncio.create_task(compiler.compile(lark(SLOW), "eve", None))
        await until(lambda: bool(compiler._running))
        running.cancel()
        again = asyncio.create_task(compiler.compile(lark(SLOW), "eve", None))
        await until(lambda: bool(compiler._running) and compiler._running.keys() != {1})
        assert not again.done()
        again.cancel()


async def test_tenants_take_turns() -> None:
    async with started(0.2, slots=1) as compiler:
        ended: list[str] = []

        async def ask(tenant: str, constraint: Constraint) -> None:
            with contextlib.suppress(EngineRefused):
                await compiler.compile(constraint, tenant, tenant)
            ended.append(tenant)

        bombs = [ask("eve", lark(SLOW + "\n" * number)) for number in range(4)]
        await asyncio.gather(*bombs, ask("ada", by(SMALL)), ask("bob", by(SMALL)))
    assert ended == ["eve", "ada", "bob", "eve", "eve", "eve"]


async def test_a_tenant_has_one_place_however_many_there_are() -> None:
    async with started(600, slots=3) as compiler:
        bombs = [asyncio.create_task(compiler.compile(lark(SLOW + "\n" * n), "eve", None)) for n in range(3)]
        await until(lambda: bool(compiler._running))
        assert await compiler.compile(by(SMALL), "ada", None)
        assert len(compiler._running) == 1
        for bomb in bombs:
            bomb.cancel()


async def test_waiting_has_an_end() -> None:
    async with started(600, slots=1, wait_seconds=0.1) as compiler:
        both = [compiler.compile(lark(SLOW + "\n" * number), "eve", None) for number in range(2)]
        results = await asyncio.gather(*both, return_exceptions=True)
        assert {type(result) for result in results} == {EngineOverloaded}


async def test_what_was_compiled_is_known_to_its_salt_alone() -> None:
    async with started() as compiler:
        first = await compiler.compile(by(SMALL), "ada", "salt of ada")
        assert await compiler.compile(by(SMALL), "ada", "salt of ada") == first
        assert compiler.num_compiled == 1
        assert await compiler.compile(by(SMALL), "eve", "salt of eve") == first
        assert compiler.num_compiled == 2, "another tenant's first use takes what a first use takes"


async def test_a_killed_process_is_replaced_and_nobody_fails_for_it() -> None:
    async with started(600, slots=1) as compiler:
        await compiler.compile(by(SMALL), "ada", None)
        killed = compiler.pid
        large = by({"type": "object", "properties": {f"p{number}": {"type": "string"} for number in range(500)}})
        running = asyncio.create_task(compiler.compile(large, "ada", None))
        await until(lambda: bool(compiler._running))
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        assert await running
        assert compiler.pid not in (None, killed)
        assert compiler.trouble is None


async def test_what_kills_the_process_twice_is_refused() -> None:
    async with started(600, slots=1) as compiler:
        running = asyncio.create_task(compiler.compile(lark(SLOW), "eve", None))
        for _ in range(2):
            await until(lambda: bool(compiler._running) and compiler.pid is not None)
            assert compiler.pid is not None
            os.kill(compiler.pid, signal.SIGKILL)
            await until(lambda: not compiler._running)
        with pytest.raises(EngineRefused, match="has ended"):
            await running
        assert await compiler.compile(by(SMALL), "ada", None)


async def test_a_process_that_can_not_be_started_is_in_trouble_until_it_can(tmp_path: Path) -> None:
    there = tmp_path / "there"
    command = ("/bin/sh", "-c", f'test -e {there} && exec "$0" "$@" || exit 1', *_COMMAND)
    async with started(command=command, backoff=Backoff(first_seconds=0.01, max_seconds=0.02)) as compiler:
        with pytest.raises(EngineDead, match="can't be compiled"):
            await compiler.compile(by(SMALL), "ada", None)
        assert compiler.trouble is not None
        there.touch()
        await until(lambda: compiler.trouble is None)
        assert await compiler.compile(by(SMALL), "ada", None)


async def test_close_ends_who_waits() -> None:
    async with started(600) as compiler:
        running = asyncio.create_task(compiler.compile(lark(SLOW), "eve", None))
        await until(lambda: bool(compiler._running))
        await compiler.close()
        with pytest.raises(EngineDead):
            await running
        assert compiler.pid is None


_SERVER = """
import asyncio, sys
from tests.engine.test_grammar_compiler import SLOW, by, SMALL, lark, started
async def main():
    async with started(600) as compiler:
        await compiler.compile(by(SMALL), "ada", None)
        asyncio.create_task(compiler.compile(lark(SLOW), "eve", None))
        while not compiler._running:
            await asyncio.sleep(0.01)
        print(compiler.pid, flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""


async def test_the_process_ends_with_a_killed_server(tmp_path: Path) -> None:
    environment = {**os.environ, "A_SECRET": "secret"}
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _SERVER, stdout=asyncio.subprocess.PIPE, env=environment
    )
    assert server.stdout is not None
    pid = int(await asyncio.wait_for(server.stdout.readline(), SECONDS))
    workers = _workers(pid)
    assert len(workers) == 1
    server.kill()
    await server.wait()
    async with asyncio.timeout(SECONDS):
        await until(lambda: all(_is_over(one) for one in (str(pid), *workers)))


def _workers(pid: int) -> list[str]:
    """Those of this process, which knows no secrets of the server's."""
    assert b"A_SECRET" not in Path(f"/proc/{pid}/environ").read_bytes()
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def _is_over(pid: str) -> bool:
    """It is gone, or a zombie that nobody has asked for."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True
