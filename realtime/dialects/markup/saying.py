"""What is certain to be reasoning or text, to pieces, without layout. Pure."""

from __future__ import annotations

from realtime.dialects.base import Piece, ReasoningDelta, TextDelta


class Saying:
    """One answer's reasoning and text. White space at the edges of reasoning is layout, and so is what precedes a text
    that follows something else.
    """

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.fresh = True  # nothing was said since this part of the answer began
        self.first = True  # nothing was said at all
        self.trims = False  # the text is between marks: white space at its end is layout
        self._space = ""  # white space that may be layout

    @property
    def plain(self) -> bool:
        """More text is just that: `text` need not look at it."""
        return not self.fresh and not self.trims

    @property
    def holds(self) -> bool:
        """Something is held back."""
        return bool(self._space)

    def begin(self) -> None:
        """Another part of the answer begins."""
        self.fresh, self._space, self.trims = True, "", False

    def take(self) -> list[Piece]:
        """The pieces so far."""
        pieces, self.pieces = self.pieces, []
        return pieces

    def reasoning(self, text: str) -> None:
        """More reasoning."""
        if self.fresh:
            text = text.lstrip()
        if not text:
            return
        self.fresh = self.first = False
        text = self._space + text
        kept = text.rstrip()
        self._space = text[len(kept) :]
        if kept:
            self.pieces.append(ReasoningDelta(kept))

    def text(self, text: str) -> None:
        """More of the answer."""
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
        """White space before what may be text."""
        self._space += text

    def begin_call(self) -> None:
        """A call begins: white space before it is layout."""
        self.first, self._space = False, ""

    def end_answer(self) -> None:
        """The answer is over: if white space is all of it, that is the answer."""
        if self.first:
            self._put(self._space)

    def _put(self, text: str) -> None:
        if text:
            self.pieces.append(TextDelta(text))
