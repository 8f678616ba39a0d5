"""The calls in an answer, from a mark that may begin one to what follows the last of them. Pure."""

from __future__ import annotations

import enum
from collections.abc import Sequence

from realtime.context.tools import Mode, ToolSet
from realtime.dialects.said_call import SaidCall, call_of

from .candidate import Candidate, Entry
from .grammar import BoundCalls, Grammar
from .marks import skip_space
from .readers import CallReader, Names
from .saying import Saying


class _Place(enum.Enum):
    OUTSIDE = "outside of calls"
    CANDIDATE = "in what may become a call"
    CALL = "in a call"
    END = "behind the arguments of a call"
    BROKEN = "in a call that can't be read any more"
    BEHIND = "behind a call"


class Calling:
    """The calls in one answer. From `begin` until they are over the machine gives it all text. `text`: what it has not
    taken. `rejected`: what has begun is not a call.
    """

    def __init__(self, grammar: Grammar, tools: ToolSet, saying: Saying) -> None:
        self.text = ""
        self.rejected = False
        self.num_begun = 0  # calls since the machine gave over
        self._saying = saying
        self._names = Names(tools)
        self.allowed = bool(self._names) and tools.mode is not Mode.NONE
        self._parallel = tools.parallel
        self._letters = grammar.alphabet.letters
        self._place = _Place.OUTSIDE
        self._candidate: Candidate | None = None
        self._reader: CallReader | None = None
        self._form: BoundCalls | None = None
        self._call: SaidCall | None = None
        self._num_calls = 0
        self._in_list = False  # calls in square brackets

    @property
    def undecided(self) -> bool:
        """Return whether held-back text may or may not be a call."""
        return self._place is _Place.CANDIDATE

    def begin(self, text: str, forms: Sequence[BoundCalls], entry: Entry) -> None:
        """Begin where a call may begin, in one of these forms."""
        self.text, self.rejected = text, False
        self.num_begun = 0 if entry != "next" else self.num_begun
        self._candidate = Candidate(forms, entry, self._names, self._letters)
        self._place = _Place.CANDIDATE

    def feed(self, text: str) -> bool:
        """Take more of the answer, as far as it belongs to calls. Return whether they are over: none is open, nor may
        be.
        """
        self.text = self.text + text if self.text else text
        if self._place is _Place.CALL and not self._read_call():  # nearly every token of arguments
            return False
        while _STEPS[self._place](self):
            pass
        return self._place is _Place.OUTSIDE

    def close(self, *, ended: bool) -> None:
        """End the generation. See Machine.close."""
        candidate, self._candidate = self._candidate, None
        if candidate is not None and candidate.is_call:
            self._open(candidate)
            self.text = ""
        elif candidate is not None and self.num_begun and self._is_separator(candidate.form):
            self.text = ""
        if self._call is not None:
            self._close_call(self._call, ended=ended)
        if self._place is _Place.BEHIND:
            self.text = ""
        self._place = _Place.OUTSIDE

    def _is_separator(self, form: BoundCalls) -> bool:
        """Return whether what is left is only the separator before another call, which did not come."""
        found = form.separator.match(self.text, 0) if form.separator else None
        return found is not None and found >= 0 and not self.text[found:].strip()

    # each returns whether there may be more to do

    def _outside(self) -> bool:
        return False

    def _read_candidate(self) -> bool:
        candidate = self._candidate
        assert candidate is not None
        out: list[str] = []
        at = candidate.read(self.text, out)
        if at is None:
            return False
        self._candidate = None
        if at < 0:
            self.rejected, self._in_list = True, False
            self._place = _Place.OUTSIDE
            return False
        call = self._open(candidate)
        self.text = self.text[at:]
        self._put(call, "".join(out))
        return True

    def _open(self, candidate: Candidate) -> SaidCall:
        reader = candidate.reader
        assert reader is not None
        tool = reader.tool or reader.named
        assert tool is not None
        self._saying.begin_call()
        self._reader, self._form, self._in_list = reader, candidate.form, candidate.in_list
        self._num_calls += 1
        self.num_begun += 1
        call = self._call = SaidCall(call_of(tool), said=self._parallel or self._num_calls == 1)
        self._saying.pieces += call.begin()
        self._place = _Place.CALL
        return call

    def _put(self, call: SaidCall, arguments: str) -> None:
        self._saying.pieces += call.more(arguments)

    def _read_call(self) -> bool:
        reader, call = self._reader, self._call
        assert reader is not None
        assert call is not None
        if not (reader.whole or reader.broken):
            out: list[str] = []
            at = reader.read(self.text, 0, out)
            self.text = self.text[at:]
            if out:
                self._saying.pieces += call.more(out[0] if len(out) == 1 else "".join(out))
        if reader.broken:
            self._place = _Place.BROKEN
            return True
        if reader.whole:
            self._place = _Place.END
            return True
        return False

    def _read_end(self) -> bool:
        assert self._form is not None
        found = self._form.match_end(self.text, 0, stray=True)
        if found is None:
            return False
        self.text = self.text[max(found, 0) :]
        self._end(complete=found >= 0)
        return True

    def _read_broken(self) -> bool:
        """Pass on what can't be read unchanged, up to the end of the call."""
        form, call, text = self._form, self._call, self.text
        assert form is not None
        assert call is not None
        found = form.end_search.search(text) if form.end_search is not None else None
        at = len(text) if found is None else found.start()
        self._put(call, self._letters(text[:at]))
        self.text = text[at:]
        ended = form.match_end(self.text, 0) if found is not None and found[1] is not None else None
        if ended is None:
            return False
        if ended < 0:
            self._put(call, self._letters(self.text[0]))
            self.text = self.text[1:]
            return True
        self.text = self.text[ended:]
        self._end(complete=False)
        return True

    def _end(self, *, complete: bool) -> None:
        assert self._call is not None
        self._saying.pieces += self._call.end(complete=complete)
        self._call, self._reader = None, None
        self._place = _Place.BEHIND

    def _behind(self) -> bool:
        """Read what follows a call: another call of the section, the end of the section, or something else."""
        form, text = self._form, self.text
        assert form is not None
        at = skip_space(text, 0)
        if at == len(text):
            return False
        if self._in_list and text[at] in "],":
            self._in_list = text[at] == ","
            self.text = text[at + (not self._in_list) :]
            return self._next(form) if self._in_list else True
        for mark in (form.separator, form.section[1], form.first if form.section[1] else None):
            found = mark.match(text, at) if mark else -1
            if found is None:
                return False
            if found >= 0:
                ends = mark is form.section[1]
                self.text = text[found:] if ends else text[at:]
                return self._leave() if ends else self._next(form)
        self.text = text[at:]
        return self._next(form) if self._may_go_on(form) else self._leave()

    def _may_go_on(self, form: BoundCalls) -> bool:
        """Return whether another call may follow without a mark: the section has no end yet, or there are no marks at
        all.
        """
        if form.row.bare and form.opener == self.text[0] == "{":
            return True
        return bool(form.section[1]) and not form.first and not form.row.bracket

    def _next(self, form: BoundCalls) -> bool:
        self.begin(self.text, [form], "next")
        return True

    def _leave(self) -> bool:
        self._place, self._in_list = _Place.OUTSIDE, False
        return False

    # -- the end

    def _close_call(self, call: SaidCall, *, ended: bool) -> None:
        reader = self._reader
        assert reader is not None
        out: list[str] = []
        if not (reader.whole or reader.broken):
            if ended:
                reader.end(self.text, out)
            if not reader.whole:
                reader.close(self.text, out)
        elif reader.broken:
            out.append(self._letters(self.text))
        self._put(call, "".join(out))
        self.text = ""
        self._end(complete=reader.whole and ended)


_STEPS = {
    _Place.OUTSIDE: Calling._outside,
    _Place.CANDIDATE: Calling._read_candidate,
    _Place.CALL: Calling._read_call,
    _Place.END: Calling._read_end,
    _Place.BROKEN: Calling._read_broken,
    _Place.BEHIND: Calling._behind,
}
