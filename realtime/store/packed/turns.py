"""Turns as rows: each has its own part of the history, and the part of its prompt that its parent's does not have.
Pure.

A row is never changed. A turn that continues another refers to its row, and so do its own response, and the
conversation in which it is the newest. The row stays as long as anything refers to it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

import msgspec

from realtime.context.turns import Prompt, Turn
from realtime.engine.pictures import Picture
from realtime.wire.items import InputItem, OutputItem

from .items import PackedItems, pack_items, pictures_in, unpack_items
from .marks import RowId, mark
from .packing import from_numbers, pack, to_numbers, unpack


class PackedPrompt(msgspec.Struct, array_like=True):
    """A prompt. `num_same`: leading characters in common with the parent's prompt; `num_same_tokens`: leading tokens in
    common with its prompt and answer. `pictures`: their digests; the pictures are those of the items. `letters`,
    `begun`: see Prompt.
    """

    num_same: int
    text: str
    num_same_tokens: int
    tokens: bytes
    pictures: list[str] = []
    letters: tuple[int, ...] = ()
    begun: str = ""


class _Turn(msgspec.Struct, array_like=True):
    response_id: str
    input: PackedItems
    output: PackedItems
    tokens: bytes
    prompt: PackedPrompt | None = None
    vocabulary: str = ""  # whose tokens these are


class Row(msgspec.Struct, frozen=True):
    """A row of the table of turns."""

    number: RowId
    body: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Turn).decode


def encode_turn(turn: Turn, vocabulary: str) -> bytes:
    """Encode the body of a turn's row. `vocabulary`: names the tokenizer of its tokens."""
    prompt = pack_prompt(turn.prompt, turn.parent) if turn.prompt is not None else None
    tokens = from_numbers(turn.token_ids)
    items = pack_items(turn.input), pack_items(turn.output)
    return pack(_encode(_Turn(turn.response_id, *items, tokens, prompt, vocabulary)))


def decode_own_items(body: bytes) -> tuple[InputItem, ...]:
    """Return the items that one turn added. Raises ValueError."""
    kept = _decode(unpack(body))
    return (*unpack_items(kept.input), *unpack_items(kept.output))


def decode_turns(rows: Sequence[Row], file: object, vocabulary: str) -> Turn:
    """Return the newest of a chain of turns, which are given oldest first. Only the newest has its tokens, and only if
    they are of this vocabulary: those of the others are of no use for a continuation. Raises ValueError.
    """
    reading = _Chain(file, vocabulary)
    for row in rows[:-1]:
        reading.take(row)
    turn = reading.take(rows[-1], newest=True)
    mark(turn, file, rows[-1].number)
    return turn


class _Chain:
    """A chain of turns that are read one after another, each with the previous one as its parent."""

    def __init__(self, file: object, vocabulary: str) -> None:
        self._file = file
        self._vocabulary = vocabulary
        self._parent: Turn | None = None
        self._text = ""
        self._tokens: array[int] = array("I")
        self._pictures: dict[str, Picture] = {}

    def take(self, row: Row, *, newest: bool = False) -> Turn:
        """Read the next one."""
        kept = _decode(unpack(row.body))
        said, answered = unpack_items(kept.input), unpack_items(kept.output)
        self._pictures |= {picture.digest: picture for picture in pictures_in([*said, *answered])}
        token_ids = to_numbers(kept.tokens)
        prompt = self._prompt(kept.prompt)
        newest = newest and kept.vocabulary == self._vocabulary
        turn = Turn(
            kept.response_id,
            self._parent,
            tuple(said),
            _as_output(answered),
            prompt if newest else None,
            token_ids if newest else array("I"),
        )
        if prompt is not None:
            self._text, self._tokens = prompt.text, prompt.token_ids + token_ids
        else:
            self._text, self._tokens = "", array("I")
        mark(turn, self._file, row.number)
        self._parent = turn
        return turn

    def _prompt(self, kept: PackedPrompt | None) -> Prompt | None:
        if kept is None:
            return None
        text = self._text[: kept.num_same] + kept.text
        tokens = self._tokens[: kept.num_same_tokens] + to_numbers(kept.tokens)
        pictures = tuple(self._pictures[digest] for digest in kept.pictures if digest in self._pictures)
        whole = len(pictures) == len(kept.pictures)  # else it has to be made anew
        return Prompt(text, tokens, pictures, letters=kept.letters) if whole else None


def _as_output(items: Iterable[InputItem]) -> tuple[OutputItem, ...]:
    return tuple(items)  # type: ignore[arg-type]  # they were, when they were written


def pack_prompt(prompt: Prompt, parent: Turn | None) -> PackedPrompt:
    """Return the part of a prompt that its parent's prompt does not have."""
    before = parent.prompt if parent is not None else None
    digests = [picture.digest for picture in prompt.pictures]
    if parent is None or before is None:
        return PackedPrompt(0, prompt.text, 0, from_numbers(prompt.token_ids), digests, prompt.letters, prompt.begun)
    same = _num_common(before.text, prompt.text)
    tokens = before.token_ids + parent.token_ids
    same_tokens = _num_common(tokens, prompt.token_ids)
    rest = from_numbers(prompt.token_ids[same_tokens:])
    return PackedPrompt(same, prompt.text[same:], same_tokens, rest, digests, prompt.letters, prompt.begun)


def unpack_prompt(kept: PackedPrompt, parent: Turn | None) -> Prompt:
    """Return a prompt without pictures, as far as its parent still has the common part."""
    text, tokens = "", array("I")
    if parent is not None and parent.prompt is not None:
        text, tokens = parent.prompt.text, parent.prompt.token_ids + parent.token_ids
    token_ids = tokens[: kept.num_same_tokens] + to_numbers(kept.tokens)
    return Prompt(text[: kept.num_same] + kept.text, token_ids, begun=kept.begun, letters=kept.letters)


def _num_common(one: Sequence[object], other: Sequence[object]) -> int:
    """Return the length of the common beginning of both, found by bisection, because slices compare as
    fast as memory.
    """
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
