"""An answer of any family, as it comes in, to pieces. Pure.

The machine reads text in which tokens of markup are single characters (see `marks`), in whatever portions. It is in one
place at a time: in reasoning, in the answer, in what may become a call, in a call, or behind one. A mark means something
only where it can: in a JSON string, in a value, in reasoning or an answer where no call of an offered tool follows, it is
letters. What may become a mark or a call is held back until it is one or is not; nothing is lost, and nothing is said twice.

A call is complete if its end was seen, or if the model ended by itself right behind its arguments, and if these are a JSON
object. Else it is cut, with what was said of it.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from typing import Literal

from realtime.context.tools import Mode, ToolSet
from realtime.dialects.base import Piece, ReasoningDelta, TextDelta

from .candidate import Candidate
from .grammar import BoundCalls, BoundThinking, Grammar
from .marks import searcher, skip_space
from .readers import CallReader, Names
from .said_call import SaidCall


class Start(enum.Enum):
    """What the template has begun."""

    FREE = "nothing: reasoning may come"
    REASONING = "reasoning"
    ANSWER = "the answer: there is no reasoning"


class _Place(enum.Enum):
    REASONING = "in reasoning"
    ANSWER = "in the answer"
    CANDIDATE = "in what may become a call"
    CALL = "in a call"
    END = "behind the arguments of a call"
    BROKEN = "in a call that can't be read any more"
    BEHIND = "behind a call"
    STOPPED = "behind a stop string"


class Machine:
    """One answer. `thinking` is the index of the family's way to reason that the template has begun. `stop`: strings that
    end the answer where its text has one; `stopped` is the one that did, and nothing behind it counts.
    """

    def __init__(
        self,
        grammar: Grammar,
        tools: ToolSet,
        start: Start = Start.FREE,
        *,
        thinking: int = 0,
        stop: Sequence[str] = (),
    ) -> None:
        self.stopped: str | None = None
        self._grammar = grammar
        self._names = Names(tools)
        self._calls_on = bool(self._names) and tools.mode is not Mode.NONE
        self._parallel = tools.parallel
        self._letters = grammar.alphabet.letters
        self._place = _Place.REASONING if start is Start.REASONING else _Place.ANSWER
        self._from = self._place  # where the candidate, or the call, began
        self._thinking = thinking
        self._around = next((one for one in grammar.thinking if one.answer), None)  # may stand around the answer
        self._wrapped: BoundThinking | None = None  # does: its first mark was there
        self._text = ""  # not taken yet
        self._pieces: list[Piece] = []
        self._fresh = True  # nothing was said since this place began
        self._first = True  # nothing was said at all
        self._may_think = start is Start.FREE and bool(grammar.thinking)
        self._space = ""  # white space at the end of what was said, that may be layout
        self._stop = tuple(text for text in stop if text)
        self._stop_search = searcher(self._stop)
        self._due = ""  # text that may begin a stop string
        self._candidate: Candidate | None = None
        self._reader: CallReader | None = None
        self._form: BoundCalls | None = None
        self._call: SaidCall | None = None
        self._num_calls = 0
        self._in_list = False  # calls in square brackets
        self._after_call = False

    @property
    def in_reasoning(self) -> bool:
        """What was read last was reasoning, or may turn out to have been."""
        if self._place is _Place.CANDIDATE:
            return self._from is _Place.REASONING
        return self._place is _Place.REASONING

    @property
    def in_text(self) -> bool:
        """What was read last was the answer's text, or may turn out to have been."""
        return (self._from if self._place is _Place.CANDIDATE else self._place) is _Place.ANSWER

    @property
    def undecided(self) -> bool:
        """Something is held back that may be a call."""
        return self._place is _Place.CANDIDATE

    def feed(self, text: str) -> list[Piece]:
        """Take more of the answer: the pieces that this completes."""
        self._text += text
        while (self._text or self._place in _READY) and _STEPS[self._place](self):
            pass
        pieces, self._pieces = self._pieces, []
        return pieces

    def close(self, *, ended: bool) -> list[Piece]:
        """The generation is over. `ended`: by the model's own end of sequence, not by a limit or a stop."""
        if self._place is _Place.CANDIDATE:
            self._close_candidate()
        if self._call is not None:
            self._close_call(ended=ended)
        self._close_text()
        pieces, self._pieces = self._pieces, []
        return pieces

    # -- reasoning and text

    def _reasoning(self) -> bool:
        text = self._text
        thinking = self._grammar.thinking[self._thinking]
        if self._fresh and self._first:
            found = thinking.begin.match(text, 0) if thinking.begin else -1
            if found is None:
                return False
            if found >= 0:  # the model begins what the template has begun
                self._text, self._first = text[found:], False
                return True
        search = self._grammar.reasoning_search[self._thinking][self._calls_on]
        assert search is not None
        at = self._say_up_to(search)
        if at is None:
            return False
        found = thinking.end.match(self._text, 0)
        if found is None:
            return False
        if found >= 0:
            self._text = self._text[found:]
            self._begin_answer(thinking)
            return True
        return self._try_calls()

    def _begin_answer(self, thinking: BoundThinking) -> None:
        self._place, self._fresh, self._space = _Place.ANSWER, True, ""
        self._may_think = self._first = self._after_call = False
        self._around, self._wrapped = (thinking if thinking.answer is not None else None), None

    def _say_up_to(self, search: re.Pattern[str]) -> int | None:
        """Say what precedes the first mark; None if there is none, or only the beginning of one."""
        found = search.search(self._text)
        if found is None:
            text, self._text = self._text, ""
            self._say(text)
            return None
        at = found.start()
        if at:
            text, self._text = self._text[:at], self._text[at:]
            self._say(text)
        return at if found[1] is not None else None

    def _say(self, text: str) -> None:
        if self._place is _Place.REASONING:
            self._say_reasoning(self._letters(text))
        else:
            self._say_text(self._letters(text))

    def _say_reasoning(self, text: str) -> None:
        if self._fresh:
            text = text.lstrip()
            self._space = ""
        if not text:
            return
        self._fresh = self._first = False
        text = self._space + text
        kept = text.rstrip()
        self._space = text[len(kept) :]
        if kept:
            self._pieces.append(ReasoningDelta(kept))

    def _say_text(self, text: str) -> None:
        """Text of the answer. White space is layout if it precedes the text and something else precedes it."""
        if self._fresh:
            text = self._space + text
            bare = text.lstrip()
            if not bare:
                self._space = text
                return
            text, self._space = (text if self._first else bare), ""
            self._fresh = self._first = self._may_think = False
        if self._wrapped is not None:
            text = self._space + text
            kept = text.rstrip()
            text, self._space = kept, text[len(kept) :]
        self._put_text(text)

    def _put_text(self, text: str) -> None:
        """Text that is certain, up to a stop string."""
        if self._stop_search is None:
            if text:
                self._pieces.append(TextDelta(text))
            return
        text = self._due + text
        found = self._stop_search.search(text)
        at = len(text) if found is None else found.start()
        self._due = text[at:]
        if at:
            self._pieces.append(TextDelta(text[:at]))
        if found is not None and found[1] is not None:
            self.stopped, self._place = found[1], _Place.STOPPED
            self._text = self._due = self._space = ""

    def _flush_due(self) -> None:
        """What might have become a stop string has not."""
        due, self._due = self._due, ""
        if due:
            self._pieces.append(TextDelta(due))

    def _answer(self) -> bool:
        if self._fresh:
            begun = self._begun()
            if begun is not None:
                return begun
        search = self._answer_search()
        if search is None:
            text, self._text = self._text, ""
            self._say(text)
            return False
        if self._say_up_to(search) is None or self._place is not _Place.ANSWER:
            return False
        if self._wrapped is not None and self._wrapped.answer is not None:
            ended = self._end_of_answer(self._wrapped)
            if ended is not None:
                return ended
        return self._try_calls()

    def _answer_search(self) -> re.Pattern[str] | None:
        if self._wrapped is not None:
            return self._grammar.answer_search[self._thinking][self._calls_on]
        return self._grammar.text_search if self._calls_on else None

    def _begun(self) -> bool | None:
        """What may only stand where an answer begins: reasoning, a mark of the answer, a call without marks. None if it is
        none of these; else whether to go on.
        """
        text = self._text
        at = skip_space(text, 0)
        if at == len(text):
            return False
        if self._may_think or self._after_call:
            for index, thinking in enumerate(self._grammar.thinking):
                found = thinking.begin.match(text, at)
                if found is None:
                    return False
                if found >= 0:
                    return self._begin_reasoning(index, found)
        if self._around is not None and self._around.answer is not None:
            mark = self._around.answer[self._wrapped is not None]
            found = mark.match(text, at)
            if found is None:
                return False
            if found >= 0:
                self._text, self._wrapped = text[found:], self._around
                self._first = False
                return True
        bare = [calls for calls in self._grammar.bare if calls.opener in ("", text[at])] if self._calls_on else []
        if bare and not self._after_call:
            self._text, self._space = text[at:], self._space + text[:at]
            return self._begin_candidate(bare, "bare")
        return None

    def _begin_reasoning(self, index: int, at: int) -> bool:
        self._text = self._text[at:]
        self._place, self._thinking = _Place.REASONING, index
        self._fresh, self._space = True, ""
        self._may_think = self._after_call = self._first = False
        return True

    def _end_of_answer(self, thinking: BoundThinking) -> bool | None:
        """Whether this is the mark that ends the answer: nothing but a call may follow it. None if it is not the mark."""
        assert thinking.answer is not None
        found = thinking.answer[1].match(self._text, 0)
        if found == -1:
            return None
        if found is None or skip_space(self._text, found) == len(self._text):
            return False
        after = self._text[skip_space(self._text, found) :]
        calls = self._grammar.calls_at(after) if self._calls_on else []
        if calls is None:
            return False
        if calls:
            self._text, self._fresh, self._space = after, True, ""
            return True
        self._say_first()
        return True

    def _say_first(self) -> None:
        """The mark that stands here is text."""
        first, self._text = self._text[0], self._text[1:]
        self._say(first)

    # -- calls

    def _try_calls(self) -> bool:
        calls = self._grammar.calls_at(self._text) if self._calls_on else []
        if calls is None:
            return False
        if not calls:
            self._say_first()
            return True
        return self._begin_candidate(calls, "mark")

    def _begin_candidate(self, calls: Sequence[BoundCalls], entry: Literal["mark", "bare", "next"]) -> bool:
        self._candidate = Candidate(calls, entry, self._names, self._letters)
        if self._place in (_Place.ANSWER, _Place.REASONING):
            self._from = self._place
        self._place = _Place.CANDIDATE
        return True

    def _read_candidate(self) -> bool:
        candidate = self._candidate
        assert candidate is not None
        out: list[str] = []
        at = candidate.read(self._text, out)
        if at is None:
            return False
        self._candidate = None
        if at < 0:
            self._reject()
            return True
        self._open_call(candidate)
        self._text = self._text[at:]
        self._put_arguments(out)
        return True

    def _reject(self) -> None:
        """It is no call: its mark is text, and so is what follows, unless it has marks of its own."""
        self._place, self._in_list = self._from, False
        self._say_first()

    def _open_call(self, candidate: Candidate) -> None:
        assert candidate.reader is not None
        tool = candidate.reader.tool or candidate.reader.named
        assert tool is not None
        self._flush_due()
        self._reader, self._form = candidate.reader, candidate.form
        self._in_list = candidate.in_list
        self._num_calls += 1
        said = self._parallel or self._num_calls == 1
        self._call = SaidCall(tool, said=said)
        self._pieces += self._call.begin()
        self._place, self._fresh, self._space = _Place.CALL, True, ""
        self._first = self._may_think = False

    def _read_call(self) -> bool:
        assert self._reader is not None
        out: list[str] = []
        if not (self._reader.whole or self._reader.broken):
            self._text = self._text[self._reader.read(self._text, 0, out) :]
        self._put_arguments(out)
        if self._reader.broken:
            self._place = _Place.BROKEN
        elif self._reader.whole:
            self._place = _Place.END
        return self._place is not _Place.CALL

    def _put_arguments(self, out: list[str]) -> None:
        if out and self._call is not None:
            self._pieces += self._call.more("".join(out))

    def _read_end(self) -> bool:
        assert self._form is not None
        found = self._form.match_end(self._text, 0, stray=True)
        if found is None:
            return False
        if found < 0:
            self._end_call(complete=self._in_list and self._text.lstrip()[:1] in (",", "]"))
            self._place = _Place.BEHIND
            return True
        self._text = self._text[found:]
        self._end_call(complete=True)
        self._place = _Place.BEHIND
        return True

    def _read_broken(self) -> bool:
        """What can't be read: as it stands, up to the end of the call."""
        assert self._form is not None
        search = self._form.end_search
        found = search.search(self._text) if search is not None else None
        at = len(self._text) if found is None else found.start()
        self._put_arguments([self._letters(self._text[:at])])
        self._text = self._text[at:]
        if found is None or found[1] is None:
            return False
        ended = self._form.match_end(self._text, 0)
        if ended is None:
            return False
        if ended < 0:
            first, self._text = self._text[0], self._text[1:]
            self._put_arguments([self._letters(first)])
            return True
        self._text = self._text[ended:]
        self._end_call(complete=False)
        self._place = _Place.BEHIND
        return True

    def _end_call(self, *, complete: bool) -> None:
        assert self._call is not None
        self._pieces += self._call.end(complete=complete)
        self._call, self._reader = None, None
        self._after_call = True

    def _behind(self) -> bool:
        """Behind a call: another one, the end of the section, or something else."""
        form, text = self._form, self._text
        assert form is not None
        at = skip_space(text, 0)
        if at == len(text):
            return False
        if self._in_list and text[at] in "],":
            self._text = text[at + (text[at] == "]") :]
            self._in_list = text[at] == ","
            return self._begin_candidate([form], "next") if self._in_list else True
        for mark in (form.separator, form.first):
            found = mark.match(text, at) if mark else -1
            if found is None:
                return False
            if found >= 0:
                self._text = text[at:]
                return self._begin_candidate([form], "next")
        found = form.section[1].match(text, at) if form.section[1] else -1
        if found is None:
            return False
        if found == -1 and form.section[1] and not form.first and not form.row.bracket:  # a call may follow without more
            self._text = text[at:]
            return self._begin_candidate([form], "next")
        self._text = text[found:] if found >= 0 else text[at:]
        self._leave()
        return True

    def _leave(self) -> None:
        """The calls are over: the answer, or the reasoning, goes on."""
        self._place = self._from
        self._fresh, self._space = True, ""
        self._in_list = False

    def _stay_stopped(self) -> bool:
        self._text = ""
        return False

    # -- the end

    def _close_candidate(self) -> None:
        """A call whose head was whole was begun; anything else is text."""
        candidate, self._candidate = self._candidate, None
        assert candidate is not None
        if candidate.is_call:
            self._open_call(candidate)
            self._text = ""
            return
        self._place = self._from

    def _close_call(self, *, ended: bool) -> None:
        assert self._call is not None and self._reader is not None
        out: list[str] = []
        if ended and not self._reader.broken and not self._reader.whole:
            self._reader.end(self._text, out)
            self._text = "" if self._reader.whole else self._text
        whole = self._reader.whole
        if not whole and not self._reader.broken:
            self._reader.close(self._text, out)
            self._text = ""
        self._put_arguments(out)
        rest = self._letters(self._text)
        if self._reader.broken:
            self._put_arguments([rest])
            rest = ""
        self._end_call(complete=whole and ended)
        self._text = ""

    def _close_text(self) -> None:
        """What was held back is what it is: text, or reasoning, or layout."""
        if self._place is _Place.STOPPED:
            return
        text, self._text = self._text, ""
        if self._place is _Place.BEHIND:
            text = ""
        if self._place not in (_Place.REASONING, _Place.ANSWER):
            return
        if self._wrapped is not None and self._is_answer_end(text):
            text = ""
        if text:
            self._say(text)
        if self._place is _Place.ANSWER and self._first and self._space:
            self._put_text(self._space)
        self._flush_due()

    def _is_answer_end(self, text: str) -> bool:
        assert self._wrapped is not None and self._wrapped.answer is not None
        found = self._wrapped.answer[1].match(text, 0)
        return found is not None and found >= 0 and not text[found:].strip()


_READY = (_Place.CALL, _Place.END)  # there may be something to say of them without more text
_STEPS = {
    _Place.REASONING: Machine._reasoning,
    _Place.ANSWER: Machine._answer,
    _Place.CANDIDATE: Machine._read_candidate,
    _Place.CALL: Machine._read_call,
    _Place.END: Machine._read_end,
    _Place.BROKEN: Machine._read_broken,
    _Place.BEHIND: Machine._behind,
    _Place.STOPPED: Machine._stay_stopped,
}

