"""Holds all that any client was sent of a response against all that any other client was sent of it. Pure.

The oracle knows nothing of the server's code: only docs/protocol.md. Each number comes once, in order and with the same
bytes for everybody, through whatever door and after any number of resumes; there is exactly one terminal event, and it
adds up with what came before it. What is wrong is kept in `faults`, in words, so that a storm goes on and counts.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

Event = dict[str, Any]
TERMINALS = frozenset({"response.completed", "response.incomplete", "response.failed"})
_TEXTS = frozenset({"output_text", "reasoning_text", "reasoning_summary_text", "function_call_arguments",
                    "custom_tool_call_input"})  # fmt: skip


class Book:
    """What is known of one response: the bytes of each number that anybody has been sent."""

    def __init__(self, response_id: str) -> None:
        self.response_id = response_id
        self.entries: dict[int, bytes] = {}
        self.last: int | None = None  # the number of the terminal event

    @property
    def events(self) -> list[Event]:
        """All events, decoded, in the order of their numbers."""
        return [json.loads(self.entries[number]) for number in sorted(self.entries)]

    @property
    def final(self) -> Event:
        """The Response of the terminal event."""
        assert self.last is not None
        final: Event = json.loads(self.entries[self.last])["response"]
        return final


class Oracle:
    """All books, and all that was wrong in them."""

    def __init__(self) -> None:
        self.books: dict[str, Book] = {}
        self.faults: list[str] = []
        self.num_checked = 0  # responses whose whole transcript was held against the rules
        self.num_events = 0  # heard by all readers together

    def reader(self, response_id: str, starting_after: int = -1, who: str = "a client") -> Reader:
        """A reader of one response. It stays the same over any number of sockets: it counts on from where it was."""
        return Reader(self, self.books.setdefault(response_id, Book(response_id)), starting_after, who)

    def fault(self, response_id: str, words: str) -> None:
        """Keep what is wrong."""
        self.faults.append(f"{response_id}: {words}")

    def close(self, response_id: str) -> Event | None:
        """The response is over for everybody: check the whole transcript and forget it. Gives its final Response."""
        book = self.books.pop(response_id)
        self.num_checked += 1
        if book.last is None:
            self.fault(response_id, f"no terminal event; {len(book.entries)} others")
            return None
        if missing := set(range(book.last + 1)) - book.entries.keys():
            self.fault(response_id, f"nobody was sent {sorted(missing)[:9]} of {book.last + 1}")
            return None
        for words in discrepancies(book.events):
            self.fault(response_id, words)
        return book.final


class Reader:
    """One client's reading of one response."""

    def __init__(self, oracle: Oracle, book: Book, starting_after: int, who: str) -> None:
        self._oracle, self._book, self._who = oracle, book, who
        self.cursor = starting_after  # the number of the last event that was heard
        self.over = False

    @property
    def response_id(self) -> str:
        """Whose events these are."""
        return self._book.response_id

    def hear(self, data: bytes) -> Event:
        """An event of this response, as it came."""
        event: Event = json.loads(data)
        number, book = event["sequence_number"], self._book
        self._oracle.num_events += 1
        if event["response_id"] != book.response_id:
            self._fault(f"was sent an event of {event['response_id']}")
        if number != self.cursor + 1:
            self._fault(f"was sent number {number} after {self.cursor}")
        if book.entries.setdefault(number, data) != data:
            self._fault(f"was sent other bytes as number {number}: {data[:200]!r}, not {book.entries[number][:200]!r}")
        if self.over:
            self._fault(f"was sent number {number} after the terminal event")
        self._end(event, number)
        self.cursor = number
        return event

    def hear_sse(self, block: bytes) -> Event:
        """An event of this response as a block of an event stream: the same bytes below `data:`."""
        members = dict(line.partition(b": ")[::2] for line in block.split(b"\n") if not line.startswith(b":"))
        event = self.hear(members[b"data"])
        if (members[b"id"], members[b"event"]) != (b"%d" % event["sequence_number"], event["type"].encode()):
            self._fault(f"was sent the lines {members[b'id']!r} and {members[b'event']!r} with {event['type']}")
        return event

    def _end(self, event: Event, number: int) -> None:
        if event["done"] != (event["type"] in TERMINALS):
            self._fault(f"was told done={event['done']} by {event['type']}")
        if event["done"]:
            self.over = True
            if self._book.last not in (None, number):
                self._fault(f"was sent a second terminal event: {number} after {self._book.last}")
            self._book.last = number

    def _fault(self, words: str) -> None:
        self._oracle.fault(self._book.response_id, f"{self._who} {words}")


