"""The header of a Harmony message: who speaks to whom, in which channel. Pure.

    <|start|>assistant<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{...}<|call|>
             ^---------------------------- header -----------------------------^

Models put the recipient in either half, leave parts out, or write something else altogether. Whatever stands there
that is no header is something that the model said, so it is kept as `rest`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

Marker = Literal["channel", "constrain"]
Segment = tuple[Marker | None, str]  # the text after a marker; None: what stands before the first one

_RECIPIENT = re.compile(r"to=(\S*)")
_CONTENT_TYPES = frozenset({"json", "code", "text"})
_CONTENT_TYPE = re.compile(r"\s*(?:json|code|text)\b")  # before what should be content
_NOBODY = frozenset({"assistant", "all", "user"})  # as recipients: the message calls nothing
_ROLES = frozenset({"user", "system", "developer", "tool"})
_CHANNELS = frozenset({"analysis", "commentary", "final"})


class Header(msgspec.Struct, frozen=True):
    """A parsed header. `call` is the name of the tool that is called. `odd` says what was malformed; None: nothing."""

    channel: str | None
    call: str | None
    rest: str
    odd: str | None = None


def read_header(segments: Sequence[Segment], *, first: bool, complete: bool) -> Header:
    """Parse a header. `first`: the role is in the prompt already, not in here. `complete`: it ended where a header
    ends; otherwise everything that is not part of a header is content, to the letter.
    """
    role, channel, recipient = ("assistant" if first else None), None, None
    rest: list[str] = []
    for marker, text in segments:
        found = _RECIPIENT.search(text)
        if found is not None:
            recipient = found.group(1).split("<|")[0]
            text = text[: found.start()].rstrip() + text[found.end() :]
        if marker == "channel":
            channel, text = _first_word(text)
        elif marker is None and role is None:
            role, text = _role(text, recipient)
        if text.strip() in _CONTENT_TYPES or (marker == "constrain" and complete):
            text = ""
        elif not complete and (marker == "constrain" or recipient is not None):
            text = _CONTENT_TYPE.sub("", text)
        if text.strip():
            rest.append(text.strip() if complete else text)
    said = "".join(rest)
    odd = _oddity(role, channel, recipient, said, complete)
    if role not in ("assistant", "", None):
        channel = "commentary"  # what is not the assistant's is not the answer
    return Header(_channel(channel), _call(recipient), said, odd)


def may_be_header(text: str) -> bool:
    """Return whether this may be the beginning of a header."""
    text = text.strip()
    return any(word.startswith(text) for word in ("to=", "assistant", "functions.", *_CONTENT_TYPES))


def _first_word(text: str) -> tuple[str | None, str]:
    text = text.lstrip()
    word = next(iter(text.split(None, 1)), "")
    return (word.lower() or None), text[len(word) + 1 :]


def _role(text: str, recipient: str | None) -> tuple[str, str]:
    """Return who speaks. A model may leave out the role and the whole header, and just continue: then "" does."""
    if text.startswith("assistant"):
        return "assistant", text.removeprefix("assistant")
    word = text.strip()
    if word in _ROLES or word.startswith("functions.") or (word and recipient == "assistant"):
        return word, ""
    return "", text


def _channel(name: str | None) -> str | None:
    """Return the channel in which the message is shown. An unknown one is not the answer."""
    return name if name is None or name in _CHANNELS else "commentary"


def _call(recipient: str | None) -> str | None:
    if not recipient or recipient in _NOBODY:
        return None
    return recipient.removeprefix("functions.") or None


def _oddity(role: str | None, channel: str | None, recipient: str | None, rest: str, complete: bool) -> str | None:
    if not complete:
        return "a message without <|message|>"
    if role != "assistant":
        return "a message that is not the assistant's"
    if channel is not None and channel not in _CHANNELS:
        return "an unknown channel"
    if recipient == "functions.":
        return "a call without a name"
    return "text in a header" if rest else None
