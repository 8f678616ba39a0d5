"""Requests that cost far more to serve than to send, or that a careless server never gets over: what, and its answers.

A bomb is refused by name or served; it may not end, stop or slow down the server for others. Those that must be built
anew for each use, because they are large, are functions.
"""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import httpx2
import msgspec
from websockets.exceptions import ConnectionClosed

from .arena import ANSWER_SECONDS, Arena, Enough

Body = dict[str, Any]
REFUSED = frozenset({"invalid_request", "invalid_prompt", "message_too_complex", "invalid_json", "request_too_large",
                     "context_length_exceeded", "unsupported_parameter", "image_too_large", "image_parse_error",
                     "image_file_too_large", "invalid_base64_image", "unsupported_image_media_type"})  # fmt: skip


class Bomb(msgspec.Struct, frozen=True):
    """One. `body` makes the bytes of the request; `codes`: what may answer it, beside an answer if `served`."""

    name: str
    body: Callable[[], bytes]
    codes: frozenset[str] = REFUSED
    served: bool = False


def schema(value: Any, **members: Any) -> Body:
    """A request for an answer of this schema."""
    return {"input": "hi", "max_output_tokens": 30, **members,
            "text": {"format": {"type": "json_schema", "name": "n", "schema": value}}}  # fmt: skip


def strict(value: Any) -> Body:
    """A request with a strict tool of this schema, which must be called."""
    tool = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {"x": value}}}
    return {"input": "hi", "max_output_tokens": 30, "tools": [{**tool, "strict": True}], "tool_choice": "required"}


def grammar(syntax: str, definition: str) -> Body:
    """A request with a custom tool of this grammar, which must be called."""
    form = {"type": "grammar", "syntax": syntax, "definition": definition}
    tool = {"type": "custom", "name": "c", "format": form}
    return {"input": "hi", "max_output_tokens": 30, "tools": [tool], "tool_choice": {"type": "custom", "name": "c"}}


def chain(length: int, *, objects: bool = False) -> Any:
    """A schema whose references lead through so many definitions."""

    def link(number: int) -> Any:
        ref = {"$ref": f"#/$defs/D{number + 1}"}
        return {"type": "object", "properties": {"x": ref}, "required": ["x"]} if objects else ref

    links = {f"D{number}": link(number) for number in range(length)}
    return {"$defs": {**links, f"D{length}": {"type": "integer"}}, "$ref": "#/$defs/D0"}


def doubling(depth: int) -> Any:
    """A schema of which each definition has the next one twice: small to write, 2^depth written out."""

    def twice(number: int) -> Any:
        ref = {"$ref": f"#/$defs/D{number + 1}"}
        return {"type": "object", "properties": {"a": ref, "b": ref}, "required": ["a", "b"]}

    return {"$defs": {**{f"D{number}": twice(number) for number in range(depth)}, f"D{depth}": {"type": "null"}},
            "$ref": "#/$defs/D0"}  # fmt: skip


