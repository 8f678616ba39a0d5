"""Change a character in the letters of control tokens, so that a template passes them through, and change it back.

The letters of `<|im_end|>` become `<|?m_end|>` with a character for `?` that nothing else in the request has. The
lengths stay, so a template that cuts a text cuts it at the same place. Text that could become a token's letters where a
template joins texts is marked too: a text that begins with the end of a token, and a key, which templates write as
`<key>`, that is the inside of one. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

import msgspec

from realtime.wire.json_text import without_surrogates

from .text import LetteredText
from .words import any_of

_COVERS = range(0xE000, 0xF900)  # of private use, and short enough for JSON's `\uXXXX`
_ESCAPE = re.compile(r"[uU]([e-fE-F][0-9a-fA-F]{3})")
_COVER = re.compile(r"[\ue000-\uf8ff]|\\+u[ef][0-9a-f]{3}", re.IGNORECASE)  # as such, or in JSON that is ASCII
_INSIDE = re.compile(r"(\W+)(.*?)(\W+)", re.DOTALL)
_NUMBER = re.compile(r"\d+")
_SCHEMA_WORDS = frozenset(
    {"name", "description", "type", "properties", "required", "items", "enum", "title", "default"}
)

Change = Callable[[str], str]


class Unmarkable(Exception):
    """An error: the request has every character that could replace another."""


class Letters:
    """A search for the letters of control tokens. Made once for a tokenizer."""

    def __init__(self, tokens: Iterable[str]) -> None:
        words = list(tokens)
        self.alphabet = sorted(set("".join(words)))
        self.pattern = re.compile(any_of(words))
        self.places = {word: _place(word) for word in words}
        self.ends = frozenset(end for word in words for end in _ends(word))
        self.longest = max(map(len, words), default=0)
        self.insides = frozenset(inside for word in words for inside in _insides(word)) - _SCHEMA_WORDS
        self.pairs = [(word, end) for word in words if (end := _end_of_reasoning(word)) in self.places]
        self._in_json = [re.compile(pattern.encode()) for pattern in _by_beginning(_in_json(words))]

    def found_in(self, blob: bytes) -> bool:
        """Return whether texts that are written as JSON may have some. A miss is certain."""
        return any(pattern.search(blob) for pattern in self._in_json)


class Marker:
    """A marker of one request's texts, which also restores what was rendered from them. `blob`: all of its texts, as
    JSON.
    """

    def __init__(self, letters: Letters, blob: bytes) -> None:
        """Raises Unmarkable."""
        self._letters = letters
        self._covers = dict(zip(letters.alphabet, _unused(blob.decode(), len(letters.alphabet)), strict=True))
        self._covered = {cover: char for char, cover in self._covers.items()}

    def mark(self, text: str) -> str:
        """Mark a text that a template may put anywhere."""
        letters = self._letters
        if _begins_with_end(text, letters):
            text = self._covers[text[0]] + text[1:]
        while letters.pattern.search(text):  # the letters of two tokens may overlap
            text = letters.pattern.sub(self._mark_token, text)
        return text

    def mark_answer(self, text: str) -> str:
        """Mark an assistant's text. Reasoning at its beginning, in the template's own marks, is left for the template,
        which often takes it out: clients that know nothing of reasoning send it back in this form.
        """
        for begin, end in self._letters.pairs:
            before, found, rest = text.partition(begin)
            if found and not before.strip() and end in rest:
                thought, _, answer = rest.partition(end)
                return f"{before}{begin}{self.mark(thought)}{end}{self.mark(answer)}"
        return self.mark(text)

    def mark_key(self, key: str) -> str:
        """Mark a key that a user or a tool has chosen."""
        if key in self._letters.insides:
            return self._covers[key[0]] + key[1:]
        return self.mark(key)

    def restore(self, rendered: str) -> str:
        """Return the text as it would be without marks."""
        parts: list[str] = []
        places: list[int] = []
        at = length = 0
        for found in _COVER.finditer(rendered):
            char = self._covered.get(_cover_of(found[0]))
            if char is None:  # somebody wrote it
                continue
            parts += (rendered[at : found.start()], char)
            length += found.start() - at + 1
            places.append(length - 1)
            at = found.end()
        if not places:
            return rendered
        return LetteredText("".join((*parts, rendered[at:])), tuple(places))

    def _mark_token(self, found: re.Match[str]) -> str:
        word = found[0]
        place = self._letters.places[word]
        return f"{word[:place]}{self._covers[word[place]]}{word[place + 1 :]}"


def change_texts(value: Any, change: Change, change_key: Change | None = None) -> Any:
    """Return a JSON value with all its texts changed, and on request its keys."""
    match value:
        case str():
            return change(value)
        case dict():
            key = change_key or (lambda key: key)
            return {key(name): change_texts(member, change, change_key) for name, member in value.items()}
        case list() | tuple():
            return [change_texts(member, change, change_key) for member in value]
        case _:
            return value


def clean(value: Any) -> Any:
    """Return a value in which UTF-8 can express all texts and keys."""
    return change_texts(value, without_surrogates, without_surrogates)


def _place(word: str) -> int:
    """Return the place of the character to change: a letter, which no template escapes."""
    return next((place for place, char in enumerate(word) if char.isalnum()), 0)


def _ends(word: str) -> Iterable[str]:
    """Return the ends of this token with which a text might begin. White space may be stripped, and words are too
    common.
    """
    if word[-1].isalnum():
        return ()
    return (word[at:] for at in range(1, len(word)) if not word[at].isspace())


def _begins_with_end(text: str, letters: Letters) -> bool:
    head = text[: letters.longest]
    return any(head[: size + 1] in letters.ends for size, char in enumerate(head) if not char.isalnum())


def _insides(word: str) -> Iterable[str]:
    """Yield a token without some of the punctuation at both of its ends."""
    found = _INSIDE.fullmatch(word)
    if found is None:
        return ()
    before, inside, after = found.groups()
    return (before[start:] + inside + after[:end] for start in range(1, len(before) + 1) for end in range(len(after)))


def _end_of_reasoning(word: str) -> str | None:
    """Return the letters of the end if these begin reasoning: `</think>` for `<think>`."""
    return f"{word[0]}/{word[1:]}" if "think" in word.lower() else None


def _unused(text: str, count: int) -> Iterable[str]:
    """Yield characters that are not in a text, neither as such nor in JSON's ASCII form."""
    used = set(text).union(chr(int(code, 16)) for code in set(_ESCAPE.findall(text)))
    found = list(islice((char for char in map(chr, _COVERS) if char not in used), count))
    if len(found) < count:
        raise Unmarkable
    return found


def _cover_of(found: str) -> str:
    return found if len(found) == 1 else chr(int(found[-4:], 16))


def _in_json(words: Iterable[str]) -> Iterable[str]:
    """Yield the texts that `Letters` looks for in JSON's form, with any number where one has a number."""
    for word in {_NUMBER.sub("0", word) for word in words}:
        yield _json(word)
        yield from (f'"{_json(end)}' for end in _ends(word))
        yield from (f'"{_json(inside)}":' for inside in _insides(word) if inside not in _SCHEMA_WORDS)


def _by_beginning(words: Iterable[str]) -> Iterable[str]:
    """Return patterns of words that begin alike, each of which is searched ten times as fast as one pattern of all."""
    groups: dict[str, list[str]] = {}
    for word in words:
        groups.setdefault(word[0], []).append(word)
    return (any_of(group, any_number=True) for group in groups.values())


def _json(text: str) -> str:
    return msgspec.json.encode(text).decode()[1:-1]
