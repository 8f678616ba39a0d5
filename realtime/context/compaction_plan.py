"""The plan of a compaction: which items of a history are kept, and which are to be summarized. Pure.

Sizes are in characters. The caller knows how many tokens those are.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from realtime.wire.calls import ties_of
from realtime.wire.harmony import HarmonyMessage
from realtime.wire.item_texts import size_of, texts_of
from realtime.wire.items import (
    AdditionalTools,
    AnswerableCall,
    ConfigurationUpdate,
    InputItem,
    Message,
    Reasoning,
    ToolSearchOutput,
)

from .compaction import Compacted, Note, is_user
from .shortening import shorten
from .transcript import transcript_of


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """The characters that each part may have. `newest`: of the newest items in any case, even if that is more than
    `kept`.
    """

    head: int
    words: int
    kept: int
    newest: int


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a history: `transcript` is to be summarized, following the summary `earlier`; the rest is kept."""

    head: list[InputItem]
    earlier: str
    words: list[str]
    transcript: list[str]
    kept: list[InputItem]

    @property
    def worthwhile(self) -> bool:
        """Return whether there is something that a summary can replace."""
        return bool(self.transcript)

    def with_summary(self, summary: str) -> Compacted:
        """Complete the plan."""
        return Compacted(head=self.head, summary=summary, words=self.words, kept=self.kept)


def plan(items: Sequence[InputItem], budget: Budget, *, only_open: bool) -> Plan:
    """Decide which items are kept. `only_open`: of the newest items, only those that wait for an answer; otherwise as
    many as fit.
    """
    note = next((item for item in reversed(items) if isinstance(item, Note)), None)
    head, body = _split(items, budget.head)
    start = _start_of_kept(body, budget.kept, only_open=only_open)
    gone, kept = body[:start], body[start:]
    lossy = gone if size_of(kept) <= budget.newest else body  # the newest exchange alone may be too long
    kept = [shorten(item, budget.newest) for item in kept]
    asked = [item for item in gone if is_user(item)]
    if kept and asked and not any(map(is_user, kept)):  # what all of it is about; many templates want to see one
        kept.insert(0, shorten(asked.pop(), budget.kept // 2))
    said = [*(note.words if note is not None else ()), *(" ".join(texts_of(item)) for item in asked)]
    return Plan(
        head=[*head, *_settings(gone)],
        earlier=note.summary if note is not None else "",
        words=_newest_that_fit(said, budget.words),
        transcript=transcript_of(lossy, items),
        kept=[*_open_calls(gone, budget.kept // 2), *kept],
    )


def _split(items: Sequence[InputItem], max_head: int) -> tuple[list[InputItem], list[InputItem]]:
    """Separate the texts of the system and the developer, as far as they fit, from the rest without earlier notes."""
    head: list[InputItem] = []
    body: list[InputItem] = []
    for item in items:
        if isinstance(item, Note):
            continue
        told = isinstance(item, Message | HarmonyMessage) and item.role in ("system", "developer")
        size = size_of([item]) if told else 0
        if told and size <= max_head:
            head.append(item)
            max_head -= size
        else:
            body.append(item)
    return head, body


def _start_of_kept(body: Sequence[InputItem], max_chars: int, *, only_open: bool) -> int:
    """Find where the kept items begin: not between a call and its output, nor between a thought and what it led to."""
    first = max((index for index, item in enumerate(body) if _is_answer(item)), default=-1) + 1 if only_open else 0
    starts = [index for index in _starts(body) if index >= first]
    if not starts:
        return len(body)
    size, best = 0, starts[-1]
    possible = set(starts)
    for index in range(len(body) - 1, starts[0] - 1, -1):
        size += size_of([body[index]])
        if size > max_chars:
            break
        if index in possible:
            best = index
    return best


def _starts(body: Sequence[InputItem]) -> list[int]:
    """Return every index at which the kept items may begin."""
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for index, item in enumerate(body):
        for name in ties_of(item):
            first.setdefault(name, index)
            last[name] = index
    until: dict[int, int] = {}  # from a call's place to that of what belongs to it
    for name, index in first.items():
        until[index] = max(until.get(index, -1), last[name])
    starts: list[int] = []
    closed_until = -1
    for index in range(len(body)):
        if index > closed_until and not (index and isinstance(body[index - 1], Reasoning)):
            starts.append(index)
        closed_until = max(closed_until, until.get(index, -1))
    return starts


def _open_calls(gone: Sequence[InputItem], max_chars: int) -> list[InputItem]:
    """Return calls whose output is still to come, the newest that fit: the output must find its call."""
    latest: dict[str, InputItem] = {}
    called: dict[str, str] = {}  # each id of a call -> the first of them
    for item in gone:
        ids = ties_of(item)
        if ids:
            first = next((called[one] for one in ids if one in called), ids[0])
            called.update(dict.fromkeys(ids, first))
            latest[first] = item
    calls: list[InputItem] = []
    for item in reversed(latest.values()):
        if isinstance(item, AnswerableCall):
            max_chars -= size_of([item])
            if max_chars < 0:
                break
            calls.append(item)
    return calls[::-1]


def _is_answer(item: InputItem) -> bool:
    if isinstance(item, HarmonyMessage):
        return item.role == "assistant" and item.channel == "final"
    return isinstance(item, Message) and item.role == "assistant"


def _settings(gone: Sequence[InputItem]) -> list[InputItem]:
    """Repeat the tools and settings of dropped items: they stay in force."""
    found: list[InputItem] = []
    updates: dict[str, ConfigurationUpdate] = {}
    for item in gone:
        match item:
            case AdditionalTools():
                found.append(item)
            case ToolSearchOutput():  # its call is gone, its tools stay
                found.append(AdditionalTools(tools=item.tools))
            case ConfigurationUpdate():
                updates |= {name: item for name in ("reasoning", "text") if getattr(item, name)}
            case _:
                pass
    effort, output_format = updates.get("reasoning"), updates.get("text")
    if effort is not None:
        found.append(ConfigurationUpdate(reasoning=effort.reasoning))
    if output_format is not None:
        found.append(ConfigurationUpdate(text=output_format.text))
    return found


def _newest_that_fit(words: Sequence[str], max_chars: int) -> list[str]:
    newest: list[str] = []
    for one in reversed(words):
        max_chars -= len(one)
        if max_chars < 0:
            break
        newest.append(one)
    return newest[::-1]
