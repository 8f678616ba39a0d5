"""Pieces out of what vLLM's parsers say, with what they get wrong set right. Pure.

The repairs, each with a test of its name in tests/dialects/test_chat_parser.py:

- layout is not content: white space around reasoning is dropped, so no message of line ends appears before a call;
- a call begins when its name is known, once; a name never holds markup; arguments that come before it wait;
- a new index closes the call before it, whatever else the delta holds; while that one's arguments are in the middle
  of something, fragments of others wait;
- the rest of a call comes before text that came with it;
- a call without arguments has `{}`; arguments never begin with the colon before them;
- what a custom tool was given without an `input` is its input as it stands;
- special tokens that a parser lets through (most want to see them) are no part of what was said;
- half of a surrogate pair, which a parser has made of an escape, is U+FFFD: else no event could be made of it;
- a parser that raises loses nothing: from there on the raw text is the answer.

Feeding vLLM's parsers costs tens of microseconds a token, so text that can't be the beginning of markup goes past
them and is handed to them together with the next text that can.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from realtime.context.tools import Tool, ToolSet
from realtime.engine.base import FinishReason, TokenChunk
from realtime.engine.parsing import CallFragment, Constraint, ConstraintKind, OutputParser, Parsed
from realtime.wire.json_text import without_surrogates

from .base import CallBegin, CallDelta, CallEnd, Piece, ReasoningDelta, TextDelta
from .calls import Call
from .logprobs import Logprobs, to_logprobs

Mode = type[ReasoningDelta] | type[TextDelta]

_MARKUP = frozenset("<[{|`(\uff5c")  # one of these is in the first character of every parser's markup in `QUIET`


class ChatParser:
    """See dialects.base.Parser. `quiet`: whether ordinary text may go past the parser (see the module). `specials`:
    the special tokens with their text.
    """

    def __init__(
        self,
        parser: OutputParser,
        tools: ToolSet,
        *,
        quiet: bool,
        num_top_logprobs: int = 0,
        specials: Mapping[int, str] | None = None,
    ) -> None:
        self._opened = parser
        self._parser: OutputParser | None = parser  # None once it has failed
        self.trouble: Exception | None = None
        self._tools = tools
        self._quiet = quiet
        self._num_top_logprobs = num_top_logprobs
        self._specials = specials or {}
        self._leaks: set[str] = set()  # special tokens that were generated
        self._token_ids: list[int] = []
        self._ahead: list[str] = []  # text that is in pieces already and not yet with the parser ...
        self._ahead_ids: list[int] = []
        self._held = ""  # ... or is there, but has not come out of it
        self._mode: Mode | None = None  # what plain text is now, if that is certain
        self._last: type[Piece] | None = None  # what the model said last
        self._space = ""  # white space at the end of reasoning so far
        self._call: Call | None = None
        self._later: list[CallFragment] = []  # of calls after the open one
        self._num_calls = 0

    def feed(self, chunk: TokenChunk) -> Sequence[Piece]:
        """See Parser."""
        token_ids = chunk.token_ids
        self._token_ids += token_ids
        text = chunk.text
        if self._specials and not self._specials.keys().isdisjoint(token_ids):
            self._leaks.update(self._specials[token] for token in token_ids if token in self._specials)
        elif self._mode is not None and _MARKUP.isdisjoint(text):
            self._ahead.append(text)
            self._ahead_ids += token_ids
            return self._plain(self._mode, text, chunk.logprobs)
        return list(self._pieces(text, token_ids, chunk.logprobs, finished=False))

    def close(self) -> Sequence[Piece]:
        """See Parser."""
        return [*self._pieces("", (), None, finished=True), *self._finish_calls()]

    @property
    def constraint(self) -> Constraint | None:
        """See Parser."""
        return self._opened.constraint

    @property
    def reasoning_ended(self) -> bool | None:
        """See Parser."""
        return self._opened.reasoning_ended

    @property
    def skip_special_tokens(self) -> bool:
        """See Parser."""
        return self._opened.skip_special_tokens

    @property
    def stop_token_ids(self) -> tuple[int, ...]:
        """See Parser."""
        return ()

    @property
    def num_reasoning_tokens(self) -> int:
        """See Parser."""
        return self._opened.num_reasoning_tokens(self._token_ids)

    # -- through the parser

    def _pieces(self, text: str, token_ids: Sequence[int], logprobs: Logprobs, *, finished: bool) -> Iterator[Piece]:
        """Give the parser what it has not seen; what it says of text that went past it is known already."""
        if self._parser is None:
            yield from self._text(text, logprobs)
            return
        try:
            said = [*self._catch_up(self._parser), *self._parser.feed(text, token_ids, finished=finished)]
        except Exception as error:  # whatever a model wrote must not end as an error
            self.trouble = error
            self._parser = self._mode = None
            yield from self._end_call()
            yield from self._text(text, logprobs)
            return
        if self._held:
            said = list(self._unheard(said))
        self._mode = _certain(text, said) if self._quiet else None
        for parsed in map(_sayable, said):
            yield from self._said(parsed, logprobs)
            logprobs = None if parsed.text else logprobs

    def _catch_up(self, parser: OutputParser) -> Sequence[Parsed]:
        """What the parser says of text that went past it."""
        if not self._ahead_ids and not self._ahead:
            return ()
        ahead, ids = "".join(self._ahead), self._ahead_ids
        self._ahead, self._ahead_ids = [], []
        self._held += ahead
        return parser.feed(ahead, ids, plain=True)

    def _unheard(self, said: Sequence[Parsed]) -> Iterator[Parsed]:
        """What the parser said, less what is in pieces already."""
        for parsed in said:
            reasoning, text = parsed.reasoning, parsed.text
            if self._mode is ReasoningDelta:
                reasoning = self._less(reasoning)
            else:
                text = self._less(text)
            yield Parsed(reasoning, text, parsed.calls)

    def _less(self, text: str) -> str:
        """A text less what is held."""
        held = self._held
        size = min(len(held), len(text))
        if held[:size] != text[:size]:  # it keeps white space at an end to itself
            size, self._held = 0, ""
        self._held = self._held[size:]
        return text[size:]

    def _said(self, parsed: Parsed, logprobs: Logprobs) -> Iterator[Piece]:
        calls = parsed.calls
        if calls and self._call is not None and (parsed.text or parsed.reasoning):
            open_index = self._call.index
            yield from self._fragments(call for call in calls if call.index == open_index)
            calls = [call for call in calls if call.index != open_index]
        if parsed.reasoning:
            yield from self._reasoning(self._without_specials(parsed.reasoning))
        if parsed.text:
            yield from self._text(self._without_specials(parsed.text), logprobs)
        yield from self._fragments(calls)

    def _without_specials(self, text: str) -> str:
        for leak in self._leaks:
            text = text.replace(leak, "")
        return text

    # -- repairs

    def _plain(self, mode: Mode, text: str, logprobs: Logprobs) -> Sequence[Piece]:
        """Text in the middle of more of its kind, which is what nearly every token is."""
        if self._last is not mode:
            return list(self._text(text, logprobs) if mode is TextDelta else self._reasoning(text))
        if not text:
            return ()
        if mode is TextDelta:
            return (TextDelta(text, to_logprobs(logprobs, self._num_top_logprobs)) if logprobs else TextDelta(text),)
        text = self._space + text
        kept = text.rstrip()
        self._space = text[len(kept) :]
        return (ReasoningDelta(kept),) if kept else ()

    def _reasoning(self, text: str) -> Iterator[Piece]:
        """Reasoning without the line ends that a template puts around it."""
        yield from self._end_call()
        if self._last is not ReasoningDelta:
            text = text.lstrip()
            self._space = ""
        if not text:
            return
        text = self._space + text
        kept = text.rstrip()
        self._space = text[len(kept) :]
        self._last = ReasoningDelta
        if kept:
            yield ReasoningDelta(kept)

    def _text(self, text: str, logprobs: Logprobs) -> Iterator[Piece]:
        """Text without the line ends that a template puts between reasoning and it."""
        if not text:
            return
        yield from self._end_call()
        if self._last is not TextDelta:
            if self._last is not None:
                text = text.lstrip()
            if not text:
                return
            self._last = TextDelta
        yield TextDelta(text, to_logprobs(logprobs, self._num_top_logprobs) if logprobs else [])

    def _fragments(self, fragments: Iterable[CallFragment]) -> Iterator[Piece]:
        for fragment in fragments:
            if self._call is not None and fragment.index != self._call.index and not self._call.complete:
                self._later.append(fragment)
                continue
            yield from self._fragment(fragment)
            if self._later and self._call is not None and self._call.complete:
                yield from self._take_later()

    def _fragment(self, fragment: CallFragment) -> Iterator[Piece]:
        if self._call is None or fragment.index != self._call.index:
            yield from self._end_call()
            if not self._tools.parallel and self._num_calls:
                return
            self._call = Call(fragment.index, self._tools)
            self._num_calls += 1
        self._last = CallBegin
        arguments = self._without_specials(fragment.arguments)
        yield from self._call.take(CallFragment(fragment.index, fragment.name, arguments))

    def _take_later(self) -> Iterator[Piece]:
        later, self._later = self._later, []
        yield from self._fragments(later)

    def _end_call(self) -> Iterator[Piece]:
        while self._call is not None:
            call, self._call = self._call, None
            yield from call.end()
            yield from self._take_later()

    def _finish_calls(self) -> Iterator[Piece]:
        while self._call is not None and self._later:
            call, self._call = self._call, None
            yield from call.end()
            yield from self._take_later()
        if self._call is not None:
            yield from self._call.finish()


def _sayable(parsed: Parsed) -> Parsed:
    """What was parsed without what UTF-8 can't say."""
    if not parsed.calls and parsed.text.isascii() and parsed.reasoning.isascii():
        return parsed
    calls = [
        CallFragment(call.index, call.name and without_surrogates(call.name), without_surrogates(call.arguments))
        for call in parsed.calls
    ]
    return Parsed(without_surrogates(parsed.reasoning), without_surrogates(parsed.text), calls)


