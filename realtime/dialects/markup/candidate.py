"""A candidate: text that may become a call: the marks before it, then the call itself, by each form that begins this
way. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from .bodies import Letters
from .grammar import BoundCalls
from .marks import skip_space
from .readers import CallReader, Names, reader

Entry = Literal["mark", "bare", "next"]


class Candidate:
    """Text from where a call may begin. `entry`: it has a mark, or stands where a call needs none, or follows another
    call.
    """

    def __init__(self, forms: Sequence[BoundCalls], entry: Entry, names: Names, letters: Letters) -> None:
        self._forms = list(forms)
        self._entry = entry
        self._names = names
        self._letters = letters
        self.reader: CallReader | None = None
        self.in_list = False
        self._at = 0  # how far the reader has come

    @property
    def form(self) -> BoundCalls:
        """The form by which it is read."""
        return self._forms[0]

    @property
    def is_call(self) -> bool:
        """Return whether its head is there up to the name, though it is not certain yet."""
        return self.reader is not None and self.reader.named is not None and self._entry != "bare"

    def read(self, text: str, out: list[str]) -> int | None:
        """Return how far it was read, if it is a call; -1 if it is not; None if more text is needed."""
        while self._forms:
            found = self._read(text, out)
            if found is None or found >= 0:
                return found
            self._forms.pop(0)
            self.reader, self.in_list, self._at = None, False, 0
        return -1

    def _read(self, text: str, out: list[str]) -> int | None:
        if self.reader is None:
            at = self._open(text)
            if at is None or at < 0:
                return at
            self.reader, self._at = reader(self.form, self._names, self._letters, bare=self._entry == "bare"), at
        self._at = self.reader.read(text, self._at, out)
        if self.reader.rejected:
            return -1
        return self._at if self.reader.tool is not None else None

    def _open(self, text: str) -> int | None:
        """Return where the head begins, after the marks before it; -1 if they are missing, None if more text
        is needed.
        """
        form, at = self.form, 0
        if self._entry == "next":
            at = self._separator(text)
            if at < 0:
                return at
        elif self._entry == "mark" and form.section[0]:
            found = form.section[0].match(text, 0)
            if found is None:
                return None
            at = max(found, 0)  # a call whose section has no beginning
        if form.row.bracket and self._entry != "next":
            at = skip_space(text, at)
            if at == len(text):
                return None
            if text[at] != "[":
                return -1
            at, self.in_list = at + 1, True
        self.in_list = self.in_list or (form.row.bracket and self._entry == "next")
        if not form.call[0]:
            return at
        return form.call[0].match(text, at)

    def _separator(self, text: str) -> int:
        if self.form.row.bracket:
            return 1 if text.startswith(",") else -1
        found = self.form.separator.match(text, 0) if self.form.separator else 0
        return found if found is not None and found >= 0 else 0
