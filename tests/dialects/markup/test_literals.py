"""Arguments in a programming language, to JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.dialects.markup.literals import PYTHON, Style, converted
from realtime.dialects.markup.schema import Types
from realtime.dialects.markup.typed_literals import TypedLiteralLexer
from tests.support.long import effort

GEMMA = Style((('<|"|>',),), "}", ":", escapes=False, bare=True)


def _text(key: str) -> Types:
    return frozenset({"string"} if key == "text" else {"integer"})


def lexed(text: str, size: int, style: Style = PYTHON) -> tuple[str, bool, bool, str]:
    """The JSON, whether it is done or broken, and the rest."""
    lexer, out, buffer = TypedLiteralLexer(style, _text, str), list[str](), ""
    for at in range(0, len(text), size):
        buffer += text[at : at + size]
        buffer = buffer[lexer.feed(buffer, 0, out) :]
        if lexer.done or lexer.broken:
            return "".join(out), lexer.done, lexer.broken, buffer + text[at + size :]
    return "".join(out), False, False, buffer


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (")", {}),
        ("  )", {}),
        ("a=1, b='x')", {"a": 1, "b": "x"}),
        ('a=\'it\\\'s\', b="say \\"x\\"")', {"a": "it's", "b": 'say "x"'}),
        ("a='\\n\\t\\x41\\u00e9\\U0001F642\\d')", {"a": "\n\tAé🙂\\d"}),
        ("a='\\ud83d\\ude42', b='\\ud83d')", {"a": "🙂", "b": "\ufffd"}),
        ("a='''x'y''z''', b='')", {"a": "x'y''z", "b": ""}),
        ("a=[1, -2.5, (True, False), None, {'k': [],},])", {"a": [1, -2.5, [True, False], None, {"k": []}]}),
        ("a=true, b=null)", {"a": True, "b": None}),
        ("a=+1, b=1_000, c=0x10, d=.5, e=1., f=007)", {"a": 1, "b": 1000, "c": 16, "d": 0.5, "e": 1.0, "f": 7}),
        ("a={'b c': 1, \"d\": {'e': 'f'}},)", {"a": {"b c": 1, "d": {"e": "f"}}}),
        ('a=")", b="],("  )', {"a": ")", "b": "],("}),
    ],
)
def test_python(text: str, want: dict[str, Any]) -> None:
    for size in (1, 2, 3, 100):
        said, done, broken, rest = lexed(text + "; x", size)
        assert (done, broken, rest) == (True, False, "; x")
        assert json.loads(said) == want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("}", {}),
        ('a:<|"|>x, "y" {<|"|>,b:[1,true,{c:<|"|><|"|>}]}', {"a": 'x, "y" {', "b": [1, True, {"c": ""}]}),
        ("text:hello world,n:42}", {"text": "hello world", "n": 42}),
        ("text:42}", {"text": "42"}),
        ("n:odd}", {"n": "odd"}),
    ],
)
def test_gemma(text: str, want: dict[str, Any]) -> None:
    for size in (1, 2, 3, 100):
        said, done, _, rest = lexed(text + "<tool", size, GEMMA)
        assert (done, rest) == (True, "<tool")
        assert json.loads(said) == want


@pytest.mark.parametrize("text", ["a=b)", "1)", "a)", "a=1 b=2)", "a={'b'})", "a={1: 2})", "=1)", "a=f(1))"])
def test_what_can_not_be_read_is_broken(text: str) -> None:
    for size in (1, 100):
        said, done, broken, rest = lexed(text, size)
        assert broken
        assert not done
        assert said.startswith("{")
        assert rest


def test_words_without_end_are_broken() -> None:
    assert lexed("a" * 10_000, 100)[2]
    assert lexed("n=" + "1" * 10_000, 100)[2]


@settings(max_examples=effort(100, 10_000))
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    ),
    st.integers(1, 7),
)
def test_what_python_writes_is_read(value: Any, size: int) -> None:
    said, done, _, _ = lexed(f"a={value!r})", size)
    assert done
    assert json.loads(said) == {"a": value}
    assert json.loads(converted(repr([value])) or "") == [value]
