"""Compaction: the short form of a long conversation. Pure.

`compaction_plan` decides what is kept, `runs.compactor` has the model summarize the rest.

A compacted conversation has, in this order: the texts of the system and the developer; a note with a summary, and with
the user's own words as far as they fit; and the newest items unchanged. All of it is in the encrypted content of one
`compaction` item, which stands for everything before it, so a client may keep or drop what was before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.harmony import HarmonyMessage
from realtime.wire.item_texts import texts_of
from realtime.wire.items import (
    Compaction,
    CompactionTrigger,
    InputItem,
    InputText,
    Message,
    OutputItem,
)
from realtime.wire.requests import ResponseCreate

from .shortening import elide, shorten
from .turns import ExpandedCompaction, Turn

_NOTE = "Summary of the conversation so far:\n{summary}"
_NOTE_WORDS = "\n\nWhat the user wrote until then, oldest first:\n{words}"


class Policy(msgspec.Struct, frozen=True):
    """The condition for compacting: above `threshold` tokens (None: near the end of the window), or `now`, because the
    client asked for it.
    """

    threshold: int | None = None
    now: bool = False


def compaction_policy(request: ResponseCreate) -> Policy | None:
    """Return when to compact a request's history, None for never, and take a trigger out of its items. Raises
    WireError.
    """
    triggers = [index for index, item in enumerate(request.items) if isinstance(item, CompactionTrigger)]
    if triggers and triggers[0] != len(request.items) - 1:
        text = "A `compaction_trigger` must be the last item of `input`, and the only one."
        raise WireError(ErrorCode.INVALID_REQUEST, text, param=f"input[{triggers[0]}]")
    if triggers:
        request.items.pop()
        return Policy(now=True)
    entries = request.context_management
    if not entries:
        return None
    return Policy(min((entry.compact_threshold for entry in entries if entry.compact_threshold), default=None))


class Note(Message, tag="message", kw_only=True):
    """The summary as the model sees it: a developer's message, with its parts for the next compaction."""

    summary: str
    words: list[str]

    @classmethod
    def of(cls, summary: str, words: Sequence[str]) -> Note:
        """Return the note with this summary and these words of the user."""
        text = _NOTE.format(summary=summary)
        if words:
            text += _NOTE_WORDS.format(words="\n".join(f"- {one}" for one in words))
        return cls(role="developer", content=text, summary=summary, words=list(words))


class Compacted(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation made shorter: the content that is encrypted."""

    version: int = 1
    head: list[InputItem]  # what the system and the developer said
    summary: str  # of what is gone; empty when nothing is
    words: list[str]  # what the user said of that, oldest first
    kept: list[InputItem]  # the newest items

    def items(self) -> list[InputItem]:
        """The items that the model sees."""
        note = [Note.of(self.summary, self.words)] if self.summary or self.words else []
        return [*self.head, *note, *self.kept]

    def to_text(self) -> str:
        """Encode it, to be encrypted."""
        return msgspec.json.encode(self).decode()

    def shrink(self, max_chars: int) -> Compacted:
        """Return the same with no text longer than `max_chars`, for when the prompt does not fit."""
        return msgspec.structs.replace(
            self,
            head=[shorten(item, max_chars) for item in self.head],
            summary=elide(self.summary, max_chars),
            words=[elide(one, max_chars) for one in self.words[-1:]],
            kept=[shorten(item, max_chars) for item in self.kept],
        )


def expand(item: Compaction, text: str) -> ExpandedCompaction:
    """Return the item with its decrypted content for the model. `text`: that content. Raises ValueError for one of
    another version.
    """
    compacted = _decode(text)
    if compacted.version != 1:
        raise ValueError(f"compaction of version {compacted.version}")
    return ExpandedCompaction.of(item, compacted.items())


def compacted_output(turn: Turn | None, output: Sequence[OutputItem], new_id: Callable[[str], str]) -> list[OutputItem]:
    """Return the output of a standalone compaction: the user's messages, then the compaction item. `turn`: its own."""
    expanded = turn.output[0] if turn is not None else None
    assert isinstance(expanded, ExpandedCompaction)
    return [*user_messages(expanded, new_id), *output]


def user_messages(item: ExpandedCompaction, new_id: Callable[[str], str]) -> list[OutputItem]:
    """Return the user's messages that are kept, as items of an output."""
    said: list[str] = []
    for one in item.content:
        if isinstance(one, Note):
            said += one.words
        elif is_user(one):
            said.append("\n".join(texts_of(one)))
    return [Message(id=new_id("msg"), status="completed", role="user", content=[InputText(text=text)]) for text in said]


_decode = msgspec.json.Decoder(Compacted).decode


def encrypt_compaction(compacted: Compacted, encrypt: Callable[[str], str], item: Compaction) -> ExpandedCompaction:
    """Return the item with its content encrypted, and expanded for the history."""
    whole = Compaction(id=item.id, encrypted_content=encrypt(compacted.to_text()))
    return ExpandedCompaction.of(whole, compacted.items())


def is_user(item: InputItem) -> bool:
    """Return whether the user said this."""
    return isinstance(item, Message | HarmonyMessage) and item.role == "user"
