"""Cut an answer where its user stopped listening: after a certain event, exactly. Pure.

What was generated has been sent and stays in the log. Only what is remembered is cut, so that the next turn's history
holds what the user saw or heard and nothing else (docs/protocol.md, 3.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from realtime.store.event_log import EventLog
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.items import Message, OutputItem, OutputText

_ALL = 1 << 62


class _Entry(msgspec.Struct):
    """The members of an unseen event that decide about the cut."""

    type: str
    output_index: int = -1
    delta: str = ""
    logprobs: list[Any] = []


_decode = msgspec.json.Decoder(_Entry).decode


class Cutoff(msgspec.Struct, frozen=True):
    """A place in an output.

    through: the last event that was seen.
    num_whole: items that were seen to their end.
    num_chars: characters of the message after them that were not seen. None: nothing of that item is kept.
    num_logprobs: log probabilities of those characters.
    """

    through: int
    num_whole: int
    num_chars: int | None
    num_logprobs: int = 0

    def apply(self, items: Sequence[OutputItem]) -> list[OutputItem]:
        """Return the items as they were seen. Calls and reasoning count as seen when their end was."""
        kept = list(items[: self.num_whole])
        partial = items[self.num_whole] if len(items) > self.num_whole else None
        if self.num_chars is None or not isinstance(partial, Message):
            return kept
        assert isinstance(partial.content, list)
        (part,) = partial.content
        assert isinstance(part, OutputText)
        text = part.text[: len(part.text) - self.num_chars]
        logprobs = part.logprobs or []
        if text:
            cut = OutputText(text=text, logprobs=logprobs[: len(logprobs) - self.num_logprobs])
            kept.append(msgspec.structs.replace(partial, status="incomplete", content=[cut]))
        return kept


def cutoff(log: EventLog, through: int, num_finished: int, open_index: int | None) -> Cutoff:
    """Find where to cut a response that is being stopped. `num_finished`: items that are closed; `open_index`: of the
    item that is not. Raises WireError.
    """
    if through >= log.tip:
        text = f"`through` is {through}; response '{log.response_id}' has events up to {log.tip - 1}."
        raise WireError(ErrorCode.CURSOR_AHEAD, text, param="through", response_id=log.response_id)
    if through + 1 < log.floor:
        text = f"`through` is {through}; the events of response '{log.response_id}' before {log.floor} are gone."
        raise WireError(ErrorCode.CURSOR_TOO_OLD, text, param="through", response_id=log.response_id)
    unseen = [_decode(entry) for entry in log.read(through + 1, _ALL)]
    ends = [entry.output_index for entry in unseen if entry.type == "response.output_item.done"]
    num_whole = min(ends, default=num_finished)
    begun = not any(e.type == "response.output_item.added" and e.output_index == num_whole for e in unseen)
    if not begun or (num_whole == num_finished and open_index is None):
        return Cutoff(through, num_whole, None)
    deltas = [e for e in unseen if e.type == "response.output_text.delta" and e.output_index == num_whole]
    num_chars = sum(len(entry.delta) for entry in deltas)
    return Cutoff(through, num_whole, num_chars, sum(len(entry.logprobs) for entry in deltas))
