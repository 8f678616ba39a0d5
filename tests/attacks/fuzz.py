"""Random requests over all sampling fields, lengths and constraints, in one batch with bystanders of known answers.

What must hold: EngineCore is the same process as before, every request comes to one end of a legal kind, an answer has
what was asked of it, and the bystanders say what they say when they are alone.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Iterator
from typing import Any

import jsonschema

from tests.support.long import LONG

from .arena import ANSWER_SECONDS, Arena, Enough
from .oracle import Reader

WINDOW = 4096  # of the starter model, in tokens
STEP = 2048  # tokens that the engine computes in one step
BLOCK = 32  # tokens in a block of its cache
VOCABULARY = 2048
_LONGEST = None if LONG else 600  # tokens: as long as the window takes minutes on a slow machine
WORDS = (
    "one",
    "two",
    "tell",
    "me",
    "Paris",
    "count",
    "to",
    "5",
    "what",
    "is",
    "2 + 3",
    "Überraschung",
    "日本",
    "🙂",
    "\n",
)
REFUSALS = {"invalid_request", "invalid_prompt", "context_length_exceeded", "unsupported_parameter",
            "server_is_overloaded", "too_many_queued_requests"}  # fmt: skip
REGEX = r"[0-9]{1,3}( [+-] [0-9]{1,3}){1,3};"
LARK = 'start: NUMBER OP NUMBER ";"\nOP: "+" | "-"\nNUMBER: /[0-9]{1,3}/\n'
PERSON = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["person", "robot"]},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "name": {"type": "string", "maxLength": 12},
        "tags": {"type": "array", "items": {"type": "boolean"}, "maxItems": 3},
    },
    "required": ["kind", "age", "name"],
    "additionalProperties": False,
}
SCHEMAS: tuple[Any, ...] = (
    PERSON,
    {"type": "string", "pattern": "^[a-f]{2,20}$"},
    {"type": "integer", "minimum": -5, "maximum": 10**6},
    {"enum": ["yes", "no", None, 3]},
    {"anyOf": [{"type": "null"}, {"type": "boolean"}]},
    {"type": "array", "items": {"type": "number"}, "minItems": 1, "maxItems": 4},
    {"$defs": {"T": {"type": "object", "properties": {"t": {"anyOf": [{"$ref": "#/$defs/T"}, {"type": "null"}]}},
                     "required": ["t"], "additionalProperties": False}}, "$ref": "#/$defs/T"},
    {"type": "integer", "multipleOf": 5},
    {"type": "array", "uniqueItems": True, "items": {"type": "integer"}},
    {"not": {"type": "string"}},
    {},
)  # fmt: skip
WEATHER = {
    "type": "function", "name": "get_weather", "description": "Weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
                   "additionalProperties": False},
}  # fmt: skip
REGISTER = {"type": "function", "name": "register", "parameters": PERSON, "strict": True}
BYSTANDERS: tuple[dict[str, Any], ...] = (
    {"input": "count to 5", "temperature": 0},
    {"input": "add 3 and 4", "temperature": 0},
    {"input": "What is the weather in Paris?", "temperature": 0, "tools": [WEATHER]},
    {"input": "My name is Ada. What is my name?", "temperature": 0},
    {"input": "count to 3", "temperature": 0.5, "seed": 7},
    {"input": "add 3 and 4", "temperature": 0,
     "text": {"format": {"type": "json_schema", "name": "p", "schema": PERSON}}},
)  # fmt: skip


def requests(rng: random.Random) -> Iterator[dict[str, Any]]:
    """Requests without end."""
    while True:
        yield {"input": _prompt(rng), **_sampling(rng), **_limits(rng), **_constraint(rng)}


def _prompt(rng: random.Random) -> str:
    """About as many tokens as chosen: edges of a block, a step and the window among them, and far beyond it."""
    length = rng.choice([1, 1, rng.randrange(5, 60), BLOCK, BLOCK + 1, 10 * BLOCK, STEP - 12, STEP + rng.randrange(64),
                         STEP * 3 // 2, WINDOW - rng.randrange(40), WINDOW, WINDOW + 1, WINDOW * 2])  # fmt: skip
    if length < 60 or rng.random() < 0.2:
        return " ".join(rng.choices(WORDS, k=max(1, length // 2)))
    return "1 " * (length // 2)  # two tokens each, so that the edge is hit within a few


def _sampling(rng: random.Random) -> dict[str, Any]:
    fields: dict[str, list[Any]] = {
        "temperature": [0, 1e-6, 1e-3, 0.7, 1, 2],
        "top_p": [1e-9, 0.1, 0.9, 1],
        "top_k": [-1, 0, 1, 2, 50, VOCABULARY, VOCABULARY + 1, 2**31 - 1],
        "min_p": [0, 0.05, 1],
        "presence_penalty": [-2, 0, 2],
        "frequency_penalty": [-2, 0, 2],
        "repetition_penalty": [1e-9, 0.5, 1, 1.3, 10],
        "seed": [0, 1, -1, 2**63 - 1, -(2**63), rng.randrange(2**32)],
        "stop": ["a", ["\n", "5"], [" "] * 16, ["z" * 200], ["日", ","]],
        "logit_bias": [{"0": 100}, {str(VOCABULARY - 1): -100}, {str(VOCABULARY): 5}, {"-1": 1}, {},
                       {str(n): rng.uniform(-100, 100) for n in range(300)},
                       {str(n): -100 for n in range(VOCABULARY // 2)}],
        "stop_token_ids": [[0], [VOCABULARY - 1], [VOCABULARY], [-1], list(range(64)), [2041]],
        "ignore_eos": [True, False],
        "top_logprobs": [0, 1, 5, 20],
        "include": [["message.output_text.logprobs"], ["token_ids"], ["reasoning.content"]],
        "reasoning": [{"effort": "none"}, {"effort": "high"}],
        "cache_salt": ["a", "b"],
        "truncation": ["auto"],
        "context_management": [[{"type": "compaction", "compact_threshold": 1000}]],
        "generate": [False],
    }  # fmt: skip
    rare = {"generate", "context_management", "truncation"}
    chosen = [name for name in fields if rng.random() < (0.04 if name in rare else 0.3)]
    return {name: rng.choice(fields[name]) for name in chosen}


def _limits(rng: random.Random) -> dict[str, Any]:
    """Mostly short answers, so that a batch changes all the time."""
    length = rng.choice([1, 2, 5, 20, 20, 60, 150, 400, _LONGEST])
    return {} if length is None else {"max_output_tokens": length}


def _constraint(rng: random.Random) -> dict[str, Any]:
    custom = {"type": "custom", "name": "calculate", "description": "Calculate a sum"}
    regex = {**custom, "format": {"type": "grammar", "syntax": "regex", "definition": REGEX}}
    lark = {**custom, "format": {"type": "grammar", "syntax": "lark", "definition": LARK}}
    named = {"type": "custom", "name": "calculate"}
    return rng.choice([
        {}, {}, {}, {},
        {"text": {"format": {"type": "json_object"}}},
        {"text": {"format": {"type": "json_schema", "name": "n", "schema": rng.choice(SCHEMAS)}}},
        {"text": {"format": {"type": "json_schema", "name": "n", "schema": rng.choice(SCHEMAS)}}},
        {"tools": [WEATHER]}, {"tools": [WEATHER, REGISTER], "tool_choice": "required"},
        {"tools": [REGISTER], "tool_choice": {"type": "function", "name": "register"}},
        {"tools": [REGISTER], "parallel_tool_calls": False},
        {"tools": [regex], "tool_choice": named}, {"tools": [lark], "tool_choice": named},
        {"tools": [WEATHER, lark, {**regex, "name": "compute"}], "tool_choice": "required"},
    ])  # fmt: skip


async def fuzz(arena: Arena, enough: Enough, *, width: int = 12) -> None:
    """`width` clients that send random requests and cancel some, beside the bystanders, who ask again and again."""
    alone = [text_of(await _answer(arena, members, "a bystander alone")) for members in BYSTANDERS]
    arena.tally.add("bystanders alone", len(alone))
    async with asyncio.TaskGroup() as group:
        for number in range(width):
            group.create_task(_stranger(arena, enough, arena.rng("fuzz", number)))
        for members, text in zip(BYSTANDERS, alone, strict=True):
            group.create_task(_bystander(arena, enough, members, text))
    state = await arena.quiet()
    if state["num_restarts"]:
        arena.tally.wrong.append(f"the engine died {state['num_restarts']} times")


async def _bystander(arena: Arena, enough: Enough, members: dict[str, Any], alone: str) -> None:
    while not enough():
        final = await _answer(arena, members, "a bystander")
        arena.tally.add("bystanders' answers")
        if text_of(final) != alone:
            said = f"{final['status']} {final.get('error')}: {text_of(final)!r}, alone {alone!r}"
            arena.tally.wrong.append(f"a bystander was told {said} to {members}")


async def _answer(arena: Arena, members: dict[str, Any], who: str) -> dict[str, Any]:
    async with arena.http() as client:
        answer: dict[str, Any] = (await client.post("/v1/responses", json=members)).json()
    if "error" in answer and "status" not in answer:
        answer = {"status": "refused", "output": [], **answer}
    return answer


def text_of(final: dict[str, Any]) -> str:
    """All that an answer says, whatever ids it has."""
    kept = ("content", "arguments", "name", "status", "summary")
    return json.dumps([{name: item[name] for name in kept if name in item} for item in final["output"]])


async def _stranger(arena: Arena, enough: Enough, rng: random.Random) -> None:
    """One request after another on a socket; a third is cancelled at some moment."""
    drawn = requests(rng)
    async with arena.dial() as client:
        while not enough():
            members = next(drawn)
            arena.tally.add("fuzzed requests")
            await client.send("response.create", **members)
            cancel_after = rng.choice([0, 1, 3, rng.randrange(40)]) if rng.random() < 0.3 else None
            await _follow(arena, client, members, cancel_after)


async def _follow(arena: Arena, client: Any, members: dict[str, Any], cancel_after: int | None) -> None:
    reader: Reader | None = None
    heard = 0
    while reader is None or not reader.over:
        if heard == cancel_after and reader is not None:
            await client.send("response.cancel", response_id=reader.response_id)
            cancel_after = None
            arena.tally.add("cancels")
        raw = await client.receive_raw(ANSWER_SECONDS)
        event = json.loads(raw)
        if event["type"] == "error":
            code = event["error"]["code"]
            arena.tally.refused("fuzz", code)
            if "response_id" in event["error"]:  # a cancel that came too late, maybe of the answer before
                continue
            if code not in REFUSALS:
                arena.tally.wrong.append(f"{code} {event['error']['message']!r} to {_short(members)}")
            if reader is None:
                return
            continue
        if "response_id" in event:
            reader = reader or arena.oracle.reader(event["response_id"], who="a stranger")
            reader.hear(raw.encode())
            heard += 1
    final = arena.oracle.close(reader.response_id)
    if final is not None:
        for words in broken_promises(members, final):
            arena.tally.wrong.append(f"{words} by {_short(members)}: {_short(final)}")
        arena.tally.refused("fuzz ends", final["status"] + (f" {final['error']['code']}" if final["error"] else ""))


def _short(shown: dict[str, Any]) -> dict[str, Any]:
    """As much of it as says what it is."""
    echoed = {"tools", "tool_choice", "text", "metadata"} if "object" in shown else ()
    return {
        name: value if len(str(value)) < 160 else f"{str(value)[:60]}... of {len(value)}"
        for name, value in shown.items()
        if name not in echoed and value is not None
    }


def broken_promises(members: dict[str, Any], final: dict[str, Any]) -> Iterator[str]:
    """What an answer did not keep of what was asked for, in words."""
    if final["status"] == "failed":
        if final["error"]["code"] not in REFUSALS:
            yield f"failed with {final['error']}"
        return
    limit = members.get("max_output_tokens")
    compacted = any(item["type"] == "compaction" for item in final["output"])
    if limit is not None and not compacted and final["usage"]["output_tokens"] > limit:
        yield f"{final['usage']['output_tokens']} tokens, {limit} at most"
    stops = members.get("stop", [])
    said = [part["text"] for item in final["output"] if item["type"] == "message" for part in item["content"]]
    for stop in [stops] if isinstance(stops, str) else stops:
        if any(stop in text for text in said):
            yield f"the stop string {stop!r} is in {said}"
    if final["status"] == "completed" and "stop" not in members and "stop_token_ids" not in members:
        yield from _unheld(members, final, "".join(said))


def _parsed(text: str) -> Any:
    """JSON, and control characters in its strings: xgrammar 0.2.8 lets them pass where a string has a `maxLength`."""
    return json.loads(text, strict=False)


def _unheld(members: dict[str, Any], final: dict[str, Any], said: str) -> Iterator[str]:
    """Constraints that a complete answer does not keep."""
    form = members.get("text", {}).get("format", {})
    if form and any(item["type"] == "message" for item in final["output"]):
        try:
            jsonschema.validate(_parsed(said), form.get("schema", {"type": "object"}))
        except (ValueError, jsonschema.ValidationError) as error:
            yield f"{said[:200]!r} is not {form}: {str(error)[:200]}"
    for item in final["output"]:
        if item["type"] == "function_call" and item["name"] == "register" and item["status"] == "completed":
            try:
                jsonschema.validate(_parsed(item["arguments"]), PERSON)
            except (ValueError, jsonschema.ValidationError) as error:
                yield f"{item['arguments'][:200]!r} is not what the tool takes: {str(error)[:200]}"
        if item["type"] == "custom_tool_call" and item["status"] == "completed":
            formats = {tool["name"]: tool.get("format") for tool in members.get("tools", [])}
            grammar = formats.get(item["name"])
            if grammar is None:
                yield f"a call of {item['name']}, which was not offered with a grammar"
            elif not re.fullmatch(
                REGEX if grammar["syntax"] == "regex" else r"[0-9]{1,3}[+-][0-9]{1,3};", item["input"]
            ):
                yield f"{item['input']!r} is not of the grammar"
