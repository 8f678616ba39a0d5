"""Arguments in a programming language's notation, with the types that the tool's schema gives them. Pure.

In some families a text needs no quotes, in some everything has them: then only the schema tells what a value is.
"""

from __future__ import annotations

from collections.abc import Callable

from realtime.dialects.searching import searcher

from .conversion import to_json
from .literals import LiteralLexer, Style
from .schema import Types


class TypedLiteralLexer(LiteralLexer):
    """A lexer of one call's arguments. `types`: of an argument, by its name."""

    def __init__(self, style: Style, types: Callable[[str], Types], letters: Callable[[str], str]) -> None:
        super().__init__(style, letters)
        self._types = types
        self._held: list[str] = []  # of a quoted value that is not text

    def _open_string(self, out: list[str]) -> None:
        types = self._types_here()
        if self._style.typed and types is not None and "string" not in types:
            self._read = self._typed
            return
        super()._open_string(out)

    def _typed(self, text: str, at: int, out: list[str]) -> int | None:
        """Take a quoted value that is not text; its type is known when it is complete."""
        assert self._quote is not None
        search = searcher(self._quote)
        assert search is not None
        found = search.search(text, at)
        stop = len(text) if found is None else found.start()
        self._held.append(text[at:stop])
        if found is None or found[1] is None:
            return stop if stop > at else None
        types = self._types_here()
        assert types is not None
        out.append(to_json(self._letters("".join(self._held)), types))
        self._held = []
        self._read = self._comma_or_end
        return found.end()

    def _atom_json(self, word: str) -> str | None:
        types = self._types_here()
        if self._style.bare and types is not None and "string" in types:
            return to_json(word, types)
        return super()._atom_json(word)

    def _types_here(self) -> Types | None:
        return self._types(self._key) if self._is_top() and self._key is not None else None
