"""Parse generated Harmony tokens into pieces, one message of the model into one item. Pure.

A state machine over token ids: the markup is special tokens, so it is never confused with text that looks like it, and
chunks may be cut anywhere. `openai_harmony.StreamableParser` reads well-formed output the same way, which a test
checks. But it raises on malformed output, shows special tokens as content, and forgets text in a header. Here:

- a missing `<|end|>` or `<|start|>` is put in; markup in the middle of text is dropped, the text is not;
- text where a header should be is content; a header without an end ends by itself;
- a call is a call in every channel, and its name never holds markup;
- an item around which something was repaired is marked, and `trouble` says what was wrong first.
"""

from __future__ import annotations

import codecs
import enum
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from realtime.context.tools import Mode, ToolSet
from realtime.dialects.base import (
    BlockEnd,
    CallBegin,
    MessageBegin,
    Piece,
    ReasoningBegin,
    ReasoningDelta,
    Recovered,
    TextDelta,
)
from realtime.dialects.logprobs import Logprobs, to_logprobs
from realtime.dialects.said_call import SaidCall, call_of
from realtime.engine.base import TokenChunk
from realtime.engine.parsing import Constraint

from .header import Marker, Segment, may_be_header, read_header

_MAX_HEADER = 256  # tokens; more are no header
_MAX_CHARACTER = 4  # tokens, of a byte each


class Malformed(Exception):
    """An error: output that is not well-formed Harmony."""


class Vocabulary(msgspec.Struct, frozen=True, kw_only=True):
    """The special tokens, and the decoding of the others. `decode`: token ids to bytes. All ids from `first_special` on
    are special.
    """

    decode: Callable[[Sequence[int]], bytes]
    first_special: int
    start: int
    channel: int
    constrain: int
    message: int
    end: int
    ends: frozenset[int]  # of a message: <|end|>, <|return|>, <|call|>, <|endoftext|>
    stop: tuple[int, ...]  # of a generation: <|return|>, <|call|>

    @property
    def markup(self) -> list[int]:
        """All tokens that the parser interprets."""
        return sorted({self.start, self.channel, self.constrain, self.message, *self.ends})


class _State(enum.Enum):
    BETWEEN = "between"  # messages: <|start|> is next
    HEADER = "header"
    CONTENT = "content"


