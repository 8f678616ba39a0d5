"""What is true of every response, checked from outside on the events as a client gets them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Event = dict[str, Any]
TERMINALS = ("response.completed", "response.incomplete", "response.failed")


def types(events: Sequence[Event]) -> list[str]:
    """The types of some events, without the common prefix."""
    return [event["type"].removeprefix("response.") for event in events]


def check(events: Sequence[Event]) -> Event:
    """Check the whole transcript of one response of text; returns the Response of its terminal event."""
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["done"] for event in events] == [False] * (len(events) - 1) + [True]
    assert len({event["response_id"] for event in events}) == 1
    assert len({event.get("stream_id", "") for event in events}) == 1
    kinds = types(events)
    assert kinds[0] == "created"
    assert events[0]["epoch"]
    assert events[-1]["type"] in TERMINALS
    assert not any(event["type"] in TERMINALS for event in events[:-1])
    states = [event for event in events if "response" in event]
    assert {event["response"]["id"] for event in states} == {events[0]["response_id"]}
    for event in states[:-1]:
        assert event["response"]["output"] == []
        assert event["response"]["usage"] is None
    assert kinds[: len(states) - 1] == ["created", "queued", "in_progress"][: len(states) - 1] or kinds[
        : len(states) - 1
    ] == ["created", "in_progress"], kinds
    _check_items(events[len(states) - 1 : -1], events[-1]["response"])
    final: Event = events[-1]["response"]
    usage = final["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    return final


def _check_items(events: Sequence[Event], final: Event) -> None:
    """One message after another: added, part, deltas, done, part done, item done; the same text everywhere."""
    rest = list(events)
    items: list[Event] = []
    while rest:
        index = len(items)
        end = next(i for i, event in enumerate(rest) if event["type"] == "response.output_item.done")
        inside, rest = rest[: end + 1], rest[end + 1 :]
        kinds = types(inside)
        num_deltas = len(inside) - 5
        assert kinds == [
            "output_item.added", "content_part.added", *["output_text.delta"] * num_deltas,
            "output_text.done", "content_part.done", "output_item.done",
        ]  # fmt: skip
        assert {event["output_index"] for event in inside} == {index}
        item_ids = {event["item_id"] for event in inside[1:-1]} | {inside[0]["item"]["id"], inside[-1]["item"]["id"]}
        assert len(item_ids) == 1
        assert inside[0]["item"]["status"] == "in_progress"
        assert inside[0]["item"]["content"] == []
        text = "".join(event["delta"] for event in inside[2:-3])
        assert inside[-3]["text"] == text
        assert inside[-2]["part"]["text"] == text
        items.append(inside[-1]["item"])
        assert items[-1]["content"][0]["text"] == text
    assert final["output"] == items


def text_of(events: Sequence[Event]) -> str:
    """The text of the deltas."""
    return "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")


def assert_error(event: Event, code: str, status: int | None = None, **members: Any) -> None:
    """This event is a refusal with this code; `members` are of its `error` object."""
    assert event["type"] == "error", event
    assert event["error"]["code"] == code, event
    assert status is None or event["status"] == status
    assert isinstance(event["status"], int)
    assert event["error"]["message"]
    assert event["done"] is True
    assert "response_id" not in event
    for name, value in members.items():
        assert event["error"][name] == value, event