def image(width: int, height: int) -> str:
    """A PNG whose head promises this many pixels and whose body is short."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))

    head = struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(100_000)))
            + chunk(b"IEND", b""))  # fmt: skip
    return "data:image/png;base64," + base64.b64encode(data).decode()


def with_image(url: str) -> Body:
    """A request that shows an image."""
    return {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": url}]}]}


def _text(*pieces: str, **members: Any) -> Body:
    return {"input": "".join(pieces), "max_output_tokens": 5, **members}


def _messages(count: int, words: int) -> list[Body]:
    return [{"role": "user", "content": "word " * words}] * count


def _bombs() -> Iterator[Bomb]:
    for name, value in SCHEMAS.items():
        yield Bomb(f"schema: {name}", partial(_encoded, schema, value), served=True)
    for name in ("60,000 groups", "20,000 repeats", "a circle of references", "20,000 values"):
        yield Bomb(f"strict tool: {name}", partial(_encoded, strict, SCHEMAS[name]))
    for name, form in GRAMMARS.items():
        yield Bomb(f"grammar: {name}", partial(_encoded, grammar, *form), served=True)
    for name, body in OTHERS.items():
        yield Bomb(name, partial(_encoded, dict, body), served=True)


def _encoded(make: Callable[..., Body], *arguments: Any) -> bytes:
    return json.dumps(make(*arguments)).encode()


SCHEMAS: dict[str, Any] = {
    "60,000 groups": {"type": "string", "pattern": "(" * 60_000 + "a" + ")" * 60_000},
    "20,000 repeats": {"type": "string", "pattern": "^a{20000}$"},
    "repeats of repeats": {"type": "string", "pattern": "^(((a{100}){100}){100}){100}$"},
    "alternatives of alternatives": {"type": "string", "pattern": "^(" + "|".join(["(a|b|c)*"] * 400) + ")*$"},
    "a pattern that backtracks": {"type": "string", "pattern": "^(a+)+(b+)+(a+)+$"},
    "20,000 references in a chain": chain(20_000),
    "2,000 objects in a chain": chain(2_000, objects=True),
    "400 objects in a chain": chain(400, objects=True),
    "a reference to itself": {"$ref": "#"},
    "a circle of references": {"$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}, "$ref": "#/$defs/A"},
    "twice the next, 40 deep": doubling(40),
    "twice the next, 12 deep": doubling(12),
    "20,000 values": {"enum": [f"value{number}" for number in range(20_000)]},
    "1,000 values": {"enum": [f"value{number}" for number in range(1_000)]},
    "5,000 optional properties": {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(5_000)}},
    "300 optional properties": {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(300)}},
    "60 levels": json.loads('{"type":"array","items":' * 25 + "{}" + "}" * 25),
    "multipleOf": {"type": "object", "properties": {"a": {"type": "integer", "multipleOf": 5}}, "required": ["a"]},
    "allOf of oneOf": {"allOf": [{"oneOf": [{"type": "integer"}, {"type": "string"}]}] * 50},
    "not a type": {"type": "not-a-type"},
    "an empty anyOf": {"anyOf": []},
    "a number of 400 digits": {"type": "integer", "minimum": -(10**400)},
    "a minLength of a billion": {"type": "string", "minLength": 10**9},
    "minItems of a million": {"type": "array", "items": {"type": "integer"}, "minItems": 10**6},
    "a range of 2^63": {"type": "integer", "minimum": -(2**63), "maximum": 2**63},
    "a back reference": {"type": "string", "pattern": r"^(a)\1$"},
    "a lookahead": {"type": "string", "pattern": "^(?!a)[ab]$"},
}  # fmt: skip
GRAMMARS: dict[str, tuple[str, str]] = {
    "9,000 groups": ("regex", "(" * 9_000 + "a" + ")" * 9_000),
    "repeats of repeats": ("regex", "((a{1000}){1000}){1000}"),
    "a lone backslash": ("regex", "\\"),
    "a rule of itself": ("lark", "start: start\n"),
    "left recursion": ("lark", 'start: start "a" | "a"\n'),
    "a rule that is not there": ("lark", "start: NOWHERE\n"),
    "10,000 rules": ("lark", "start: r0\n" + "".join(f"r{n}: r{n + 1}\n" for n in range(10_000)) + 'r10000: "a"\n'),
    "repeats": ("lark", 'start: "a"~1000000\n'),
    "nothing": ("lark", ""),
}
OTHERS: dict[str, Body] = {
    "a gigapixel image": with_image(image(100_000, 100_000)),
    "an image of 2^31 columns": with_image(image(2**31 - 1, 2**31 - 1)),
    "an image that is none": with_image("data:image/png;base64," + "A" * 100_000),
    "token ids beyond the vocabulary": _text("hi", logit_bias={str(2**31 - 1): 1}),
    "1,024 biases": _text("hi", logit_bias={str(number): -100 for number in range(1_024)}),
    "a top_k of 2^31": _text("hi", top_k=2**31 - 1),
    "a seed and a long prompt": _text("what is 2 + 3? " * 420, seed=1, temperature=0.7),
    "9,990 messages, cut to fit": {"input": _messages(9_990, 3), "truncation": "auto", "max_output_tokens": 5},
    "a million of one character": _text("a" * 10**6),
    "a million emoji": _text("🙂" * 10**6),
    "a million line ends": _text("\n" * 10**6),
    "control tokens": _text("<|im_start|>" * 50_000),
    "16 stop strings of 10,000": _text("count to 5", stop=["x" * 10_000] * 16),
    "a lone surrogate": {"input": [{"role": "user", "content": "w"},
                                   {"type": "function_call", "call_id": "c", "name": "f",
                                    "arguments": '{"city": "\\ud83d"}'},
                                   {"type": "function_call_output", "call_id": "c", "output": "x"}],
                         "max_output_tokens": 5},
}  # fmt: skip
RAW: tuple[Bomb, ...] = (
    Bomb("100,000 brackets", lambda: b'{"input":' + b"[" * 100_000),
    Bomb("a million values", lambda: b'{"x":[' + b",".join([b"[]"] * 1_000_001) + b"]}"),
    Bomb("a number of 100,000 digits", lambda: b'{"input":"hi","seed":' + b"9" * 100_000 + b"}"),
    Bomb("1e400", lambda: b'{"input":"hi","temperature":1e400}'),
    Bomb("bytes that are no UTF-8", lambda: b'{"input":"\xff\xfe"}', frozenset({"invalid_json", "close 1007"})),
    Bomb("10,001 items", lambda: json.dumps({"input": _messages(10_001, 1)}).encode()),
)
BOMBS: tuple[Bomb, ...] = (*_bombs(), *RAW)
HUGE = Bomb("15 MB of text", lambda: json.dumps({"input": "word " * 3_000_000}).encode())
HUGE_WORD = Bomb("15 MB of one word", lambda: json.dumps({"input": "a" * 15_500_000}).encode())


async def throw(arena: Arena, bomb: Bomb, door: str, data: bytes | None = None) -> str:
    """Send a bomb through a door (`http`, `socket`) and say what became of it: a status, or the code of an error.

    `data`: its bytes, where they are used more than once.
    """
    data = bomb.body() if data is None else data
    try:
        told = await (_over_http if door == "http" else _over_a_socket)(arena, data)
    except ConnectionClosed as closed:
        told = f"close {closed.rcvd.code if closed.rcvd is not None else 1006}"
    except (httpx2.TimeoutException, TimeoutError):
        told = f"nothing in {ANSWER_SECONDS} s"
    arena.tally.add("bombs")
    arena.tally.refused(bomb.name, told)
    if told not in bomb.codes and not (bomb.served and told in ("completed", "incomplete")):
        arena.tally.wrong.append(f"the bomb {bomb.name!r} was answered {told} over {door}")
    return told


async def _over_http(arena: Arena, data: bytes) -> str:
    async with arena.http() as client:
        answer = (await client.post("/v1/responses", content=data)).json()
    return _said(answer)


async def _over_a_socket(arena: Arena, data: bytes) -> str:
    """As a create whose members are those of the body."""
    async with arena.dial() as client:
        await client.connection.send(data.replace(b"{", b'{"type":"response.create",', 1), text=True)
        while True:
            event = await client.receive(ANSWER_SECONDS)
            if event["type"] == "error":
                return _said(event)
            if "response_id" in event and event["done"]:
                return _said(event["response"])


def _said(answer: Any) -> str:
    """The code of an error, or the status of an answer."""
    return str((answer.get("error") or {}).get("code") or answer["status"])


async def bombard(arena: Arena, enough: Enough, *, bombs: Sequence[Bomb] = BOMBS, at_once: int = 4) -> None:
    """Every bomb through every door, several at once; then again, until it is enough."""
    todo = [(bomb, door) for bomb in bombs for door in ("http", "socket")]
    arena.rng("bombs").shuffle(todo)
    gate = asyncio.Semaphore(at_once)

    async def one(bomb: Bomb, door: str) -> None:
        async with gate:
            await throw(arena, bomb, door)

    while True:
        async with asyncio.TaskGroup() as group:
            for bomb, door in todo:
                group.create_task(one(bomb, door))
        if enough():
            break
    await arena.quiet()
