"""A track: one response as this client follows it: its phase, its cursor, the events that wait to be read. Pure.

A `Track` belongs to one `Session`, which makes every change; handles only look at it.
"""

from __future__ import annotations

import enum
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

from .errors import ProtocolError, RealtimeError, ResponseFailed
from .patience import Patience

Event = dict[str, Any]


class Phase(enum.Enum):
    """The phase of a response between this client and the server."""

    HELD = "held"  # a create that waits: for a connection, its lane, or the time to try again
    CREATING = "creating"  # sent, not confirmed by `response.created`
    LIVE = "live"  # the server sends it, we take it
    PAUSED = "paused"  # detached at the server, because too much waits here unread
    LOST = "lost"  # to be resumed at the cursor
    RESUMING = "resuming"  # resume sent; what arrives before `response.resumed` is from an older reading
    LEAVING = "leaving"  # the caller let go while the socket was down; the server is still to hear of it
    OVER = "over"


_LEGAL: dict[Phase, frozenset[Phase]] = {
    Phase.HELD: frozenset({Phase.CREATING, Phase.OVER}),
    Phase.CREATING: frozenset({Phase.LIVE, Phase.HELD, Phase.OVER}),
    Phase.LIVE: frozenset({Phase.PAUSED, Phase.LOST, Phase.OVER}),
    Phase.PAUSED: frozenset({Phase.LOST, Phase.OVER}),
    Phase.LOST: frozenset({Phase.RESUMING, Phase.LEAVING, Phase.OVER}),
    Phase.RESUMING: frozenset({Phase.LIVE, Phase.LOST, Phase.OVER}),
    Phase.LEAVING: frozenset({Phase.OVER}),
    Phase.OVER: frozenset(),
}


class Verdict(enum.Enum):
    """The result of checking an event's number."""

    NEXT = "next"
    DUPLICATE = "duplicate"
    GAP = "gap"


class Cursor(NamedTuple):
    """The position from which any process can continue to read a response: `await client.resume(*cursor)`."""

    response_id: str
    starting_after: int
    epoch: str | None


class FinalResponse(dict[str, Any]):
    """The response object of the terminal event: a dict, with its most used values as properties."""

    @property
    def output_text(self) -> str:
        """Return all output text, joined."""
        contents = (item.get("content") for item in self.get("output") or ())
        parts = (part for content in contents if isinstance(content, list) for part in content)
        texts = (part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "output_text")
        return "".join(text for text in texts if isinstance(text, str))

    def is_cut_at(self, through: int) -> bool:
        """Return whether the kept answer ends there, or before."""
        kept = (self.get("truncated") or {}).get("through")
        return kept is not None and kept <= through

    @property
    def receipt(self) -> dict[str, Any] | None:
        """Return the receipt of the cancel; None when the response was not cancelled."""
        return self.get("cancel")


