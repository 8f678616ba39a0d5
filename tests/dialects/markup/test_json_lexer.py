"""JSON as it comes in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.dialects.markup.json_lexer import JsonLexer, clean, quoted
from realtime.wire.json_text import is_object
from tests.support.long import effort

JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def lexed(text: str, sizes: list[int]) -> tuple[str, bool, bool, str]:
    """What is passed on, whether it is done or broken, and the rest."""
    lexer, out, at = JsonLexer(), "", 0
    while at < len(text):
        for size in sizes:
            part = text[at : at + size]
            said, stop = lexer.feed(part)
            out += said
            if lexer.done or lexer.broken:
                return out, lexer.done, lexer.broken, text[at + stop :]
            assert stop == len(part)
            at += size
    return out + lexer.close(), False, False, ""


@settings(max_examples=effort(150, 20_000))
@given(JSONS, st.booleans(), st.text(max_size=4), st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_a_value_passes_as_it_is_and_ends_where_it_ends(value: Any, ascii_: bool, tail: str, sizes: list[int]) -> None:
    text = json.dumps({"v": value}, ensure_ascii=ascii_)
    rest = text + " " + tail
    assert lexed(rest, sizes) == (text, True, False, " " + tail)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ('{"a": "\\ud83d"}', '{"a": "\\ufffd"}'),
        ('{"a": "\\ude00x"}', '{"a": "\\ufffdx"}'),
        ('{"a": "\\ud83d\\ud83d\\ude00"}', '{"a": "\\ufffd\\ud83d\\ude00"}'),
        ('{"a": "\\ud83d\\n"}', '{"a": "\\ufffd\\n"}'),
        ('{"a": "\\\\ud83d"}', '{"a": "\\\\ud83d"}'),
        ('{"a": "x\ny\t\x01"}', '{"a": "x\\ny\\t\\u0001"}'),
    ],
)
def test_what_is_not_json_and_has_one_meaning_becomes_json(text: str, want: str) -> None:
    for sizes in ([1], [2], [3], [7], [100]):
        assert lexed(text, sizes) == (want, True, False, "")
    assert clean(text) == want
    assert is_object(want)
    json.loads(want)["a"].encode()


@pytest.mark.parametrize(
    ("text", "said"),
    [("{]", "{"), ('{"a": <', '{"a": '), ("}", ""), ("[}", "["), ("{'a'", "{"), ('{"a": \udc80', '{"a": ')],
)
def test_what_can_not_become_json_is_broken_where_that_is_certain(text: str, said: str) -> None:
    for sizes in ([1], [100]):
        assert lexed(text, sizes) == (said, False, True, text[len(said) :])


@pytest.mark.parametrize("text", ["null", "-12.5e3", "true", '"a, b}"'])
@pytest.mark.parametrize("end", ["}", "]", ",", " ", "\n"])
def test_a_value_that_is_no_object_ends_where_something_else_follows(text: str, end: str) -> None:
    for sizes in ([1], [2], [100]):
        assert lexed(text + end + "x", sizes) == (text, True, False, end + "x")


def test_depth_is_bounded() -> None:
    assert lexed('{"a":' + "[" * 10_000, [1000])[2]


def test_a_cut_escape_is_said_at_the_end() -> None:
    assert lexed('{"a": "x\\', [100])[0] == '{"a": "x\\'
    assert lexed('{"a": "x\\u00', [1])[0] == '{"a": "x\\u00'


@given(st.text())
def test_quoted(text: str) -> None:
    assert json.loads(f'"{quoted(text)}"') == text
