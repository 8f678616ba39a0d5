"""The engine's own parsers behind `Reader`, for families that the table lacks. Pure.

They are trusted, except that no call is complete whose arguments are not a JSON object.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from realtime.context.tools import Mode, ToolSet
from realtime.engine import structural_tags
from realtime.engine.base import TokenChunk
from realtime.engine.parsing import CallFragment, Constraint, OutputParser, Parsed, Parsers, ParseSpec
from realtime.wire.json_text import without_surrogates

from .base import CallBegin, Parser, Piece, ReasoningDelta, TextDelta
from .logprobs import Logprobs, to_logprobs
from .messages import to_tools
from .reader import Reading
from .said_call import SaidCall, call_of


class ForeignReader:
    """A `Reader` by the engine's own parsers."""

    name = "as vLLM's parsers read it"
    openings = ()  # they look at the prompt themselves

    def __init__(self, parsers: Parsers) -> None:
        self._parsers = parsers
        self.holds = parsers.holds

    def as_wanted(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """See Reader."""
        return messages

    def open(self, reading: Reading) -> Parser:
        """See Reader."""
        tools = reading.tools
        spec = ParseSpec(tools=tuple(to_tools(tools)), template_kwargs=reading.template_kwargs)
        parser = self._parsers.open(spec, reading.prompt_token_ids)
        return ForeignParser(parser, tools, _constraint(reading.schema), num_top_logprobs=reading.num_top_logprobs)


def _constraint(schema: dict[str, Any] | None) -> Constraint | None:
    if schema is None:
        return None
    return Constraint("structural_tag", structural_tags.of_json(schema, "text.format.schema"))


class ForeignParser:
    """A dialect's `Parser` on one of the engine's own."""

    stop_token_ids: tuple[int, ...] = ()

    def __init__(
        self, parser: OutputParser, tools: ToolSet, constraint: Constraint | None, *, num_top_logprobs: int
    ) -> None:
        self.constraint = constraint
        self.reasoning_ended = parser.reasoning_ended
        self.skip_special_tokens = parser.skip_special_tokens
        self.trouble: Exception | None = None
        self._parser = parser
        self._tools = tools
        self._num_top_logprobs = num_top_logprobs
        self._token_ids: list[int] = []
        self._call: SaidCall | None = None
        self._index = -1  # of the newest call
        self._num_calls = 0

    @property
    def num_reasoning_tokens(self) -> int:
        """See Parser."""
        return self._parser.num_reasoning_tokens(self._token_ids)

    def feed(self, chunk: TokenChunk) -> Sequence[Piece]:
        """See Parser."""
        self._token_ids += chunk.token_ids
        return list(self._pieces(chunk.text, chunk.token_ids, chunk.logprobs, finished=False))

    def close(self) -> Sequence[Piece]:
        """See Parser."""
        return [*self._pieces("", (), None, finished=True), *self._end_call()]

    def _pieces(self, text: str, token_ids: Sequence[int], logprobs: Logprobs, *, finished: bool) -> Iterator[Piece]:
        """Yield the parser's output as pieces. If the parser raises, nothing is lost: from there on the raw text is the
        answer.
        """
        said: Sequence[Parsed] = [Parsed(text=text)]
        if self.trouble is None:
            try:
                said = self._parser.feed(text, token_ids, finished=finished)
            except Exception as error:  # whatever a model wrote must not end as an error
                self.trouble = error
        for parsed in said:
            yield from self._said(parsed, logprobs)
            logprobs = None if parsed.text else logprobs

    def _said(self, parsed: Parsed, logprobs: Logprobs) -> Iterator[Piece]:
        if parsed.reasoning:
            yield from self._end_call()
            yield ReasoningDelta(without_surrogates(parsed.reasoning))
        if parsed.text:
            yield from self._end_call()
            text = without_surrogates(parsed.text)
            yield TextDelta(text, to_logprobs(logprobs, self._num_top_logprobs) if logprobs else [])
        for fragment in parsed.calls:
            yield from self._fragment(fragment)

    def _fragment(self, fragment: CallFragment) -> Iterator[Piece]:
        if fragment.name and fragment.index != self._index:
            yield from self._end_call()
            self._index = fragment.index
            self._num_calls += 1
            self._call = SaidCall(self._begin(fragment.name), said=self._may_call())
            yield from self._call.begin()
        if self._call is not None:
            yield from self._call.more(without_surrogates(fragment.arguments))

    def _may_call(self) -> bool:
        return self._tools.mode is not Mode.NONE and (self._tools.parallel or self._num_calls == 1)

    def _begin(self, name: str) -> CallBegin:
        tool = self._tools.find(name)
        return CallBegin(name) if tool is None else call_of(tool)

    def _end_call(self) -> Iterator[Piece]:
        call, self._call = self._call, None
        if call is None:
            return
        if call.is_empty:
            yield from call.more(json.dumps({}))
        yield from call.end(complete=True)
