"""Answers of every family through the machine: tokens, chunks, and what comes out."""

from __future__ import annotations

import functools
import json
import random
import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from realtime.context.request_tools import tool_set
from realtime.context.tools import ToolSet
from realtime.dialects.base import CallBegin, CallCut, CallDelta, CallEnd, Piece, ReasoningDelta, TextDelta
from realtime.dialects.markup.detect import ALL_FAMILIES
from realtime.dialects.markup.parser import Asked, MarkupParser
from realtime.dialects.markup.tokens import Markup
from realtime.dialects.markup.writer import write_calls, write_reasoning
from realtime.dialects.stop_strings import StopStrings
from realtime.engine.base import FinishReason, TokenChunk, TokenLogprob
from tests.support.long import effort

Brief = list[tuple[str, ...]]
Spelling = Literal["letters", "tokens", "special"]
"""How a tokenizer has marks: as letters only, as tokens, or as control tokens, which letters can't be."""
SPELLINGS: tuple[Spelling, ...] = ("letters", "tokens", "special")

_TOKEN = re.compile(r"<[^<>\s=]+>|\[/?[A-Z_]+\]|◁/?think▷")
_FIRST_ID = 0x200000

WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "deep": {"type": "object"},
            "days": {"type": "array"},
            "num": {"$ref": "#/$defs/num"},
            "yes": {"type": "boolean"},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "$defs": {"num": {"allOf": [{"type": "number"}]}},
    },
}
ANYTHING: dict[str, Any] = {"type": "function", "name": "anything", "parameters": {"type": "object", "properties": {}}}
NOTE: dict[str, Any] = {"type": "custom", "name": "note"}
TOOLS = tool_set([WEATHER, ANYTHING, NOTE], None, None)

PARIS = ("get_weather", {"city": "Paris"})
OSLO = ("get_weather", {"city": "Oslo"})
NOTHING: tuple[str, dict[str, Any]] = ("anything", {})
HARD = (
    "get_weather",
    {"city": 'Zürich "Süd" 🙂\n\\ <x> {y} [z]', "deep": {"a": [1, {"b": None}], "t": True, "f": 1.5}, "num": 1e22},
)


class Speaker:
    """A model of a family, with a tokenizer of single characters besides its marks."""

    def __init__(self, family: str, spelling: Spelling = "tokens") -> None:
        self.family = ALL_FAMILIES[family]
        found = {token for mark in self.family.marks() for token in _TOKEN.findall(mark)}
        self.marks = sorted(found) if spelling != "letters" else []
        self._ids = {mark: _FIRST_ID + index for index, mark in enumerate(self.marks)}
        self._split = re.compile("|".join(map(re.escape, sorted(self.marks, key=len, reverse=True))) or r"(?!)")
        added = {token_id: (mark, spelling == "special") for mark, token_id in self._ids.items()}
        self._texts = {token_id: mark for token_id, (mark, _) in added.items()}
        self.markup = Markup(self.family, added, self._decode)

    def _decode(self, token_ids: Sequence[int]) -> str:
        return "".join(self._texts.get(token_id) or chr(token_id) for token_id in token_ids)

    def tokens(self, text: str, *, letters: bool = False) -> list[int]:
        """The text as the model generates it: marks as tokens, unless they are spelled."""
        ids: list[int] = []
        at = 0
        while at < len(text):
            found = None if letters else self._split.match(text, at)
            ids.append(self._ids[found[0]] if found is not None else ord(text[at]))
            at += len(found[0]) if found is not None else 1
        return ids

    def chunk(self, token_ids: Sequence[int], finish: FinishReason | None = None, **more: Any) -> TokenChunk:
        """These tokens as the engine delivers them."""
        return TokenChunk(self._decode(token_ids), list(token_ids), finish, **more)


@functools.cache
def speaker(family: str, spelling: Spelling = "tokens") -> Speaker:
    """See Speaker."""
    return Speaker(family, spelling)


