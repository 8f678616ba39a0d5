"""Rewrite the grammar of a text to the grammar of the same text inside a JSON string. Pure.

A custom tool's input must match the client's grammar, but a model that is free to choose among tools writes it as
`{"input": "..."}`, where quotes, backslashes and control characters are escaped. So each literal and each character
class is put into its escaped form; everything else in a grammar - rules, choices, repetition - stays as it is. Only one
escaped form is allowed, the one that `json.dumps` writes: models were trained on it, and alternatives would only split
the probability of the same text.

The input is xgrammar's own print of a grammar that it has read, whatever language that came in. (It prints a literal
without its NULs, and a set that begins with the character `^` as the opposite set: docs/models.md.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

_TOKEN = re.compile(
    r"""
      (?P<literal> "(?:[^"\\\n]|\\.)*" )
    | (?P<set>     \[(?:[^\]\\\n]|\\.)+\] )
    | (?P<ahead>   \(= )
    | (?P<macro>   [A-Za-z]\w*\( )              # TagDispatch( and the like
    | (?P<other>   ::= | \w[\w.]* | -?\d+ | [(){},|*+?] | \s+ )
    """,
    re.VERBOSE,
)
_CHAR = re.compile(r"\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\U[0-9a-fA-F]{8}|\\.|[^\\]", re.DOTALL)
_NAMED = {"0": "\0", "a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_SHORT = {code: json.dumps(chr(code))[2] for code in map(ord, '\b\t\n\f\r"\\')}  # with a letter of their own
_CONTROL = [code for code in range(0x20) if code not in _SHORT]  # written as \u00..


class UnknownForm(ValueError):
    """An error: something in the grammar can't be put into a JSON string. The text may be shown."""


def escape(ebnf: str) -> str:
    """Return the grammar of `json.dumps(text, ensure_ascii=False)[1:-1]` for each text of this grammar."""
    return "".join(_rewritten(ebnf))


def _rewritten(ebnf: str) -> Iterator[str]:
    """Leave out look-aheads: xgrammar's are hints about what follows, which here is `"`, and match nothing."""
    at = depth = 0  # depth: of parentheses, in a look-ahead
    while at < len(ebnf):
        found = _TOKEN.match(ebnf, at)
        if found is None or found.lastgroup == "macro":
            raise UnknownForm(f"a grammar with {ebnf[at : at + 20]!r} can't be put into JSON")
        token, at = found[0], found.end()
        if found.lastgroup == "ahead" or depth:
            depth += token.count("(") - token.count(")") if found.lastgroup in ("ahead", "other") else 0
        elif found.lastgroup == "literal":
            yield _literal(token)
        else:
            yield _set(token) if found.lastgroup == "set" else token


def _literal(token: str) -> str:
    text = "".join(map(_char, _CHAR.findall(token[1:-1])))
    return _quoted(json.dumps(text, ensure_ascii=False)[1:-1])


def _quoted(text: str) -> str:
    return '"' + "".join(map(_written, map(ord, text))) + '"'


def _set(token: str) -> str:
    negated = token.startswith("[^")
    inside = token[2 if negated else 1 : -1]
    ranges = list(_ranges(inside))
    has = {code for code in (*_SHORT, *_CONTROL) if any(low <= code <= high for low, high in ranges) is not negated}
    ways = [*_as_it_is(ranges, negated=negated), *_escapes(has)]
    return ways[0] if len(ways) == 1 else f"({' | '.join(ways)})"


def _as_it_is(ranges: list[tuple[int, int]], *, negated: bool) -> Iterator[str]:
    """Yield the characters of a set that JSON does not escape."""
    if negated:
        yield f"[^{_spans([*ranges, (0, 0x1F), (0x22, 0x22), (0x5C, 0x5C)])}]"
        return
    plain = [
        (max(low, first), min(high, last))
        for low, high in ranges
        for first, last in ((0x20, 0x21), (0x23, 0x5B), (0x5D, 0x10FFFF))
        if max(low, first) <= min(high, last)
    ]
    if plain:
        yield f"[{_spans(plain)}]"


def _spans(ranges: list[tuple[int, int]]) -> str:
    return "".join(_written(low) if low == high else f"{_written(low)}-{_written(high)}" for low, high in ranges)


def _escapes(has: set[int]) -> Iterator[str]:
    if letters := [_SHORT[code] for code in _SHORT if code in has]:
        yield f"{_quoted(chr(92))} [{''.join(_written(ord(letter)) for letter in letters)}]"
    for first in "01":
        if digits := [f"{code:02x}"[1] for code in _CONTROL if code in has and f"{code:02x}"[0] == first]:
            yield f"{_quoted(chr(92) + 'u00' + first)} [{''.join(digits)}]"


def _ranges(inside: str) -> Iterator[tuple[int, int]]:
    chars = _CHAR.findall(inside)
    at = 0
    while at < len(chars):
        low = high = ord(_char(chars[at]))
        if chars[at + 1 : at + 2] == ["-"] and at + 2 < len(chars):
            high = ord(_char(chars[at + 2]))
            at += 2
        yield low, high
        at += 1


def _char(written: str) -> str:
    if len(written) == 1:
        return written
    kind = written[1]
    return chr(int(written[2:], 16)) if kind in "xuU" and len(written) > 2 else _NAMED.get(kind, kind)


def _written(code: int) -> str:
    """Write a character for a literal or a set, where some characters have a meaning. All others are written in a form
    of fixed length: xgrammar would read `\\x7f` with a digit behind it, as it prints that, as one character.
    """
    return chr(code) if chr(code).isascii() and chr(code).isalnum() else f"\\U{code:08x}"
