"""Turns: an immutable chain of what was said before. Pure.

A turn points to its parent and is never changed, so continuing and forking cost nothing and can't disturb anybody: any
number of children may share one parent. `instructions` are not part of a turn: each request brings its own.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import ClassVar

import msgspec

from realtime.engine.base import Seen
from realtime.engine.pictures import Picture, image_parts, picture_of
from realtime.wire.harmony import HarmonyMessage
from realtime.wire.items import Compaction, InputImage, InputItem, Message, OutputItem


class ExpandedCompaction(Compaction, tag="compaction", dict=True):
    """A compaction with its content decrypted: what the model sees instead of all that came before it.

    `content` is not a field, so that it can't be encoded: on the wire the item is the encrypted one that it was.
    """

    content: ClassVar[tuple[InputItem, ...]] = ()

    @classmethod
    def of(cls, item: Compaction, content: Iterable[InputItem]) -> ExpandedCompaction:
        """Return the item with this content."""
        expanded = cls(id=item.id, encrypted_content=item.encrypted_content)
        expanded.__dict__["content"] = tuple(content)
        return expanded

    def encrypted(self) -> Compaction:
        """Return the item as it is on the wire."""
        return Compaction(id=self.id, encrypted_content=self.encrypted_content)


_LETTER = 40  # bytes of a place in a tuple


class Prompt(msgspec.Struct, frozen=True):
    """The prompt that the model is given. `text`: the decoded `token_ids`; empty where a dialect renders tokens
    directly. An image is one marker there; `pictures` has them in the order of their markers, and `seen` is the
    engine's form of both. `begun`: the mark at the text's end with which the template has begun the answer. `letters`:
    the places where somebody wrote a control token's letters, which are not that token.
    """

    text: str
    token_ids: array[int]
    pictures: tuple[Picture, ...] = ()
    seen: Seen | None = None
    begun: str = ""
    letters: tuple[int, ...] = ()

    @property
    def num_tokens(self) -> int:
        """The number of tokens, including those of images."""
        return len(self.token_ids if self.seen is None else self.seen.token_ids)

    @property
    def given(self) -> Sequence[int]:
        """The tokens as the model gets them."""
        return self.token_ids if self.seen is None else self.seen.token_ids

    def kept(self) -> Prompt:
        """Return the prompt for continuing it later, without what only its own generation needs."""
        return self if self.seen is None else Prompt(self.text, self.token_ids, self.pictures, letters=self.letters)


class Turn(msgspec.Struct, frozen=True, dict=True):
    """One finished exchange: the client's input and the model's answer, after everything in `parent`.

    A store may note on a turn where it keeps it (`store.packed.marks`); nobody else sees that.
    """

    response_id: str
    parent: Turn | None
    input: tuple[InputItem, ...]
    output: tuple[OutputItem, ...]
    prompt: Prompt | None = None  # what it was generated from ...
    token_ids: array[int] = array("I")  # ... and what was generated, for continuing with exactly these tokens

    @property
    def num_bytes(self) -> int:
        """The approximate size of everything in it but its items."""
        tokens = 4 * len(self.token_ids)
        if self.prompt is not None:
            tokens += len(self.prompt.text) + 4 * len(self.prompt.token_ids) + _LETTER * len(self.prompt.letters)
        return tokens + sum(_num_bytes(part) for _, part in image_parts(self.input))

    def own_items(self) -> tuple[InputItem, ...]:
        """Return the items that this turn added."""
        return (*self.input, *self.output)

    def items(self) -> list[InputItem]:
        """Return the whole history, oldest first, including this turn's answer."""
        chain: list[Turn] = []
        turn: Turn | None = self
        while turn is not None:
            chain.append(turn)
            turn = turn.parent
        return [item for link in reversed(chain) for item in link.own_items()]


def _num_bytes(part: InputImage) -> int:
    picture = picture_of(part)
    return len(part.image_url or "") + (len(picture.data) if picture is not None else 0)


def exchanges(items: list[InputItem]) -> list[int]:
    """Return where each exchange begins: the indexes of the user's messages."""
    return [
        index for index, item in enumerate(items) if isinstance(item, Message | HarmonyMessage) and item.role == "user"
    ]


def without_oldest(items: list[InputItem], count: int) -> list[InputItem]:
    """Return the items without the `count` oldest exchanges, each from its user message up to the next one, and never
    the newest. Items before the first user message (system, developer) stay.
    """
    starts = exchanges(items)
    return [*items[: starts[0]], *items[starts[count] :]] if count else items


def history(parent: Turn | None, items: list[InputItem]) -> list[InputItem]:
    """Return everything that the model will see for a request with these items after `parent`, oldest first.

    A compaction stands for everything before it.
    """
    items = [*parent.items(), *items] if parent is not None else list(items)
    at = _last_compaction(items)
    return items if at is None else [*_content(items[at]), *items[at + 1 :]]


def since_compaction(parent: Turn | None, items: list[InputItem]) -> tuple[list[InputItem], list[InputItem]]:
    """Return what is in force before `items`, and those of them that count, each at its index. If a compaction is among
    them, it stands for the others before it.
    """
    at = _last_compaction(items)
    if at is None:
        return history(parent, []), items
    return list(_content(items[at])), [items[at]] * (at + 1) + items[at + 1 :]


def _last_compaction(items: list[InputItem]) -> int | None:
    for index in range(len(items) - 1, -1, -1):
        if isinstance(items[index], ExpandedCompaction):
            return index
    return None


def _content(item: InputItem) -> tuple[InputItem, ...]:
    assert isinstance(item, ExpandedCompaction)
    return item.content
