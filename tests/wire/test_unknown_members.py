"""Members that nobody knows: never a refusal, and never more of them than a bounded list."""

from __future__ import annotations

import json
from typing import Any

import pytest

from realtime.wire import codec
from realtime.wire.codec import Limits
from realtime.wire.requests import ResponseCreate
from realtime.wire.unknown_members import MAX_TOLD, warnings


def created(members: dict[str, Any]) -> ResponseCreate:
    event = codec.decode(json.dumps({"type": "response.create", "input": "x", **members}).encode(), Limits())
    assert isinstance(event, ResponseCreate)
    return event


def test_what_is_known_is_not_told() -> None:
    assert created({"model": "m", "event_id": "e", "stream_id": "s", "seed": 1, "prompt": None}).unknown == ()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("max_tokens", "max_output_tokens"), ("temprature", "temperature"), ("messages", "input"),
        ("response_format", "text.format"), ("instruction", "instructions"), ("zzz", None), ("items", None),
        ("", None), ("\n\u2028🙂", None),
    ],
)  # fmt: skip
def test_a_near_miss_is_told_with_what_it_may_have_meant(name: str, meant: str | None) -> None:
    (warning,) = warnings(created({name: [1, {"a": "b"}]}).unknown)
    assert warning.param == name
    assert ("did you mean" in warning.message) == (meant is not None)
    assert meant is None or f"`{meant}`" in warning.message


def test_the_nested_form_tells_of_both_levels() -> None:
    event = created({"outer": 1, "response": {"temprature": 1, "seed": 2}})
    assert event.unknown == ("outer", "response.temprature")
    assert "`temperature`" in warnings(event.unknown)[1].message


def test_over_http_they_are_told_likewise() -> None:
    assert codec.decode_create(b'{"input": "x", "n": 2}', Limits()).unknown == ("n",)


def test_an_adversary_gets_a_short_list() -> None:
    event = created({f"{number} " + "x" * 1000: number for number in range(100_000)})
    told = warnings(event.unknown)
    assert len(told) == MAX_TOLD
    assert all(len(one.param) <= 64 and len(one.message) < 200 for one in told)
    nested = {f"a{number}": 1 for number in range(MAX_TOLD)}
    assert len(created({**nested, "response": nested}).unknown) == MAX_TOLD


def test_nothing_that_a_client_sends_is_taken_for_what_the_codec_found() -> None:
    assert created({" items": [], " unknown": ["a"]}).unknown == (" items", " unknown")
