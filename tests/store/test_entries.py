"""Long texts that events repeat are held once, and nobody who reads can tell."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.store.entries import Shared, SharedTexts, held_bytes, own_bytes, whole
from realtime.wire.codec import encode_line
from realtime.wire.requests import ResponseCreate
from realtime.wire.response import Response
from tests.support.responses import Answer, make_response

BIG = 200_000
TOOL = {"type": "function", "name": "f", "description": "é\u2028" * BIG}


def told(**members: Any) -> Answer:
    """An answer of which every event that shows the Response shows these as well."""
    return Answer("resp_1", request=ResponseCreate(**members)).say("a", "b").finish()


@pytest.mark.parametrize(
    ("members", "num_bytes"),
    [
        ({"instructions": "x" * BIG}, BIG),
        ({"instructions": 'é"\u2028' * BIG}, 10 * BIG),
        ({"tools": [TOOL]}, 8 * BIG),
        ({"tools": [TOOL], "instructions": "y" * BIG}, 9 * BIG),
        ({"instructions": "x" * 1000}, None),
    ],
    ids=["instructions", "escaped", "tools", "both", "short"],
)
def test_what_is_long_is_held_once_and_read_as_it_was(members: dict[str, Any], num_bytes: int | None) -> None:
    log, short = told(**members).log, told().log
    entries = log.read(0, 100)
    shown = [json.loads(entry)["response"] for entry in entries if b'"response":' in entry]
    assert len(shown) == 3
    for response in shown:
        assert response["instructions"] == members.get("instructions")
        assert [tool["description"] for tool in response["tools"]] == [TOOL["description"]] * ("tools" in members)
    assert [len(entry.splitlines()) for entry in entries] == [1] * len(entries)
    stored = log.stored()
    assert stored.read(0, 100) == entries
    assert stored.read(2, 1) == entries[2:3]
    assert stored.num_bytes == log.num_bytes
    if num_bytes is not None:
        assert abs(log.num_bytes - short.num_bytes - num_bytes) < 500
    else:
        assert log.num_bytes == sum(map(len, entries))


def test_the_bound_of_a_log_counts_what_is_held() -> None:
    answer = Answer("resp_1", request=ResponseCreate(instructions="x" * BIG), max_bytes=100_000)
    answer.say(*["word " * 10] * 800).finish()
    assert answer.log.floor > 0
    assert answer.log.num_bytes <= 100_000 + BIG
    assert answer.log.read(answer.log.tip - 1, 1)[0].count(b"x" * BIG) == 1


@given(seed=st.integers(), size=st.integers(0, 60_000), same=st.booleans())
@settings(max_examples=50)
def test_an_entry_is_the_same_whatever_is_shared(seed: int, size: int, same: bool) -> None:
    """Also where one text is a part of another, comes twice, or does not come."""
    rng = random.Random(seed)
    text = "".join(rng.choice('ab"\\é\u2028') for _ in range(size))
    first = msgspec.structs.replace(make_response(), instructions=text, tools=[{"a": text}])
    later = msgspec.structs.replace(first, user=text, instructions=text if same else text[::-1])
    shared = SharedTexts()
    kept = []
    for response in (first, later, first):
        line = encode_line(response)
        kept.append(shared.share(line, response))
        assert whole(kept[-1]) == line
    assert held_bytes(kept) == sum(map(own_bytes, kept)) + (shared.num_bytes if any(map(_is_shared, kept)) else 0)


def _is_shared(entry: object) -> bool:
    return isinstance(entry, Shared)


def test_an_event_that_shows_no_response_is_kept_as_it_is() -> None:
    line = b"x" * BIG
    assert SharedTexts().share(line, None) is line


def test_nothing_is_shared_of_what_the_response_does_not_show() -> None:
    response: Response = make_response()
    line = b"x" * BIG
    assert SharedTexts().share(line, response) is line
