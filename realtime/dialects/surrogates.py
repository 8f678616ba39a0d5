"""Surrogate pairs: escapes that name half a character each, joined to the character. Pure."""

from __future__ import annotations


class Surrogates:
    """The escaped code points of a text, one after another."""

    def __init__(self) -> None:
        self._high = ""  # the first half of a pair

    def take(self, code: int) -> str:
        """Return the text that a code point completes. Half a pair and what is no code point become U+FFFD."""
        if 0xDC00 <= code < 0xE000 and self._high:
            pair, self._high = self._high + chr(code), ""
            return pair.encode("utf-16", "surrogatepass").decode("utf-16")
        lone = self.lone()
        if 0xD800 <= code < 0xDC00:
            self._high = chr(code)
            return lone
        return lone + ("\ufffd" if 0xDC00 <= code < 0xE000 or code > 0x10FFFF else chr(code))

    def lone(self) -> str:
        """Replace the half of a pair that anything else follows: text can't contain it."""
        high, self._high = self._high, ""
        return "\ufffd" if high else ""
