"""Cut an answer exactly where its user stopped listening: after an event, or in the middle of one. Pure.

What was generated has been sent, and stays in the log. Only what is remembered is cut, so that the next turn's history
holds what the user saw or heard and nothing else (docs/protocol.md, 3.3 and 3.17). The place is found in the log, of a
running response or a finished one. A `Cutoff` counts from the beginning of the output, so it also holds after an
earlier cut.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import msgspec
from msgspec import UNSET

from realtime.context.turns import Turn
from realtime.store.abridged import KeptDeltas
from realtime.store.event_log import Log
from realtime.store.records import Record
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.items import Compaction, Message, OutputItem, OutputText, id_of
from realtime.wire.requests import Characters, Place, Through
from realtime.wire.response import Truncated

_ALL = 1 << 62
_ADDED = "response.output_item.added"
_DONE = "response.output_item.done"
_DELTA = "response.output_text.delta"
_TEXT_DONE = "response.output_text.done"


class Cutoff(msgspec.Struct, frozen=True):
    """A place in an output.

    through: the last event of which anything was seen. num_whole: items that were seen completely. num_chars:
    characters that were seen of the message after them; None: nothing of that item is kept. num_logprobs: log
    probabilities of those characters.
    """

    through: int
    num_whole: int = _ALL
    num_chars: int | None = None
    num_logprobs: int = 0

    def apply(self, items: Sequence[OutputItem]) -> list[OutputItem]:
        """Return the items as they were seen. Calls and reasoning count as seen if their end was. A compaction always
        stays: nobody sees it, and it stands for all that was before it.
        """
        num_whole = max(self.num_whole, int(bool(items) and isinstance(items[0], Compaction)))
        kept = list(items[:num_whole])
        partial = items[num_whole] if len(items) > num_whole else None
        if not self.num_chars or num_whole != self.num_whole or not isinstance(partial, Message):
            return kept
        part = text_part(partial)
        if len(part.text) > self.num_chars:
            cut = OutputText(text=part.text[: self.num_chars], logprobs=(part.logprobs or [])[: self.num_logprobs])
            partial = msgspec.structs.replace(partial, status="incomplete", content=[cut])
        return [*kept, partial]

    def apply_to_turn(self, turn: Turn) -> Turn:
        """Return the turn with its answer as it was seen. The token ids of its prompt stay known; those of a cut answer
        don't.
        """
        output = self.apply(turn.output)
        if _are_same(output, turn.output):
            return turn
        return msgspec.structs.replace(turn, output=tuple(output), token_ids=array("I"))

    def apply_to_record(self, record: Record) -> Record:
        """Return the record with its answer as it was seen."""
        response = record.response
        output = self.apply(response.output)
        earlier = response.truncated
        through = min(self.through, earlier.through) if earlier else self.through
        cut = msgspec.structs.replace(response, output=output, truncated=Truncated(through=through))
        if not _are_same(output, response.output):  # neither holds any more
            cut.output_messages = cut.output_token_ids = UNSET
        turn = self.apply_to_turn(record.turn) if record.turn is not None else None
        return msgspec.structs.replace(record, response=cut, turn=turn)

    def or_earlier(self, other: Cutoff | None) -> Cutoff:
        """Return the earlier of two: a cut is never undone."""
        return self if other is None else min(self, other, key=lambda one: (one.num_whole, one.num_chars or 0))


class Written(msgspec.Struct, frozen=True):
    """An output as far as it is written, for finding a place in it.

    entries: of the log, from the number `first` on; `num_entries`: their number, each delta counted as one. items:
    those that are closed and not cut away. over: no more items will come. open_index: of the open item; `open_message`:
    that item, if it is a message.
    """

    response_id: str
    floor: int
    first: int
    num_entries: int
    entries: Sequence[bytes | KeptDeltas]
    items: Sequence[OutputItem]
    over: bool
    open_index: int | None = None
    open_message: Message | None = None

    @classmethod
    def of(
        cls, log: Log, place: Place, items: Sequence[OutputItem], open_index: int | None = None,
        open_message: Message | None = None,
    ) -> Written:  # fmt: skip
        """Take from a log what is needed to find this place. Raises WireError for an event number that the log does not
        have.
        """
        first = 0 if log.abridged is not None else log.floor
        if isinstance(place, Through):
            _check_number(log, place.number)
            first = place.number + 1
        entries: list[bytes | KeptDeltas] = []
        newer = log.read(max(first, log.floor), _ALL)
        if first < log.floor and log.abridged is not None:
            entries, first = log.abridged.since(first)
        return cls(
            log.response_id, log.floor, first, log.tip - first, [*entries, *newer], list(items), log.sealed,
            open_index, open_message,
        )  # fmt: skip


def find_cutoff(written: Written, place: Place) -> Cutoff:
    """Find a place in an output. Takes time in proportion to `written.num_entries`. Raises WireError."""
    return _through(written, place) if isinstance(place, Through) else _characters(written, place)


def text_part(message: Message) -> OutputText:
    """Return the only part of a message that a model has written."""
    assert isinstance(message.content, list)
    (part,) = message.content
    assert isinstance(part, OutputText)
    return part


class _Item(msgspec.Struct):
    id: Any = None


class _Entry(msgspec.Struct):
    """The members of an event that decide about a cut."""

    type: str
    output_index: int = -1
    item_id: str = ""
    item: _Item | None = None
    delta: str = ""
    text: str = ""
    logprobs: list[Any] = []


_decode = msgspec.json.Decoder(_Entry).decode


def _entries(written: Written) -> Iterator[tuple[int, _Entry]]:
    """Yield the retained events, with their numbers."""
    number = written.first
    for kept in written.entries:
        for entry in (_decode(kept),) if isinstance(kept, bytes) else _each(kept):
            yield number, entry
            number += 1


def _each(deltas: KeptDeltas) -> Iterator[_Entry]:
    first = deltas.first
    numbers = [end - start for start, end in pairwise([0, *deltas.logprob_ends])] or [0] * len(deltas.text_ends)
    for (start, end), num_logprobs in zip(pairwise([0, *deltas.text_ends]), numbers, strict=True):
        text = deltas.text[start:end]
        yield _Entry(first.type, first.output_index, first.item_id, delta=text, logprobs=[None] * num_logprobs)


def _through(written: Written, place: Through) -> Cutoff:
    """Find the place after an event. `written` begins at that event or earlier."""
    unseen = [entry for number, entry in _entries(written) if number > place.number]
    index = next((entry.output_index for entry in unseen if entry.type == _DONE), written.open_index)
    if index is None:
        return Cutoff(place.number, _ALL if written.over else len(written.items))
    if any(entry.type == _ADDED and entry.output_index == index for entry in unseen):
        return Cutoff(place.number, index)
    deltas = [entry for entry in unseen if entry.type == _DELTA and entry.output_index == index]
    whole = next((entry for entry in unseen if entry.type == _TEXT_DONE and entry.output_index == index), None)
    if whole is not None:
        text, logprobs = whole.text, whole.logprobs
    elif index == written.open_index and written.open_message is not None:
        part = text_part(written.open_message)
        text, logprobs = part.text, part.logprobs or []
    else:  # all of its text was seen, or it has none
        return Cutoff(place.number, index, _ALL, _ALL)
    num_chars = len(text) - sum(len(entry.delta) for entry in deltas)
    return Cutoff(place.number, index, num_chars, len(logprobs) - sum(len(entry.logprobs) for entry in deltas))


def _characters(written: Written, place: Characters) -> Cutoff:
    """Find the place after so many characters of a message. `written` begins where the log does."""
    own = list(_entries_of(written, place.item_id))
    text = _text_of(written, place, own)
    if place.num_characters > len(text):
        told = f"Message '{place.item_id}' has {len(text)} characters; `num_characters` is {place.num_characters}."
        raise WireError(ErrorCode.CURSOR_AHEAD, told, param="num_characters", response_id=written.response_id)
    end, unheard, through = len(text), 0, None
    for number, entry in reversed(own):
        if entry.type == _ADDED:
            through = number
            break
        if entry.type != _DELTA:
            continue
        unheard += len(entry.logprobs) if end > place.num_characters else 0
        end -= len(entry.delta)
        if end < place.num_characters:
            through = number
            break
    if through is None:
        raise _too_old(written.response_id, "the place", written.floor)
    index = next(entry.output_index for _, entry in own)
    num_logprobs = sum(len(entry.logprobs) for _, entry in own if entry.type == _DELTA) - unheard
    return Cutoff(through, index, place.num_characters, num_logprobs)


def _entries_of(written: Written, item_id: str) -> Iterator[tuple[int, _Entry]]:
    """Yield the events of an item, with their numbers."""
    for number, entry in _entries(written):
        if entry.item_id == item_id or (entry.item is not None and entry.item.id == item_id):
            yield number, entry


def _text_of(written: Written, place: Characters, own: Sequence[tuple[int, _Entry]]) -> str:
    """Return the text of a message as far as it was written, even where that was cut before. Raises WireError."""
    response_id = written.response_id
    is_open = written.open_message is not None and id_of(written.open_message) == place.item_id
    texts = [entry.text for _, entry in own if entry.type == _TEXT_DONE]
    if is_open and written.open_message is not None:
        texts = [text_part(written.open_message).text]
    if not texts and any(id_of(item) == place.item_id and isinstance(item, Message) for item in written.items):
        raise _too_old(response_id, "this message", written.floor)
    if not texts:
        told = f"Response '{response_id}' has no message '{place.item_id[:128]}' that could be cut."
        raise WireError(ErrorCode.ITEM_NOT_FOUND, told, param="item_id", response_id=response_id)
    if place.content_index:
        told = f"Message '{place.item_id}' has one part, number 0; `content_index` is {place.content_index}."
        raise WireError(ErrorCode.ITEM_NOT_FOUND, told, param="content_index", response_id=response_id)
    return texts[0]


def _check_number(log: Log, number: int) -> None:
    if number >= log.tip:
        text = f"`through` is {number}; response '{log.response_id}' has events up to {log.tip - 1}."
        raise WireError(ErrorCode.CURSOR_AHEAD, text, param="through", response_id=log.response_id)
    if number + 1 < log.floor and log.abridged is None:
        raise _too_old(log.response_id, f"`through`, {number},", log.floor, param="through")


def _too_old(response_id: str, what: str, floor: int, param: str | None = None) -> WireError:
    text = f"The log of response '{response_id}' begins at event {floor}: {what} is before that."
    return WireError(ErrorCode.CURSOR_TOO_OLD, text, param=param, response_id=response_id)


def _are_same(output: Sequence[OutputItem], before: Sequence[OutputItem]) -> bool:
    """Return whether a cut has left everything. A cut drops items from the end, and makes a new item of one that it
    shortens.
    """
    return len(output) == len(before) and (not output or output[-1] is before[-1])
