"""JSON inside of texts: whatever is in it, what comes out can be said in UTF-8."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.wire.json_text import is_json, loads, without_surrogates
from tests.support.fuzz import examples


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"\ud83d"', "\ufffd"),
        (r'"\udc00\ud83d"', "\ufffd\ufffd"),
        (r'"\uD83D\uDE00 \ud83d"', "😀 \ufffd"),
        (r'{"\ud83d": ["\ude00", 1]}', {"\ufffd": ["\ufffd", 1]}),
        (r'"\\ud83d"', r"\ud83d"),
        ("{}", {}),
    ],
)
def test_half_of_a_pair_is_replaced_and_nothing_else(text: str, value: Any) -> None:
    assert loads(text) == value


@pytest.mark.parametrize("text", ["", "{", '{"a": "\\ud8', "[" * 100_000, '{"a":' * 100_000, "[" * 5000 + "]" * 5000])
def test_what_is_none_is_a_value_error(text: str) -> None:
    assert not is_json(text)
    with pytest.raises(ValueError, match=r".") as caught:
        loads(text)
    assert len(str(caught.value)) < 200


@examples(200)
@given(st.text(st.characters(codec=None, categories=None), max_size=20))
def test_any_text_comes_out_sayable(text: str) -> None:
    without_surrogates(text).encode()
    json.dumps(loads(json.dumps({text: [text]})), ensure_ascii=False).encode()
    clean = without_surrogates(text)
    assert loads(json.dumps(clean)) == clean
