"""A model's chat template, given texts in which the letters of control tokens are only letters. Pure.

Texts without such letters are rendered as they are: one search finds that out. Others are marked before they are
rendered (`marking`), and what comes out knows where the letters are. Which places of a conversation a template passes
marks through is tried once, when the model loads: in a place that is unsafe, letters may become tokens.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from .control import added_tokens, chat_template, control_tokens
from .encoder import Encode, encoder
from .marking import Change, Letters, Marker, change_texts, clean
from .probe import PLACES, unsafe_places

Dicts = Sequence[dict[str, Any]]

_OF_ROLE = {"system": "instructions", "assistant": "assistant", "tool": "tool_output"}


class Template:
    """See the module.

    picture: what stands for an image in the texts that it is given; None: images are parts of the content.
    encode_letters: what tokenizes a LetteredText; None: nothing can, and none is rendered.
    unsafe_in: which of `probe.PLACES` are unsafe.
    """

    def __init__(self, tokenizer: Any, marker: str | None = None) -> None:
        """marker: what the template's text has for an image."""
        self._tokenizer = tokenizer
        self._marker = marker
        self.picture = f"[image {secrets.token_hex(16)}]" if marker else marker  # a user may have written the marker
        added = added_tokens(tokenizer)
        control = control_tokens(added or [], chat_template(tokenizer))
        self._letters = Letters(token.text for token in control)
        self.encode_letters: Encode | None = encoder(tokenizer, added or [], control)
        self.unsafe_in: tuple[str, ...] = ()
        if added is None or self.encode_letters is None:
            self.unsafe_in = PLACES
        elif control:
            self.unsafe_in = unsafe_places(self.render, self._apply, control[0].text)

    def render(self, messages: Dicts, tools: Dicts, kwargs: Mapping[str, Any]) -> str:
        """The prompt, a LetteredText if there are such letters. Raises what the template raises, and Unmarkable."""
        try:
            blob = msgspec.json.encode((messages, tools, kwargs))
        except UnicodeEncodeError:  # no tokenizer would take it
            messages, tools, kwargs = clean(messages), clean(tools), clean(kwargs)
            blob = msgspec.json.encode((messages, tools, kwargs))
        if self.unsafe_in == PLACES or not self._letters.found_in(blob):
            return self._apply(messages, tools, kwargs)
        marker = Marker(self._letters, blob)
        messages = [self._mark_message(message, marker) for message in messages]
        if "tool" not in self.unsafe_in:
            tools = change_texts(tools, marker.mark, marker.mark_key)
        return marker.restore(self._apply(messages, tools, change_texts(kwargs, marker.mark)))

    def _apply(self, messages: Dicts, tools: Dicts, kwargs: Mapping[str, Any]) -> str:
        text: str = self._tokenizer.apply_chat_template(
            messages, tools=tools or None, tokenize=False, add_generation_prompt=True, **kwargs
        )
        return text.replace(self.picture, self._marker) if self.picture and self._marker else text

    def _mark_message(self, message: dict[str, Any], marker: Marker) -> dict[str, Any]:
        marked = dict(message)
        place = _OF_ROLE.get(message["role"], "user")
        self._mark(marked, "content", place, marker.mark_answer if place == "assistant" else marker.mark)
        self._mark(marked, "reasoning_content", "reasoning", marker.mark)
        self._mark(marked, "tool_calls", "call", marker.mark, marker.mark_key)
        self._mark(marked, "tool_call_id", "call", marker.mark)
        return marked

    def _mark(
        self, message: dict[str, Any], member: str, place: str, change: Change, change_key: Change | None = None
    ) -> None:
        if member in message and place not in self.unsafe_in:
            message[member] = change_texts(message[member], change, change_key)
