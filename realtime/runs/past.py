"""The past of a response whose process ended while it ran, for the run that continues it. Pure.

The run makes the response again, by the same code, from the engine's recorded chunks; only what follows is new.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import msgspec
from msgspec import UNSET

from realtime.context.turns import Turn
from realtime.store.records import GoesOn, Head, PastGeneration, Unfinished
from realtime.store.restored_log import RestoredLog
from realtime.wire import codec, events
from realtime.wire.items import ItemStatus, McpCall, McpListTools, OutputItem
from realtime.wire.response import CancelReceipt, RateLimit, Response, Usage

from .audience import Absence
from .broken_off import BrokenOff, shown_in
from .open_items import ReasoningShown
from .usage import Tokens

_TERMINALS = frozenset(str(kind.__struct_config__.tag).encode() for kind in events.TERMINALS)
_CREATED, _QUEUED = b"response.created", b"response.queued"
_COMPACTING = b"response.compaction.compacting"


class _Shown(msgspec.Struct):
    rate_limits: list[RateLimit] = []


class _Created(msgspec.Struct):
    response: _Shown
    warnings: list[events.RequestWarning] = []


class _Queued(msgspec.Struct):
    queue: events.QueuePlace | None = None


class _Closed(msgspec.Struct):
    encrypted_content: str | None = None


class _ItemDone(msgspec.Struct):
    item: _Closed


_decode_created = msgspec.json.Decoder(_Created).decode
_decode_queued = msgspec.json.Decoder(_Queued).decode
_decode_done = msgspec.json.Decoder(_ItemDone).decode


class Past:
    """The past of one response. `log`: its log so far. `attempts`: the number of this attempt, see GoesOn."""

    def __init__(self, unfinished: Unfinished, log: RestoredLog) -> None:
        self.unfinished = unfinished
        self.log = log
        self._types = [codec.type_of(entry) for entry in unfinished.events]
        self.attempts = unfinished.attempts + (self.has_begun and not unfinished.left)

    @property
    def has_begun(self) -> bool:
        """Return whether it did anything but wait."""
        return b"response.in_progress" in self._types

    @property
    def entered(self) -> GoesOn | None:
        """Return what must be stored before anyone reads the log of this attempt; None: nothing, because what was sent
        comes again. Otherwise what comes could not be told from what was, once this process is gone as well. No
        engine has it yet, so this attempt does not count.
        """
        if self.log.comes_again:
            return None
        return GoesOn(attempts=self.attempts - self.has_begun, epoch=self.log.epoch)

    @property
    def absence(self) -> Absence:
        """Return why nobody follows it."""
        if self.unfinished.detached:
            return Absence.WANTED
        return Absence.SENT_AWAY if self.unfinished.left and not self.unfinished.lonely else Absence.GONE

    @property
    def answered(self) -> list[OutputItem]:
        """Return the recorded answers of MCP servers."""
        return [item for item in self.output if isinstance(item, McpListTools | McpCall)]

    def forget(self, number: int) -> None:
        """Drop what was made again, up to and including this generation."""
        left = [one for one in self.unfinished.generations if one.begun.number > number]
        self.unfinished = msgspec.structs.replace(self.unfinished, events=(), generations=left)
        self._types = []

    @property
    def head(self) -> Head:
        """The response's head."""
        return self.unfinished.head

    @property
    def is_whole(self) -> bool:
        """Return whether the log has every event from the first one on, and is not over."""
        one, types = self.unfinished, self._types
        return (
            one.head.stored
            and not one.damaged
            and len(types) == one.tip > 0
            and types[0] == _CREATED
            and types[-1] not in _TERMINALS
        )

    @property
    def queued(self) -> bool:
        """Return whether its client was told that it waits."""
        return _QUEUED in self._types[1:2]

    @property
    def place(self) -> events.QueuePlace | None:
        """Return the place in the queue that its client was told."""
        return _decode_queued(self.unfinished.events[1]).queue if self.queued else None

    @property
    def rate_limits(self) -> list[RateLimit]:
        """Return the rate limits that its client was told."""
        return _decode_created(self.unfinished.events[0]).response.rate_limits

    @property
    def has_compaction(self) -> bool:
        """Return whether its history was being compacted."""
        return _COMPACTING in self._types

    @property
    def parent(self) -> Turn | None:
        """Return the turn that it continues, if it had found that."""
        first = self.generation(1)
        return first.begun.parent if first is not None else None

    def created(self) -> tuple[Response, list[events.RequestWarning]]:
        """Return the response as it was first shown, and the warnings that its client was given. Raises ValueError."""
        first = self.unfinished.events[0]
        return shown_in(first), _decode_created(first).warnings

    def generation(self, number: int) -> PastGeneration | None:
        """Return the generation with this number, if it was begun."""
        return next((one for one in self.unfinished.generations if one.begun.number == number), None)

    def is_exact(self, temperature: float) -> bool:
        """Return whether the tokens that follow are those that would have followed. `temperature`: the one in force."""
        generations = self.unfinished.generations
        return temperature == 0 or (bool(generations) and generations[-1].begun.seed is not None)

    @property
    def has_said(self) -> bool:
        """Return whether anything had been generated."""
        return any(one.chunks for one in self.unfinished.generations)

    @property
    def output(self) -> list[OutputItem]:
        """Return the items that are finished in the log."""
        return list(BrokenOff.of(self.unfinished.events).output)

    @property
    def so_far(self) -> list[OutputItem]:
        """Return the items in the log, including the open one."""
        broken = BrokenOff.of(self.unfinished.events)
        item = broken.open.so_far() if broken.open is not None else None
        return [*broken.output, *([item] if item is not None else ())]

    @property
    def usage(self) -> Usage:
        """Return the tokens that were read and generated, as far as is known."""
        prompts = [one.begun.prompt for one in self.unfinished.generations]
        read = sum(prompt.num_tokens for prompt in prompts if prompt is not None)
        return Tokens(num_input=read, num_output=self._num_generated).usage()

    @property
    def _num_generated(self) -> int:
        return sum(len(chunk.token_ids) for one in self.unfinished.generations for chunk in one.chunks)

    def receipt(self, through: int | None) -> CancelReceipt:
        """Return the receipt of a cancel. The canceller can't have been sent more than there is."""
        number = self._num_generated
        through_shown = UNSET if through is None else through
        return CancelReceipt(tokens_generated=number, tokens_delivered=number, abort_ms=0.0, through=through_shown)

    def shown(self, shown: ReasoningShown) -> ReasoningShown:
        """Return the form in which the client sees reasoning. Encryption gives other bytes each time, so content that
        was encrypted comes from the log.
        """
        if shown.encrypt is None:
            return shown
        return msgspec.structs.replace(shown, encrypt=self._again(shown.encrypt))

    def _again(self, encrypt: Callable[[str], str]) -> Callable[[str], str]:
        entries = zip(self._types, self.unfinished.events, strict=True)
        done = (_decode_done(entry).item for kind, entry in entries if kind == b"response.output_item.done")
        known = deque(item.encrypted_content for item in done if item.encrypted_content is not None)
        return lambda text: known.popleft() if known else encrypt(text)

    def close(self, status: ItemStatus) -> tuple[Sequence[events.Event], list[OutputItem]]:
        """Close the open item of a log that broke off. Return the events that do so, and all items. Raises
        ValueError.
        """
        broken = BrokenOff.of(self.unfinished.events)
        if broken.open is None:
            return [], list(broken.output)
        closing, item = broken.open.end(status)
        return list(closing), [*broken.output, *([item] if item is not None else ())]
