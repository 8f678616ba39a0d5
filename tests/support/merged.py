"""What merged deltas must be, said in another way than the server's: an oracle over the JSON of a log's events."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

from hypothesis import strategies as st

from realtime.dialects.base import CallBegin, CallDelta, CallEnd, Piece, ReasoningDelta, TextDelta
from realtime.runs.assembler import Assembler
from realtime.runs.open_items import ReasoningShown
from realtime.store.event_log import EventLog
from realtime.wire import events as e
from tests.support.responses import make_log, make_response

Event = dict[str, Any]
_APART = ("delta", "logprobs", "sequence_number")

TEXTS = st.text('ab"\\\n\u2028\x85é中\U0001f600', min_size=1, max_size=6)
LOGPROBS = st.lists(st.builds(lambda text: {"token": text, "logprob": -0.5, "top_logprobs": []}, TEXTS), max_size=2)
PIECES = st.one_of(
    st.builds(TextDelta, st.just("word") | TEXTS, LOGPROBS),
    st.builds(ReasoningDelta, TEXTS),
    st.builds(lambda texts: [CallBegin("look"), *map(CallDelta, texts), CallEnd()], st.lists(TEXTS, max_size=4)),
)


class Writer:
    """A log that is filled with pieces. `written` keeps every entry, also those that the log has dropped."""

    def __init__(self, shown: ReasoningShown, **bounds: Any) -> None:
        ids = count()
        self.log: EventLog = make_log(**bounds)
        self.written: list[bytes] = []
        self._assembler = Assembler(lambda prefix: f"{prefix}_{next(ids)}", shown)
        self._append(
            [e.ResponseCreated(response=make_response(), epoch="x"), e.ResponseInProgress(response=make_response())]
        )

    def feed(self, piece: Piece | list[Piece]) -> None:
        """What the model says next."""
        self._append(list(self._assembler.feed(piece if isinstance(piece, list) else [piece])))

    def finish(self) -> None:
        """The end."""
        self._append([*self._assembler.close("completed"), e.ResponseCompleted(response=make_response())])

    def _append(self, events: list[e.Event]) -> None:
        self.written += [self.log.append(event) for event in events]


def merge(events: list[Event]) -> list[Event]:
    """Each run of consecutive deltas of one type and part as one."""
    out: list[Event] = []
    for event in events:
        before = out[-1] if out else {}
        if "delta" in event and _common(event) == _common(before):
            joined = {name: before[name] + event[name] for name in ("delta", "logprobs") if name in event}
            first = before.get("first_sequence_number", before["sequence_number"])
            out[-1] = event | joined | {"first_sequence_number": first}
        else:
            out.append(event)
    return out


def _common(event: Event) -> Event:
    apart = (*_APART, "first_sequence_number")
    return {name: value for name, value in event.items() if name not in apart}


def check_covers(frames: list[bytes], written: list[bytes], start: int) -> int:
    """What was sent stands for the entries from `start` on, each once, in order; returns the number behind them."""
    for frame in frames:
        event = json.loads(frame)
        last = event["sequence_number"]
        if "first_sequence_number" in event:
            assert event["first_sequence_number"] == start < last
            assert [event] == merge([json.loads(entry) for entry in written[start : last + 1]])
        else:
            assert frame == written[start], "whatever is not merged is the bytes that it was"
        start = last + 1
    return start