def discrepancies(events: list[Event]) -> Iterator[str]:
    """All in a whole transcript that does not add up, in words."""
    final = events[-1]["response"]
    if events[0]["type"] != "response.created":
        yield f"begins with {events[0]['type']}"
    if {event["response"]["id"] for event in events if "response" in event} != {events[0]["response_id"]}:
        yield "has Responses of other ids"
    if not _is_cut_back(final):
        yield from _items(events, final)
    yield from _texts(events)
    yield from _counts(events, final)


def _is_cut_back(final: Event) -> bool:
    """Whether a cancel with `through`, or an interrupt, took what was said out of the answer (protocol 2.3)."""
    reason = (final.get("incomplete_details") or {}).get("reason")
    return reason == "interrupted" or (final.get("cancel") or {}).get("through") is not None


def _items(events: list[Event], final: Event) -> Iterator[str]:
    """Each item is opened once, closed once and unchanged, in order, and is what the terminal event shows."""
    added = [(event["output_index"], event["item"]["id"]) for event in _of(events, "output_item.added")]
    done = [(event["output_index"], event["item"]["id"]) for event in _of(events, "output_item.done")]
    if added != done:
        yield f"items were opened as {added} and closed as {done}"
    if [index for index, _ in done] != list(range(len(done))):
        yield f"items are numbered {[index for index, _ in done]}"
    if [event["item"] for event in _of(events, "output_item.done")] != final["output"]:
        yield "the terminal event shows other items than were closed"


def _texts(events: list[Event]) -> Iterator[str]:
    """Joined deltas are the text of the event that closes them."""
    said: dict[tuple[Any, ...], str] = defaultdict(str)
    for event in events:
        kind, _, what = event["type"].removeprefix("response.").rpartition(".")
        if kind not in _TEXTS:
            continue
        place = (kind, event["item_id"], event.get("content_index"), event.get("summary_index"))
        if what == "delta":
            said[place] += event["delta"]
        elif said.pop(place, "") != next(event[name] for name in ("text", "arguments", "input") if name in event):
            yield f"deltas of {place} are not its text"
    if said:
        yield f"never closed: {list(said)}"


def _counts(events: list[Event], final: Event) -> Iterator[str]:
    """Usage, and the receipt of a cancel."""
    usage, receipt = final["usage"], final.get("cancel")
    if usage is None:
        yield "has no usage"
        return
    if usage["total_tokens"] != usage["input_tokens"] + usage["output_tokens"]:
        yield f"usage does not add up: {usage}"
    if (final["status"] == "cancelled") != (receipt is not None):
        yield f"is {final['status']} with the receipt {receipt}"
    if receipt is None:
        return
    summaries = any(item["type"] == "compaction" for item in final["output"])  # count in usage only
    if receipt["tokens_generated"] != usage["output_tokens"] and not summaries:
        yield f"the receipt counts {receipt['tokens_generated']} tokens, usage {usage['output_tokens']}"
    if not 0 <= receipt["tokens_delivered"] <= receipt["tokens_generated"]:
        yield f"delivered {receipt['tokens_delivered']} of {receipt['tokens_generated']} tokens"


def _of(events: list[Event], kind: str) -> list[Event]:
    return [event for event in events if event["type"] == f"response.{kind}"]
