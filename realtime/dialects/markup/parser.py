"""The machine behind `dialects.base.Parser`: chunks of tokens in, pieces out. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from realtime.context.tools import Mode, Tool, ToolSet
from realtime.dialects.base import CallBegin, CallCut, CallDelta, CallEnd, Piece, ReasoningDelta, TextDelta
from realtime.dialects.logprobs import Logprobs, to_logprobs
from realtime.engine.base import FinishReason, TokenChunk
from realtime.engine.parsing import Constraint

from .machine import Machine, Start
from .tokens import Markup


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A response, as far as its parser must know it. `thinking`: see Machine. `stop_token_ids`: the request's stop
    tokens, which are not the model's own end. `constraint`: for the engine.
    """

    tools: ToolSet
    start: Start = Start.FREE
    thinking: int = 0
    stop_token_ids: frozenset[int] = frozenset()
    num_top_logprobs: int = 0
    constraint: Constraint | None = None


class MarkupParser:
    """A `Parser` by the machine."""

    skip_special_tokens = False  # they are markup; those that are not are left out here
    stop_token_ids: tuple[int, ...] = ()

    def __init__(self, markup: Markup, asked: Asked) -> None:
        self.constraint = asked.constraint
        self.reasoning_ended = True if asked.constraint is not None else None  # it describes all of the output
        self.num_reasoning_tokens = 0
        self.trouble: Exception | None = None
        self._markup = markup
        self._watched = markup.watched
        self._asked = asked
        self._machine = Machine(markup.grammar, asked.tools, asked.start, thinking=asked.thinking)
        self._pending = 0  # tokens that are reasoning unless they become a call
        self._logprobs: list[Any] = []  # of text that is to come
        self._ended = False  # by the model itself

    def feed(self, chunk: TokenChunk) -> Sequence[Piece]:
        """See Parser."""
        if chunk.finish is not None:
            self._ended = chunk.finish is FinishReason.STOP and self._is_own(chunk.stop_reason)
        text, token_ids, machine = chunk.text, chunk.token_ids, self._machine
        if chunk.logprobs is not None or not self._watched.isdisjoint(token_ids):
            return list(self._runs(text, token_ids, chunk.logprobs))
        plain = machine.plain
        if plain is not None and machine.alert.isdisjoint(text):  # nearly every token
            if plain is TextDelta:
                return (TextDelta(text),) if text else ()
            self.num_reasoning_tokens += len(token_ids)
            return machine.feed_plain(text)
        pieces = machine.feed(text)
        if machine.in_reasoning or self._pending:
            self._count(len(token_ids))
        return pieces

    def close(self) -> Sequence[Piece]:
        """See Parser."""
        pieces = self._machine.close(ended=self._ended)
        self._count(0)
        if any(isinstance(piece, ReasoningDelta) for piece in pieces):
            self.num_reasoning_tokens += self._pending
        self._pending = 0
        return list(self._with_logprobs(pieces, None, said=True))

    def _is_own(self, stop_reason: str | int | None) -> bool:
        return not isinstance(stop_reason, str) and stop_reason not in self._asked.stop_token_ids

    def _runs(self, text: str, token_ids: Sequence[int], logprobs: Logprobs) -> Iterator[Piece]:
        at = 0
        for run in self._markup.runs(text, token_ids):
            reasoned = self._machine.in_reasoning
            pieces = self._machine.feed(run.text)
            if reasoned or not run.mark:
                self._count(run.num_tokens)
            yield from self._with_logprobs(
                pieces, logprobs[at : at + run.num_tokens] if logprobs else None, said=bool(run.text)
            )
            at += run.num_tokens

    def _count(self, num_tokens: int) -> None:
        """Count tokens of reasoning."""
        machine = self._machine
        if not machine.in_reasoning:
            self._pending = 0
        elif machine.undecided:
            self._pending += num_tokens
        else:
            self.num_reasoning_tokens += self._pending + num_tokens
            self._pending = 0

    def _with_logprobs(self, pieces: Sequence[Piece], logprobs: Logprobs, *, said: bool) -> Iterator[Piece]:
        """Yield text with the log probabilities of its tokens; those of markup are left out. `said`: the tokens that
        made text.
        """
        if logprobs:
            self._logprobs += to_logprobs(logprobs, self._asked.num_top_logprobs)
        for piece in pieces:
            if isinstance(piece, TextDelta) and self._logprobs:
                piece, self._logprobs = TextDelta(piece.text, _of_text(self._logprobs, piece.text)), []
            elif not isinstance(piece, TextDelta):
                self._logprobs = []
            yield piece
        if not (self._machine.holds_text if said else self._machine.in_text):
            self._logprobs = []


def _of_text(logprobs: list[Any], text: str) -> list[Any]:
    """Return the log probabilities of this text's tokens, without the layout before it."""
    excess = sum(len(one["token"]) for one in logprobs) - len(text)
    num_layout = 0
    for one in logprobs:
        if excess <= 0 or one["token"].strip():
            break
        excess -= len(one["token"])
        num_layout += 1
    return logprobs[num_layout:]


class WholeCallParser(MarkupParser):
    """A parser for a forced tool with a grammar: everything after the reasoning is its input, without markup, until the
    model reasons again.
    """

    def __init__(self, markup: Markup, asked: Asked, tool: Tool) -> None:
        off = msgspec.structs.replace(asked.tools, mode=Mode.NONE, only=None)
        super().__init__(markup, msgspec.structs.replace(asked, tools=off, num_top_logprobs=0))
        self._tool = tool
        self._begun = False
        self._over = False

    def feed(self, chunk: TokenChunk) -> Sequence[Piece]:
        """See Parser."""
        return list(self._as_call(super().feed(chunk)))

    def close(self) -> Sequence[Piece]:
        """See Parser."""
        answers = self._machine.in_text  # a model that ends in its reasoning has given no input, not an empty one
        pieces = list(self._as_call(super().close()))
        if not self._over and self._ended and (self._begun or answers):
            pieces += [*self._begin(), CallEnd()]
        elif not self._over and self._begun:
            pieces.append(CallCut())
        return pieces

    def _as_call(self, pieces: Sequence[Piece]) -> Iterator[Piece]:
        for piece in pieces:
            if isinstance(piece, TextDelta) and not self._over:
                yield from self._begin()
                yield CallDelta(piece.text)
                continue
            if self._begun and not self._over:
                self._over = True
                yield CallEnd()
            yield piece

    def _begin(self) -> Iterator[Piece]:
        if not self._begun:
            self._begun = True
            yield CallBegin(self._tool.name, self._tool.namespace, custom=True)
