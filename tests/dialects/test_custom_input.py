"""The free text of a custom tool's call, out of the JSON that the model writes."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.dialects.custom_input import InputDecoder


def decode(arguments: str, sizes: list[int] | None = None) -> str:
    """Fed in pieces of these sizes, over and over; one character each without."""
    decoder, out, at, turn = InputDecoder(), "", 0, 0
    while at < len(arguments):
        size = (sizes or [1])[turn % len(sizes or [1])]
        out += decoder.feed(arguments[at : at + size])
        at, turn = at + size, turn + 1
    return out + decoder.close()


@given(
    text=st.text(st.characters(exclude_categories=["Cs"])),
    sizes=st.lists(st.integers(1, 8), min_size=1),
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 1]),
)
def test_any_text_comes_out_as_it_went_in(text: str, sizes: list[int], ascii_only: bool, indent: int | None) -> None:
    arguments = json.dumps({"input": text}, ensure_ascii=ascii_only, indent=indent)
    assert decode(arguments, sizes) == text


@pytest.mark.parametrize(
    ("arguments", "want"),
    [
        ('{"input": ""}', ""),
        ('{"input": "a\\/b"}', "a/b"),
        ('{"input": "\\ud83d\\ude42"}', "🙂"),
        ('{"input": "\\ude42"}', "\ufffd"),
        ('{"input": "\\ud83dx"}', "\ufffdx"),
        ('{"input": "\\ud83d\\ud83d\\ude42"}', "\ufffd🙂"),
        ('{"input": "\\ud83d\\n"}', "\ufffd\n"),
        ('{"input": "\\ud83d"}', "\ufffd"),
        ('{"input": "a"} and more', "a"),
        ('{"input": "a", "other": "b"}', "a"),
        ('{"input": "cut \\', "cut "),
        ('{"input": "cut \\u00', "cut "),
        ('{"text": "a"}', '{"text": "a"}'),
        ("{}", ""),
        ("", ""),
        ("no JSON", "no JSON"),
    ],
)
def test_what_models_write(arguments: str, want: str) -> None:
    assert decode(arguments) == decode(arguments, [len(arguments) or 1]) == want


def test_an_escape_is_held_back_until_it_is_whole() -> None:
    decoder = InputDecoder()
    assert [decoder.feed(part) for part in ('{"input": "', "a\\", "n\\u00", "e9", '"}')] == ["", "a", "\n", "é", ""]


def test_a_long_text_in_small_pieces_is_not_scanned_again_and_again() -> None:
    rng = random.Random(1)
    text = "".join(rng.choice('ab"\\\n é') for _ in range(20_000))
    assert decode(json.dumps({"input": text})) == text
