"""A family's row, bound to a tokenizer, with marks that can be searched. Pure. Made once for each model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from realtime.dialects.searching import searcher

from .family import Calls, Elements, Family, Literals, Named, Tags
from .literals import Style
from .marks import Alphabet, Mark, skip_space

_STRAY = re.compile(r"[\s}\]]*")


class BoundThinking:
    """The marks around reasoning."""

    def __init__(self, begin: Mark, end: Mark, answer: tuple[Mark, Mark] | None) -> None:
        self.begin = begin
        self.end = end
        self.answer = answer


class BoundTags:
    """The tags of one argument. `middles`: each with what it says of the value: text, JSON, or nothing (None)."""

    def __init__(self, tags: Tags, alphabet: Alphabet) -> None:
        self.begin = alphabet.mark(tags.begin)
        self.middles = [(alphabet.mark(middle), text) for middle, text in tags.middles()]
        self.middle_search = _search(form for middle, _ in self.middles for form in middle.firsts)
        self.end = alphabet.mark(tags.end)
        self.pad = tags.pad
        self.quote = alphabet.mark(tags.quote[0])
        self.unquote = alphabet.mark(tags.quote[1])
        self.unquote_search = searcher(self.unquote.firsts)


class BoundElements:
    """The elements of arguments, by what stands before each of their tags."""

    def __init__(self, elements: Elements, alphabet: Alphabet) -> None:
        self.before = alphabet.mark(elements.before)
        self.search = _search(self.before.firsts)
        self.item = elements.item


class BoundCalls:
    """One of a family's forms of calls."""

    def __init__(self, calls: Calls, alphabet: Alphabet) -> None:
        mark = alphabet.mark
        self.row = calls
        self.section = mark(calls.section[0]), mark(calls.section[1])
        self.call = mark(calls.call[0]), mark(calls.call[1])
        self.close = mark(calls.close)
        self.separator = mark(calls.separator)
        self.before, self.call_id = Mark(()), Mark(())
        self.after: list[Mark] = []
        self.form = _Form("{name}")
        if isinstance(calls.head, Named):
            self.before, self.call_id = mark(calls.head.before), mark(calls.head.call_id)
            self.after = [mark(one) for one in calls.head.after]
            self.form = _Form(calls.head.form)
        self.tags: BoundTags | None = None
        if isinstance(calls.arguments, Tags):
            self.tags = BoundTags(calls.arguments, alphabet)
            ends = [self.tags.end, self.close or self.call[1]]
            self.value_search = _search(form for end in ends for form in end.firsts)
        self.elements: BoundElements | None = None
        if isinstance(calls.arguments, Elements):
            self.elements = BoundElements(calls.arguments, alphabet)
        self.style, self.opens = None, ""
        if isinstance(calls.arguments, Literals):
            self.style, self.opens = _style(calls.arguments, alphabet), calls.arguments.begin
        self.first = self.call[0] or self.before  # of a call in a section
        self.trigger = self.section[0] or self.first
        ends = [mark for mark in (self.close, self.call[1], self.section[1]) if mark]
        self.end_search = searcher(form for end in ends for form in end.firsts)

    def triggers(self) -> Iterator[Mark]:
        """Yield the marks where this may begin: its section or, if a model forgets that, a call."""
        yield from (mark for mark in {self.trigger, self.first} if mark)

    @property
    def opener(self) -> str:
        """Return the character with which a call without marks begins, if there is a certain one."""
        return "[" if self.row.bracket else "" if isinstance(self.row.head, Named) else "{"

    def match_end(self, text: str, at: int, *, stray: bool = False) -> int | None:
        """Return where the marks that end a call end: -1 if they are missing, None if more text is needed. The end of
        the section and the beginning of another call also end a call; they are not taken. `stray`: surplus brackets are
        ignored.
        """
        found = self._match_end(text, at)
        if found == -1 and stray and self.call[1]:
            after = _stray(text, at)
            return None if after == len(text) else self._match_end(text, after)
        return found

    def _match_end(self, text: str, at: int) -> int | None:
        closed = self.close.match(text, at)
        if closed is None:
            return None
        after = at if closed < 0 else closed
        if not self.call[1]:
            return after if not self.close or closed >= 0 else self._match_next(text, at)
        ended = self.call[1].match(text, after)
        return self._match_next(text, after) if ended == -1 else ended

    def _match_next(self, text: str, at: int) -> int | None:
        """Return `at` if the end of the section or another call follows."""
        for mark in (self.section[1], self.trigger, self.first):
            if mark:
                found = mark.match(text, at)
                if found is None or found >= 0:
                    return None if found is None else at
        return -1

    def match_certain_end(self, text: str, at: int) -> int | None:
        """Return the same where the marks may be text: then something must follow that can only follow a call."""
        closed = self.close.match(text, at)
        if closed is None or (self.close and closed < 0):
            return closed
        ended = self.call[1].match(text, closed)
        if ended is None or ended < 0:
            return ended
        after = skip_space(text, ended)
        if after == len(text):
            return None
        follows = self._match_next(text, after)
        return follows if follows is None or follows < 0 else ended