class HarmonyParser:
    """The `Parser` of Harmony."""

    skip_special_tokens = False  # the text of chunks is not looked at
    reasoning_ended = True  # to the engine: a constraint describes the output from its first token

    def __init__(
        self,
        vocabulary: Vocabulary,
        tools: ToolSet,
        *,
        constraint: Constraint | None = None,
        num_top_logprobs: int = 0,
    ) -> None:
        self.constraint = constraint
        self.stop_token_ids = vocabulary.stop
        self.num_reasoning_tokens = 0
        self.trouble: Exception | None = None
        self._vocabulary = vocabulary
        self._tools = tools
        self._num_top_logprobs = num_top_logprobs
        self._state = _State.HEADER  # the prompt ends with `<|start|>assistant`
        self._first = True  # message
        self._header: list[int] = []
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._call: SaidCall | None = None
        self._reasoning = False  # what is open is reasoning
        self._unwanted = False  # ... or a call that the request forbids
        self._num_calls = 0
        self._logprobs: list[Any] = []  # of text that is to come

    def feed(self, chunk: TokenChunk) -> Sequence[Piece]:
        """See Parser."""
        token_ids = chunk.token_ids
        if self._state is _State.CONTENT and token_ids and max(token_ids) < self._vocabulary.first_special:
            if not self._unwanted and chunk.logprobs is None:
                return self._plain(token_ids)
            return list(self._content(token_ids, chunk.logprobs))
        return list(self._tokens(token_ids, chunk.logprobs))

    def close(self) -> Sequence[Piece]:
        """See Parser."""
        if self._state is _State.HEADER:
            return list(self._header_cut())
        return list(self._close_content()) if self._state is _State.CONTENT else ()

    def _tokens(self, token_ids: Sequence[int], logprobs: Logprobs) -> Iterator[Piece]:
        """Take any tokens: runs of content at once, the others one by one."""
        at, end = 0, len(token_ids)
        while at < end:
            run = at
            while self._state is _State.CONTENT and run < end and token_ids[run] < self._vocabulary.first_special:
                run += 1
            if run > at:
                yield from self._content(token_ids[at:run], logprobs[at:run] if logprobs else None)
                at = run
                continue
            yield from self._token(token_ids[at])
            at += 1

    def _token(self, token: int) -> Iterator[Piece]:
        """Take a special token, or one outside content."""
        special = self._vocabulary
        if token in special.ends:
            yield from self._end()
        elif token == special.start:
            yield from self._start()
        elif token == special.channel:
            yield from self._marker(token)
        elif token == special.constrain and self._state is _State.HEADER:
            self._header.append(token)
        elif token == special.message and self._state is not _State.CONTENT:
            yield from self._message()
        elif token >= special.first_special:
            yield from self._odd("markup where none belongs")
        else:
            yield from self._header_text(token)

    # -- markup

    def _end(self) -> Iterator[Piece]:
        if self._state is _State.HEADER:
            yield from self._recover()
        if self._state is _State.CONTENT:
            yield from self._finish()
        self._between()

    def _start(self) -> Iterator[Piece]:
        if self._state is _State.CONTENT:
            yield from self._odd("a message without <|end|>")
        yield from self._end()
        self._state = _State.HEADER

    def _marker(self, token: int) -> Iterator[Piece]:
        """Take `<|channel|>`: of this header, or of a message whose `<|start|>` is missing."""
        if self._state is _State.CONTENT:
            yield from self._odd("a message without <|end|>")
            yield from self._finish()
            self._between()
        if self._state is _State.BETWEEN:
            self._first = True  # the assistant goes on
            self._state = _State.HEADER
        self._header.append(token)

    def _message(self) -> Iterator[Piece]:
        if self._state is _State.BETWEEN:
            self._first = True
        yield from self._open(complete=True)

    def _header_text(self, token: int) -> Iterator[Piece]:
        self._state = _State.HEADER
        self._header.append(token)
        excess = len(self._header) - _MAX_HEADER
        if excess > 0 and (excess >= _MAX_CHARACTER or not self._within_character()):
            yield from self._open(complete=False)

    def _within_character(self) -> bool:
        """Return whether the last character of the header has more bytes to come."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        decoder.decode(self._vocabulary.decode(self._header[-_MAX_CHARACTER:]))
        return bool(decoder.getstate()[0])

    def _between(self) -> None:
        self._state = _State.BETWEEN
        self._first = False
        self._header.clear()

    # -- headers

    def _open(self, *, complete: bool) -> Iterator[Piece]:
        """Begin what the header says."""
        header = read_header(self._segments(), first=self._first, complete=complete)
        self._header.clear()
        self._state = _State.CONTENT
        self._reasoning = False
        if header.call is not None:
            self._unwanted = not self._may_call()
            self._num_calls += 1
            if self._unwanted:
                return
            usual = header.channel in (None, "commentary")
            self._call = SaidCall(self._begin_of(header.call, None if usual else header.channel))
            yield from self._call.begin()
        elif header.channel == "analysis":
            self._reasoning = True
            yield ReasoningBegin()
        else:
            yield MessageBegin("commentary" if header.channel == "commentary" else "final_answer")
        if header.odd is not None:
            yield from self._odd(header.odd)
        if header.rest and (self._call is None or not complete):
            yield from self._say(header.rest, None)

    def _begin_of(self, name: str, channel: str | None) -> CallBegin:
        """The beginning of a call of this name: in its header nothing else can stand, so it may be nobody's."""
        tool = self._tools.find(name)
        return CallBegin(name, channel=channel) if tool is None else call_of(tool, channel)

    def _may_call(self) -> bool:
        return self._tools.mode is not Mode.NONE and (self._tools.parallel or not self._num_calls)

    def _recover(self) -> Iterator[Piece]:
        """Recover from a header that ended before its content: what is in it besides a header was said."""
        header = read_header(self._segments(), first=self._first, complete=False)
        if header.rest or header.call is not None:
            yield from self._open(complete=False)

    def _header_cut(self) -> Iterator[Piece]:
        """End a header in which the generation ended: as `_recover`, except for a call, of which only the name is
        known, and for an incomplete part of the header.
        """
        header = read_header(self._segments(), first=self._first, complete=False)
        if header.rest and not may_be_header(header.rest):
            yield from self._open(complete=False)

    def _segments(self) -> list[Segment]:
        special = self._vocabulary
        marker: Marker | None = None
        segments: list[Segment] = []
        run: list[int] = []
        for token in [*self._header, special.message]:
            if token < special.first_special:
                run.append(token)
                continue
            segments.append((marker, special.decode(run).decode("utf-8", "replace")))
            run = []
            marker = "channel" if token == special.channel else "constrain"
        return segments

    # -- content

    def _plain(self, token_ids: Sequence[int]) -> Sequence[Piece]:
        """Take content where nothing special can occur, which is nearly every token: a fast form of `_content`."""
        text = self._utf8.decode(self._vocabulary.decode(token_ids))
        if self._call is not None:
            return self._call.more(text)
        if self._reasoning:
            self.num_reasoning_tokens += len(token_ids)
            return (ReasoningDelta(text),) if text else ()
        return (TextDelta(text),) if text else ()

    def _content(self, token_ids: Sequence[int], logprobs: Logprobs) -> Iterator[Piece]:
        if self._reasoning:
            self.num_reasoning_tokens += len(token_ids)
        yield from self._say(self._utf8.decode(self._vocabulary.decode(token_ids)), logprobs)

    def _say(self, text: str, logprobs: Logprobs) -> Iterator[Piece]:
        if self._unwanted:
            return
        if logprobs:
            self._logprobs += to_logprobs(logprobs, self._num_top_logprobs)
        if not text:
            return
        if self._call is not None:
            yield from self._call.more(text)
        elif self._reasoning:
            yield ReasoningDelta(text)
        else:
            yield TextDelta(text, self._logprobs) if self._logprobs else TextDelta(text)
        self._logprobs = []

    def _finish(self) -> Iterator[Piece]:
        """Complete the message."""
        yield from self._say(self._utf8.decode(b"", final=True), None)
        self._utf8.reset()
        if self._unwanted:
            self._unwanted = False
            return
        if self._call is None:
            yield BlockEnd()
            return
        call, self._call = self._call, None
        if call.is_empty:
            yield from call.more("{}")
        yield from call.end(complete=True)

    def _close_content(self) -> Iterator[Piece]:
        """End within a message: half a character at its end is dropped, and a call is incomplete."""
        call, self._call = self._call, None
        if call is not None:
            yield from call.end(complete=False)

    def _odd(self, what: str) -> Iterator[Piece]:
        if self.trouble is None:
            self.trouble = Malformed(what)
        if self._state is _State.CONTENT and not self._unwanted:
            yield Recovered()