class Track:
    """One followed response. `next_number` is the number of the event to be received next; `num_bytes` counts the
    unread events.
    """

    __slots__ = (
        "abandoned", "acked", "acked_sent", "cancel_refusal", "cancel_sent", "cancel_wanted", "catch_up",
        "confirmed", "dropped", "epoch", "error", "events", "final", "lane", "named", "next_number", "num_bytes",
        "num_gaps", "num_inputs", "patience", "phase", "previous_response_id", "request", "request_id", "response_id",
        "returned", "serial", "stop", "successor", "successor_taken", "terminal", "text_ends", "text_item",
        "text_numbers",
        "through",
    )  # fmt: skip

    def __init__(self, serial: int, phase: Phase) -> None:
        self.serial = serial
        self.phase = phase
        self.request = ""  # the encoded `response.create`; sent again it is the same bytes
        self.request_id: str | None = None
        self.catch_up = "merged"  # how events that we are behind with are to come: so, or as they were ("events")
        self.named = False  # the request_id is the caller's own
        self.confirmed = False  # the server has said yes at least once
        self.previous_response_id: str | None = None
        self.lane: str | None = None  # set by the caller, or when first sent
        self.response_id: str | None = None
        self.epoch: str | None = None
        self.next_number = 0
        self.num_gaps = 0  # in a row, without any progress
        self.events: deque[tuple[Event, int]] = deque()
        self.num_bytes = 0
        self.terminal: Event | None = None
        self.final: FinalResponse | None = None
        self.error: RealtimeError | None = None
        self.cancel_wanted = False
        self.cancel_sent = False
        self.cancel_refusal: RealtimeError | None = None
        self.stop = "cancel"  # how: or "interrupt"
        self.through: int | None = None  # a cancel cuts the answer behind this event
        self.acked: int | None = None  # the user has seen or heard everything up to this event
        self.acked_sent = False  # on this socket
        self.num_inputs = 0  # given by steers and injections; the server may start a successor of them
        self.successor: Track | None = None  # the one that it started
        self.successor_taken = False  # somebody holds it
        self.dropped = False  # nobody holds this one, so nobody will
        self.returned: RealtimeError | None = None  # why an input that it had accepted came to nothing
        self.text_ends = array("q", [0])  # of output text that was read: characters up to the end of each piece ...
        self.text_numbers = array("q", [-1])  # ... and the number of its event; first that of the one before the text
        self.text_item: str | None = None  # the message that it was read of last
        self.abandoned = False  # nobody waits for this create any more: to be left as soon as it is confirmed
        self.patience = Patience()  # of its create or resume, when the server refuses it for now

    @property
    def over(self) -> bool:
        """Return whether nothing more will be received."""
        return self.phase in (Phase.OVER, Phase.LEAVING)

    @property
    def has_news(self) -> bool:
        """Return whether a reader need not wait."""
        return bool(self.events) or self.terminal is not None or self.error is not None

    @property
    def awaits_successor(self) -> bool:
        """Return whether the server may start a response that continues this one, without being asked again."""
        return self.successor is None and self.num_inputs > 0

    @property
    def cursor(self) -> Cursor:
        """Return the position after the last event that was taken from here; unread events count as not processed."""
        if self.response_id is None:
            raise ProtocolError("the response is not confirmed yet")
        return Cursor(self.response_id, self._next_unread - 1, self.epoch)

    def move(self, phase: Phase) -> None:
        """Enter another phase, if the table allows it."""
        if phase not in _LEGAL[self.phase]:
            raise AssertionError(f"a track can't go from {self.phase.value!r} to {phase.value!r}")
        self.phase = phase

    def put_in_lane(self, lane: str) -> None:
        """Set the lane for good: an ambiguous retry must be the same bytes."""
        self.lane = lane
        self.request = f'{{"stream_id":"{lane}",{self.request[1:]}'

    def accept(self, event: Event, num_bytes: int) -> Verdict:
        """Keep the event if it is the next one. A duplicate or an event after a gap changes nothing."""
        number, first = event.get("sequence_number"), _first_number(event)
        if type(number) is not int or type(first) is not int:
            raise ProtocolError(f"{event.get('type')} of a response without a sequence number")
        if first != self.next_number:
            return Verdict.DUPLICATE if number < self.next_number else Verdict.GAP
        self.next_number = number + 1
        self.events.append((event, num_bytes))
        self.num_bytes += num_bytes
        self._made_progress()
        if event.get("done") is True:
            self._end(event)
        return Verdict.NEXT

    def take(self) -> Event | None:
        """Return the oldest unread event."""
        if not self.events:
            return None
        event, num_bytes = self.events.popleft()
        self.num_bytes -= num_bytes
        if event["type"] == "response.output_text.delta":
            number: int = event["sequence_number"]
            if self.text_item is None:
                first: int = event.get("first_sequence_number") or number
                self.text_numbers[0] = first - 1
            self.text_ends.append(self.text_ends[-1] + len(event["delta"]))
            self.text_numbers.append(number)
            self.text_item = event["item_id"]
        return event

    def through_at(self, num_characters: int) -> int:
        """Return the number of the last event whose text is among the first characters that were read; if there is
        none, the number before the text.
        """
        return self.text_numbers[bisect_right(self.text_ends, num_characters) - 1]

    def heard(self, through: int | None) -> int | None:
        """Return which event a cancel with this number reports as seen or heard."""
        return self.acked if through is None else through

    def discard(self) -> None:
        """Drop the unread events, as if they had never been received."""
        self.next_number = self._next_unread
        self.events.clear()
        self.num_bytes = 0

    @property
    def _next_unread(self) -> int:
        """Return the number of the event that the caller reads next."""
        return self.next_number if not self.events else _first_number(self.events[0][0])

    def _made_progress(self) -> None:
        self.num_gaps = 0
        self.patience.progress()

    def _end(self, event: Event) -> None:
        self.terminal = event
        response: Mapping[str, Any] = event.get("response") or {}
        self.final = FinalResponse(response)
        if event.get("type") in ("response.failed", "error"):
            self.error = ResponseFailed(response, response.get("error") or event.get("error") or {})


def _first_number(event: Event) -> Any:
    """Return the first number of an event: a merged delta stands for several, up to its `sequence_number`."""
    return event.get("first_sequence_number", event.get("sequence_number"))