def _search(forms: Iterable[str]) -> re.Pattern[str]:
    found = searcher(forms)
    assert found is not None
    return found


def _stray(text: str, at: int) -> int:
    found = _STRAY.match(text, at)
    assert found is not None
    return found.end()


def _style(row: Literals, alphabet: Alphabet) -> Style:
    quotes = [alphabet.mark(quote).firsts for quote in row.quotes]
    return Style(quotes, row.end, row.assign, escapes=row.escapes, bare=row.bare, typed=row.typed)


class _Form:
    """The written form of a name."""

    def __init__(self, form: str) -> None:
        self.begin, _, end = form.partition("{name}")
        pattern = re.escape(end).replace(re.escape("{index}"), r"\d+")
        self._end = re.compile(f"(?:{pattern})\\Z") if end else None
        self._end_begun = re.compile(f"{re.escape(end[0])}[\\w.:]*\\Z") if end else None

    def names(self, written: str) -> Iterator[str]:
        """Yield the names that this may stand for."""
        yield written
        bare = written.removeprefix(self.begin)
        yield bare
        if self._end is not None and (end := self._end.search(bare)) is not None:
            yield bare[: end.start()]

    def beginnings(self, written: str) -> Iterator[str]:
        """Yield the possible beginnings of a name if this is the beginning of its written form."""
        yield written
        if self.begin.startswith(written):
            yield ""
        bare = written.removeprefix(self.begin)
        yield bare
        if self._end_begun is not None and (end := self._end_begun.search(bare)) is not None:
            yield bare[: end.start()]


class Grammar:
    """A family's row for one tokenizer. `tokens`: see Alphabet."""

    def __init__(self, family: Family, tokens: Mapping[str, bool] | None = None) -> None:
        self.family = family
        self.alphabet = alphabet = Alphabet(family.marks(), tokens or {})
        self.calls = [BoundCalls(calls, alphabet) for calls in family.calls]
        self.thinking = [_thinking(one.begin, one.end, one.answer, alphabet) for one in family.thinking]
        self._triggers = [(mark, calls) for calls in self.calls for mark in calls.triggers()]
        self.call_forms = tuple(_forms(mark for mark, _ in self._triggers))
        self.text_search = searcher(self.call_forms)
        self.reasoning_search = [self._with_calls(one.end) for one in self.thinking]
        self.answer_search = [self._with_calls(one.answer[1] if one.answer else Mark(())) for one in self.thinking]
        self.bare = [calls for calls in self.calls if calls.row.bare]

    def _with_calls(self, end: Mark) -> tuple[re.Pattern[str] | None, re.Pattern[str] | None]:
        """Return what to search for where this mark has a meaning, without and with calls."""
        return searcher(end.firsts), searcher([*end.firsts, *self.call_forms])

    def reasoning_forms(self, thinking: int, *, calls: bool) -> tuple[str, ...]:
        """Return the marks that have a meaning in reasoning."""
        return (*self.thinking[thinking].end.firsts, *(self.call_forms if calls else ()))

    def calls_at(self, text: str) -> list[BoundCalls] | None:
        """Return the forms of calls that may begin where this text does; None if more of it is needed."""
        found: dict[BoundCalls, None] = {}
        for mark, calls in self._triggers:
            end = mark.match(text, 0)
            if end is None:
                return None
            if end >= 0:
                found[calls] = None
        return list(found)


def _forms(marks: Iterable[Mark]) -> Iterator[str]:
    for mark in marks:
        yield from mark.firsts


def _thinking(begin: str, end: str, answer: tuple[str, str] | None, alphabet: Alphabet) -> BoundThinking:
    around = None if answer is None else (alphabet.mark(answer[0]), alphabet.mark(answer[1]))
    return BoundThinking(alphabet.mark(begin), alphabet.mark(end), around)
