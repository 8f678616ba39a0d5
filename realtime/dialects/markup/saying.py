"""Certain reasoning and text, turned into pieces without layout. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from realtime.dialects.base import Piece, ReasoningDelta, TextDelta


class Saying:
    """The reasoning and text of one answer. White space at the edges of reasoning is layout, and so is white space
    before a text that follows something else.
    """

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.fresh = True  # nothing was said since this part of the answer began
        self.first = True  # nothing was said at all
        self.trims = False  # the text is between marks: white space at its end is layout
        self._space = ""  # white space that may be layout

    @property
    def plain(self) -> bool:
        """Return whether more text needs no examination by `text`."""
        return not self.fresh and not self.trims

    @property
    def holds(self) -> bool:
        """Return whether something is held back."""
        return bool(self._space)

    def begin(self) -> None:
        """Begin another part of the answer."""
        self.fresh, self._space, self.trims = True, "", False

    def take(self) -> list[Piece]:
        """Return the pieces so far."""
        pieces, self.pieces = self.pieces, []
        return pieces

    def reasoning(self, text: str) -> None:
        """Add reasoning."""
        if self.fresh:
            text = text.lstrip()
        if not text:
            return
        self.fresh = self.first = False
        self.pieces += self.more_reasoning(text)

    def more_reasoning(self, text: str) -> Sequence[Piece]:
        """Return the pieces of more text in the middle of reasoning."""
        if self._space:
            text = self._space + text
        kept = text.rstrip()
        self._space = text[len(kept) :]
        return (ReasoningDelta(kept),) if kept else ()

    def text(self, text: str) -> None:
        """Add text of the answer."""
        text = self._space + text
        self._space = ""
        if self.fresh:
            bare = text.lstrip()
            if not bare:
                self._space = text
                return
            text = text if self.first else bare
            self.fresh = self.first = False
        if self.trims:
            kept = text.rstrip()
            text, self._space = kept, text[len(kept) :]
        self._put(text)

    def layout(self, text: str) -> None:
        """Add white space before possible text."""
        self._space += text

    def begin_call(self) -> None:
        """Begin a call: white space before it is layout."""
        self.first, self._space = False, ""

    def end_answer(self) -> None:
        """End the answer. If white space is all of it, that is the answer."""
        if self.first:
            self._put(self._space)

    def _put(self, text: str) -> None:
        if text:
            self.pieces.append(TextDelta(text))