def pieces_of(
    one: Speaker,
    token_ids: Sequence[int],
    sizes: Sequence[int] | None = None,
    *,
    finish: FinishReason = FinishReason.STOP,
    logprobs: bool = False,
    stop: Sequence[str] = (),
    **asked: Any,
) -> tuple[list[Piece], MarkupParser]:
    """What comes out, and the parser."""
    parser = MarkupParser(one.markup, Asked(**{"tools": TOOLS, **asked}))
    stops = StopStrings(stop)
    said: list[Piece] = []
    at = 0
    for size in sizes or [1] * len(token_ids):
        ids = token_ids[at : at + size]
        pieces = parser.feed(one.chunk(ids, logprobs=_logprobs(ids) if logprobs else None))
        said += stops.feed(pieces) if stop else pieces
        at += size
        if stops.found is not None:
            break
    else:
        said += stops.feed(parser.feed(one.chunk([], finish)))
    said += stops.close(parser.close())
    check(said)
    return said, parser


def _logprobs(token_ids: Sequence[int]) -> list[list[TokenLogprob]]:
    return [[TokenLogprob(token, chr(token) if token < _FIRST_ID else "<>", -0.5)] for token in token_ids]


def check(pieces: Sequence[Piece]) -> None:
    """The order that every reader of pieces relies on; no call is complete that is not JSON."""
    arguments: list[str] | None = None
    custom = False
    for piece in pieces:
        match piece:
            case CallBegin():
                assert arguments is None
                arguments, custom = [], piece.custom
            case CallDelta():
                assert arguments is not None
                assert piece.arguments
                arguments.append(piece.arguments)
            case CallEnd():
                assert arguments is not None
                assert custom or isinstance(json.loads("".join(arguments)), dict)
                arguments = None
            case CallCut():
                assert arguments is not None
                arguments = None
            case TextDelta() | ReasoningDelta():
                assert arguments is None
                assert piece.text
                piece.text.encode()
            case _:
                raise AssertionError(piece)
    assert arguments is None


def brief(pieces: Sequence[Piece]) -> Brief:
    """The answer as (kind, text or name, arguments), with a `!` where a call was cut."""
    out: list[list[str]] = []
    for piece in pieces:
        match piece:
            case TextDelta(text=text) | ReasoningDelta(text=text):
                kind = "text" if isinstance(piece, TextDelta) else "reasoning"
                if out and out[-1][0] == kind:
                    out[-1][1] += text
                else:
                    out.append([kind, text])
            case CallBegin(name=name):
                out.append(["call", name, ""])
            case CallDelta(arguments=arguments):
                out[-1][2] += arguments
            case CallCut():
                out[-1][0] = "call!"
            case _:
                pass
    return [tuple(one) for one in out]


def chunkings(num_tokens: int, num_random: int = effort(1, 2)) -> Iterator[list[int]]:
    """Sizes of chunks: one token each, all at once, and some by chance."""
    yield [1] * num_tokens
    if num_tokens > 1:
        yield [num_tokens]
    rng = random.Random(num_tokens)
    for longest in range(2, 2 + num_random):
        sizes: list[int] = []
        while (left := num_tokens - sum(sizes)) > 0:
            sizes.append(min(left, rng.randint(1, longest * 3)))
        yield sizes


def said(
    family: str,
    text: str,
    *,
    spellings: Sequence[Spelling] = SPELLINGS,
    finish: FinishReason = FinishReason.STOP,
    **asked: Any,
) -> Brief:
    """What an answer comes to: the same in every chunking and with every tokenizer."""
    found: dict[str, Brief] = {}
    for spelling in spellings:
        one = speaker(family, spelling)
        ids = one.tokens(text)
        for sizes in chunkings(len(ids)):
            got = brief(pieces_of(one, ids, sizes, finish=finish, **asked)[0])
            found[str(got)] = got
    assert len(found) == 1, found
    return next(iter(found.values()))


def calls_of(family: str, calls: Sequence[tuple[str, dict[str, Any]]], form: int = 0) -> str:
    """These calls as the family writes them."""
    return write_calls(ALL_FAMILIES[family].calls[form], calls)


def reasons(family: str) -> tuple[str, Brief]:
    """How the family's answers begin, if it reasons."""
    row = ALL_FAMILIES[family]
    return (write_reasoning(row, "Let me see."), [("reasoning", "Let me see.")]) if row.thinking else ("", [])


def wanted(*calls: tuple[str, dict[str, Any]]) -> Brief:
    """These calls as a client sees them."""
    return [("call", name, json.dumps(arguments, ensure_ascii=False)) for name, arguments in calls]


NONE = tool_set([WEATHER, ANYTHING], "none", None)
EMPTY = ToolSet()
