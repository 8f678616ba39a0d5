"""The machine: turns an answer of any family into pieces as it comes in. Pure.

The machine reads text in which tokens of markup are single characters (see `marks`), in chunks of any size. A mark has
its meaning only where it can: in a JSON string, in a value, and in reasoning or an answer where no call of an offered
tool follows, it is letters. Text that may become a mark or a call is held back until that is decided; nothing is lost,
and nothing is said twice.

A call is complete if its end was seen, or if the model ended by itself right after its arguments, and if these are a
JSON object. Otherwise it is cut, with what was said of it.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Sequence

from realtime.context.tools import ToolSet
from realtime.dialects.base import Piece, ReasoningDelta, TextDelta

from .calling import Calling
from .candidate import Entry
from .grammar import BoundCalls, BoundThinking, Grammar
from .marks import skip_space
from .saying import Saying


class Start(enum.Enum):
    """The part of an answer that the template has begun."""

    FREE = "nothing: reasoning may come"
    REASONING = "reasoning"
    ANSWER = "the answer: there is no reasoning"
    WRAPPED = "the answer, by the mark that stands before it"


class _Place(enum.Enum):
    REASONING = "in reasoning"
    ANSWER = "in the answer"
    CALLS = "in calls, or what may be one"


class Machine:
    """The machine for one answer. `thinking` is the index of the form of reasoning that the template has begun.

    plain: the kind of text that has no character of `alert`; None: text must be examined.
    """

    def __init__(self, grammar: Grammar, tools: ToolSet, start: Start = Start.FREE, *, thinking: int = 0) -> None:
        self._grammar = grammar
        self._saying = Saying()
        self._calling = Calling(grammar, tools, self._saying)
        self._calls_on = self._calling.allowed
        self._letters = grammar.alphabet.letters
        self._place = _Place.REASONING if start is Start.REASONING else _Place.ANSWER
        self._from = self._place  # where the calls began
        self._thinking = thinking
        self._around = next((one for one in grammar.thinking if one.answer), None)  # may stand around the answer
        self._wrapped: BoundThinking | None = None  # does: its first mark was there
        if start is Start.WRAPPED:
            self._around = self._wrapped = grammar.thinking[thinking]
            self._saying.trims = True
        self._text = ""  # not taken yet
        self._may_think = start is Start.FREE and bool(grammar.thinking)
        self._may_repeat = True  # the mark that begins reasoning, within reasoning
        self._after_call = False
        self.alert: frozenset[str] = frozenset()  # with one of these, every mark begins that means something here
        self.plain: type[Piece] | None = None
        self._note_marks()

    @property
    def in_reasoning(self) -> bool:
        """Return whether what was read last was reasoning, or may turn out to have been."""
        return self._is_in(_Place.REASONING)

    @property
    def in_text(self) -> bool:
        """Return whether what comes next is the answer's text, unless it is markup."""
        return self._is_in(_Place.ANSWER)

    @property
    def holds_text(self) -> bool:
        """Return whether something that was read may still turn out to be the answer's text."""
        return self.in_text and (self.undecided or bool(self._text) or self._saying.holds)

    @property
    def undecided(self) -> bool:
        """Return whether something is held back that may be a call."""
        return self._place is _Place.CALLS and self._calling.undecided

    def feed(self, text: str) -> Sequence[Piece]:
        """Take more of the answer, and return the pieces that this completes."""
        if self.plain is not None and self.alert.isdisjoint(text):
            return self.feed_plain(text)
        if self._place is not _Place.CALLS:
            self._text += text
        elif not self._feed_calls(text):
            return self._saying.take()
        while self._text and _STEPS[self._place](self):
            pass
        self._note_plain()
        return self._saying.take()

    def close(self, *, ended: bool) -> list[Piece]:
        """End the generation. `ended`: by the model's own end of sequence, not by a limit or a stop."""
        if self._place is _Place.CALLS:
            self._calling.close(ended=ended)
            self._text, self._place = self._calling.text, self._from
        self._close_text()
        return self._saying.take()

    # -- reasoning and text

    def feed_plain(self, text: str) -> Sequence[Piece]:
        """Take text in the middle of more of its kind, which is nearly every token: see `plain`."""
        if self.plain is TextDelta:
            return (TextDelta(text),) if text else ()
        return self._saying.more_reasoning(text)

    def _note_plain(self) -> None:
        if self._text or self._place is _Place.CALLS or not self._saying.plain:
            self.plain = None
        else:
            self.plain = ReasoningDelta if self._place is _Place.REASONING else TextDelta

    def _note_marks(self) -> None:
        forms: Iterable[str] = ()
        if self._place is _Place.REASONING:
            forms = self._grammar.reasoning_forms(self._thinking, calls=self._calls_on)
        elif self._place is _Place.ANSWER and self._calls_on:
            forms = self._grammar.call_forms
        self.alert = frozenset([*(form[0] for form in forms), *self._grammar.alphabet.symbols.values()])

    def _is_in(self, place: _Place) -> bool:
        return self._place is place or (self._from is place and self._place is _Place.CALLS and self._calling.undecided)

    def _enter(self, place: _Place) -> None:
        """Enter another part of the answer."""
        self._place = place
        self._saying.begin()
        self._note_marks()

    def _reasoning(self) -> bool:
        thinking = self._grammar.thinking[self._thinking]
        if self._saying.fresh and self._may_repeat:
            found = thinking.begin.match(self._text, 0) if thinking.begin else -1
            if found is None:
                return False
            if found >= 0:  # the model begins what has begun
                self._text, self._may_repeat = self._text[found:], False
                return True
        if not self._say_up_to(self._grammar.reasoning_search[self._thinking][self._calls_on]):
            return False
        found = thinking.end.match(self._text, 0)
        if found is None:
            return False
        if found < 0:
            return self._try_calls()
        self._text = self._text[found:]
        self._begin_answer(thinking)
        return True

    def _begin_answer(self, thinking: BoundThinking) -> None:
        self._enter(_Place.ANSWER)
        self._may_think = self._after_call = self._saying.first = False
        self._around, self._wrapped = (thinking if thinking.answer is not None else None), None

    def _say_up_to(self, search: re.Pattern[str] | None) -> bool:
        """Pass on what precedes the first mark. Return whether there is a mark, and not only the beginning of one."""
        found = search.search(self._text) if search is not None else None
        at = found.start() if found is not None else len(self._text)
        if at:
            text, self._text = self._text[:at], self._text[at:]
            self._say(text)
        return found is not None and found[1] is not None

    def _say(self, text: str) -> None:
        if self._place is _Place.REASONING:
            self._saying.reasoning(self._letters(text))
        else:
            self._saying.text(self._letters(text))

    def _say_first(self) -> None:
        """Pass on the mark that stands here as text."""
        first, self._text = self._text[0], self._text[1:]
        self._say(first)

    def _answer(self) -> bool:
        if self._saying.fresh:
            begun = self._begun()
            if begun is not None:
                return begun
        if not self._say_up_to(self._answer_search()):
            return False
        if self._wrapped is not None:
            ended = self._end_of_answer(self._wrapped)
            if ended is not None:
                return ended
        return self._try_calls()

    def _answer_search(self) -> re.Pattern[str] | None:
        if self._wrapped is not None:
            return self._grammar.answer_search[self._thinking][self._calls_on]
        return self._grammar.text_search if self._calls_on else None

    def _begun(self) -> bool | None:
        """Take what may only stand where an answer begins: reasoning, a mark around the answer, a call without marks.
        Return None if it is none of these; otherwise whether to continue.
        """
        at = skip_space(self._text, 0)
        if at == len(self._text):
            return False
        for begin in (self._begun_reasoning, self._begun_around, self._begun_bare):
            begun = begin(at)
            if begun is not None:
                return begun
        return None

    def _begun_reasoning(self, at: int) -> bool | None:
        for index, thinking in enumerate(self._grammar.thinking if self._may_think or self._after_call else ()):
            found = thinking.begin.match(self._text, at)
            if found is None:
                return False
            if found >= 0:
                self._text, self._thinking = self._text[found:], index
                self._enter(_Place.REASONING)
                self._may_think = self._after_call = self._saying.first = self._may_repeat = False
                return True
        return self._ended_reasoning(at) if self._may_think else None

    def _ended_reasoning(self, at: int) -> bool | None:
        """Drop an end of reasoning that has not begun."""
        for thinking in self._grammar.thinking:
            found = thinking.end.match(self._text, at)
            if found is None:
                return False
            if found >= 0:
                self._text = self._text[found:]
                self._begin_answer(thinking)
                return True
        return None

    def _begun_around(self, at: int) -> bool | None:
        if self._around is None or self._around.answer is None:
            return None
        found = self._around.answer[self._wrapped is not None].match(self._text, at)
        if found is None:
            return False
        if found < 0:
            return None
        self._text, self._wrapped = self._text[found:], self._around
        self._saying.trims, self._saying.first = True, False
        return True

    def _begun_bare(self, at: int) -> bool | None:
        if self._after_call or not self._calls_on:
            return None
        forms = [calls for calls in self._grammar.bare if calls.opener in ("", self._text[at])]
        if not forms:
            return None
        self._saying.layout(self._text[:at])
        self._text = self._text[at:]
        return self._begin_calls(forms, "bare")

    def _end_of_answer(self, thinking: BoundThinking) -> bool | None:
        """Take the mark that ends an answer, after which only a call may follow. Return whether it was taken, as an end
        or as text; None if another mark stands here.
        """
        assert thinking.answer is not None
        found = thinking.answer[1].match(self._text, 0)
        if found == -1:
            return None
        if found is None or skip_space(self._text, found) == len(self._text):
            return False
        after = self._text[skip_space(self._text, found) :]
        forms = self._grammar.calls_at(after) if self._calls_on else []
        if forms is None:
            return False
        if forms:
            self._text = after
            self._saying.begin()
            return True
        self._say_first()
        return True

    # -- calls

    def _try_calls(self) -> bool:
        forms = self._grammar.calls_at(self._text) if self._calls_on else []
        if forms is None:
            return False
        if not forms:
            self._say_first()
            return True
        return self._begin_calls(forms, "mark")

    def _begin_calls(self, forms: Sequence[BoundCalls], entry: Entry) -> bool:
        self._from, self._place = self._place, _Place.CALLS
        text, self._text = self._text, ""
        self._calling.begin(text, forms, entry)
        self._feed_calls("")
        return True

    def _feed_calls(self, text: str) -> bool:
        """Return whether the calls are over."""
        calling = self._calling
        if not calling.feed(text):
            return False
        self._text, self._place = calling.text, self._from
        if not calling.rejected or calling.num_begun:
            self._leave_calls()
        if calling.rejected:
            self._say_first()
        return True

    def _leave_calls(self) -> None:
        """Leave the calls: the answer, or the reasoning, continues."""
        self._enter(self._from)
        self._saying.trims = self._wrapped is not None
        self._saying.first = self._may_think = False
        self._after_call = self._may_repeat = True

    # -- the end

    def _close_text(self) -> None:
        """Take held-back text for what it is: text, reasoning, or layout."""
        text, self._text = self._text, ""
        if self._place is _Place.ANSWER and self._wrapped is not None and _is_answer_end(self._wrapped, text):
            text = ""
        if text:
            self._say(text)
        if self._place is _Place.ANSWER:
            self._saying.end_answer()


def _is_answer_end(wrapped: BoundThinking, text: str) -> bool:
    assert wrapped.answer is not None
    found = wrapped.answer[1].match(text, 0)
    return found is not None and found >= 0 and not text[found:].strip()


_STEPS: dict[_Place, Callable[[Machine], bool]] = {
    _Place.REASONING: Machine._reasoning,
    _Place.ANSWER: Machine._answer,
    _Place.CALLS: lambda machine: False,
}