def _certain(text: str, said: Sequence[Parsed]) -> Mode | None:
    """What plain text will be from here on: certain if the parser has just passed all of some text on as that. Not of
    text that may be markup: the parser may have kept that back, and said the same that it had kept back before.
    """
    if not text or not _MARKUP.isdisjoint(text) or any(parsed.calls for parsed in said):
        return None
    if "".join([parsed.reasoning for parsed in said]) == text:
        return ReasoningDelta
    return TextDelta if "".join([parsed.text for parsed in said]) == text else None


class WholeCallParser(ChatParser):
    """For a tool with a grammar that must be called: after the reasoning everything is its input, without markup, up to
    where the model reasons again, which the grammar allows behind its end only.
    """

    def __init__(self, parser: OutputParser, tools: ToolSet, tool: Tool) -> None:
        super().__init__(parser, tools, quiet=False)
        self._tool = tool
        self._begun = False
        self._over = False
        self._stopped = False  # the model, not a limit, ended it

    @property
    def constraint(self) -> Constraint | None:
        """See Parser."""
        grammar = self._tool.grammar
        assert grammar is not None
        kind: ConstraintKind = "regex" if grammar.syntax == "regex" else "grammar"
        return Constraint(kind, grammar.definition, self._tool.path)

    def feed(self, chunk: TokenChunk) -> Sequence[Piece]:
        """See Parser."""
        self._stopped = chunk.finish is FinishReason.STOP
        return list(self._as_call(super().feed(chunk)))

    def close(self) -> Sequence[Piece]:
        """See Parser."""
        pieces = list(self._as_call(super().close()))
        if self._stopped and not self._over and (self._begun or self.reasoning_ended):
            pieces += [*self._begin(), CallEnd()]  # else it has only reasoned, and an empty input is not known to match
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
