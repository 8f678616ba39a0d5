"""The oracle finds what it is there to find: each rule, broken once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from realtime.engine.scripted import say
from tests.support.server import running

from .oracle import Event, Oracle, discrepancies


async def transcript(**members: Any) -> list[bytes]:
    """A whole answer as it came."""
    async with running(say("a ", "b ", "c")) as server, server.client() as client:
        await client.send("response.create", input="hi", **members)
        raw = [await client.receive_raw()]
        while not json.loads(raw[-1])["done"]:
            raw.append(await client.receive_raw())
        return [message.encode() for message in raw]


def told(*streams: list[bytes]) -> list[str]:
    """What the oracle says when clients are sent these."""
    oracle = Oracle()
    for number, stream in enumerate(streams):
        reader = oracle.reader(json.loads(stream[0])["response_id"], who=f"reader {number}")
        for data in stream:
            reader.hear(data)
    for response_id in list(oracle.books):
        oracle.close(response_id)
    return oracle.faults


async def test_what_is_right_is_right() -> None:
    raw = await transcript()
    assert told(raw) == []
    assert told(raw, raw) == []


STREAMS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "one is missing": lambda raw: raw[:4] + raw[5:],
    "one comes twice": lambda raw: raw[:4] + raw[3:],
    "two are exchanged": lambda raw: [*raw[:3], raw[4], raw[3], *raw[5:]],
    "another space": lambda raw: [*raw[:4], raw[4].replace(b":", b": ", 1), *raw[5:]],
    "no end": lambda raw: raw[:-1],
    "two ends": lambda raw: [*raw, raw[-1].replace(b'"sequence_number":%d' % (len(raw) - 1),
                                                   b'"sequence_number":%d' % len(raw))],
    "another's event": lambda raw: [*raw[:4], raw[4].replace(b"resp_", b"resp_f"), *raw[5:]],
    "done too early": lambda raw: [*raw[:4], raw[4].replace(b'"done":false', b'"done":true'), *raw[5:]],
}  # fmt: skip


@pytest.mark.parametrize("spoil", STREAMS.values(), ids=STREAMS)
async def test_a_stream_that_is_spoiled_is_found(spoil: Callable[[list[bytes]], list[bytes]]) -> None:
    raw = await transcript()
    assert spoil(raw) != raw
    assert told(raw, spoil(raw)) or told(spoil(raw))


def _event(events: list[Event], kind: str) -> Event:
    return next(event for event in events if event["type"] == f"response.{kind}")


def _cancelled(events: list[Event], **receipt: Any) -> None:
    final = events[-1]["response"]
    final["status"] = "cancelled"
    if receipt:
        final["cancel"] = {"tokens_generated": final["usage"]["output_tokens"], "tokens_delivered": 0, **receipt}


ANSWERS: dict[str, Callable[[list[Event]], Any]] = {
    "a delta is changed": lambda events: _event(events, "output_text.delta").update(delta="x"),
    "the text is changed": lambda events: _event(events, "output_text.done").update(text="x"),
    "an item changes its id": lambda events: _event(events, "output_item.done")["item"].update(id="x"),
    "an item's number": lambda events: _event(events, "output_item.added").update(output_index=1),
    "the end shows no item": lambda events: events[-1]["response"].update(output=[]),
    "the end has another id": lambda events: events[-1]["response"].update(id="x"),
    "usage does not add up": lambda events: events[-1]["response"]["usage"].update(total_tokens=1),
    "a cancel without a receipt": _cancelled,
    "a receipt that counts otherwise": lambda events: _cancelled(events, tokens_generated=99),
    "more delivered than generated": lambda events: _cancelled(events, tokens_delivered=99),
    "no beginning": lambda events: events.pop(0),
}


@pytest.mark.parametrize("spoil", ANSWERS.values(), ids=ANSWERS)
async def test_an_answer_that_does_not_add_up_is_found(spoil: Callable[[list[Event]], Any]) -> None:
    events = [json.loads(data) for data in await transcript()]
    assert list(discrepancies(events)) == []
    spoil(events)
    assert list(discrepancies(events))
