"""The streams whose tokens `cost` counts: text, reasoning and the arguments of a call, in each kind of parser. Some
tokens begin them, then they go on for ever.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from realtime.dialects.base import Dialect
from realtime.dialects.chat import ChatDialect
from realtime.dialects.harmony.dialect import HarmonyDialect
from realtime.dialects.markup.detect import ALL_FAMILIES
from realtime.dialects.markup.named import NOTHING
from realtime.dialects.markup.reader import MarkupReader
from realtime.engine.base import EngineRequest, Loaded
from realtime.engine.scripted import Script, Step

from . import harmony

_WORDS = (" once", " upon", " a", " time", " there", " was", " a", " fox")
_MEMBERS = (" once", " upon", " a", "\\n", " time", '", "', "key", '": "')  # more of a JSON object, in its first string
_CALL = '{"text": "'
_TOOL = {"type": "function", "name": "write", "parameters": {"type": "object", "properties": {}}}
_SHOWN = {"reasoning": {"summary": "auto"}}

Speaks = Callable[[Loaded], Dialect]


class Stream(msgspec.Struct, frozen=True):
    """One stream. `members`: of the request. `delta`: the type of its events."""

    speaks: Speaks
    script: Script
    delta: str
    members: dict[str, Any] = {}


def _plain(loaded: Loaded) -> Dialect:
    return ChatDialect(loaded.tokenizer, MarkupReader(NOTHING, loaded.tokenizer))


def _markup(family: str) -> Speaks:
    def speaks(loaded: Loaded) -> Dialect:
        return ChatDialect(loaded.tokenizer, MarkupReader(ALL_FAMILIES[family], loaded.tokenizer))

    return speaks


def _harmony(loaded: Loaded) -> Dialect:
    return HarmonyDialect(harmony.encoding(), lambda: "2026-01-01")


def _of_texts(begin: Iterable[str], more: Iterable[str]) -> Script:
    def play(request: EngineRequest) -> Iterator[Step]:
        return itertools.chain(begin, itertools.cycle(more))

    return play


def _of_harmony(begin: str, more: Iterable[str]) -> Script:
    def play(request: EngineRequest) -> Iterator[Step]:
        steps = [step for text in more for step in harmony.steps(text)]
        return itertools.chain(harmony.steps(begin), itertools.cycle(steps))

    return play


TEXT = Stream(_plain, _of_texts((), _WORDS), "response.output_text.delta")
STREAMS = {
    "text": TEXT,
    "reasoning": Stream(
        _markup("qwen3"), _of_texts(("<think>", "\n", "Hm"), _WORDS), "response.reasoning_summary_text.delta", _SHOWN
    ),
    "hidden reasoning": Stream(_markup("qwen3"), _of_texts(("<think>", "\n", "Hm"), _WORDS), ""),
    "arguments": Stream(
        _markup("qwen3"),
        _of_texts(("<tool_call>", "\n", '{"name": "write", "arguments": ', _CALL), _MEMBERS),
        "response.function_call_arguments.delta",
        {"tools": [_TOOL]},
    ),
    "arguments in tags": Stream(
        _markup("qwen3_coder"),
        _of_texts(("<tool_call>", "\n<function=write>\n", "<parameter=text>\n", "Once"), _WORDS),
        "response.function_call_arguments.delta",
        {"tools": [_TOOL]},
    ),
    "text in Harmony": Stream(
        _harmony, _of_harmony("<|channel|>final<|message|>", _WORDS), "response.output_text.delta"
    ),
    "reasoning in Harmony": Stream(
        _harmony,
        _of_harmony("<|channel|>analysis<|message|>", _WORDS),
        "response.reasoning_summary_text.delta",
        _SHOWN,
    ),
    "arguments in Harmony": Stream(
        _harmony,
        _of_harmony(f"<|channel|>commentary to=functions.write <|constrain|>json<|message|>{_CALL}", _MEMBERS),
        "response.function_call_arguments.delta",
        {"tools": [_TOOL]},
    ),
}
