"""A model's chat template, for texts in which the letters of control tokens are only letters. Pure.

Texts without such letters, found by one search, are rendered unchanged. Others are marked before they are rendered
(`marking`), and the result knows where the letters are. When the model loads, one probe finds the places of a
conversation in which a template does not pass marks through: in such an unsafe place, letters may become tokens.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import msgspec

from .control import added_tokens, chat_template, control_tokens
from .encoder import Encode, encoder
from .marking import Letters, Marker, change_texts, clean
from .probe import PLACES, unsafe_places

Dicts = Sequence[dict[str, Any]]

_OF_ROLE = {"system": "instructions", "assistant": "assistant", "tool": "tool_output"}


class Template:
    """A model's chat template.

    picture: what stands for an image in the given texts; None: images are parts of the content.
    """

    def __init__(self, tokenizer: Any, marker: str | None = None) -> None:
        """marker: the template's text for an image."""
        self._tokenizer = tokenizer
        self._marker = marker
        self.picture = f"[image {secrets.token_hex(16)}]" if marker else marker  # a user may have written the marker
        self._added = added_tokens(tokenizer)
        self._control = control_tokens(self._added or [], chat_template(tokenizer))
        self._letters = Letters(token.text for token in self._control)

    @cached_property
    def encode_letters(self) -> Encode | None:
        """Return the encoder of a LetteredText; None: there is none, and no such text is rendered."""
        return None if self._added is None else encoder(self._tokenizer, self._added, self._control)

    @cached_property
    def unsafe_in(self) -> tuple[str, ...]:
        """Return which of `probe.PLACES` are unsafe. The first call takes milliseconds."""
        if self.encode_letters is None:
            return PLACES
        if not self._control:
            return ()
        render = partial(self._render_marked, skipped=())
        return unsafe_places(render, self._apply, self._control[0].text)

    def render(self, messages: Dicts, tools: Dicts, kwargs: Mapping[str, Any]) -> str:
        """Render the prompt: a LetteredText if there are such letters. Raises what the template raises, and
        Unmarkable.
        """
        try:
            blob = msgspec.json.encode((messages, tools, kwargs))
        except UnicodeEncodeError:  # no tokenizer would take it
            messages, tools, kwargs = clean(messages), clean(tools), clean(kwargs)
            blob = msgspec.json.encode((messages, tools, kwargs))
        if not self._letters.found_in(blob) or self.unsafe_in == PLACES:
            return self._apply(messages, tools, kwargs)
        return self._render_marked(messages, tools, kwargs, blob, skipped=self.unsafe_in)

    def render_without_prompt(self, messages: Dicts, tools: Dicts, kwargs: Mapping[str, Any]) -> str:
        """Render the conversation alone, without the template's prompt for an answer."""
        return self._apply(messages, tools, kwargs, asks=False)

    def _render_marked(
        self, messages: Dicts, tools: Dicts, kwargs: Mapping[str, Any], blob: bytes = b"", *, skipped: Sequence[str]
    ) -> str:
        """Render the prompt of marked texts, without marks in the skipped places. `blob`: see Marker."""
        marker = Marker(self._letters, blob)
        messages = [self._mark_message(message, marker, skipped) for message in messages]
        if "tool" not in skipped:
            tools = change_texts(tools, marker.mark, marker.mark_key)
        return marker.restore(self._apply(messages, tools, change_texts(kwargs, marker.mark)))

    def _apply(self, messages: Dicts, tools: Dicts, kwargs: Mapping[str, Any], *, asks: bool = True) -> str:
        text: str = self._tokenizer.apply_chat_template(
            messages, tools=tools or None, tokenize=False, add_generation_prompt=asks, **kwargs
        )
        return text.replace(self.picture, self._marker) if self.picture and self._marker else text

    def _mark_message(self, message: dict[str, Any], marker: Marker, skipped: Sequence[str]) -> dict[str, Any]:
        place = _OF_ROLE.get(message["role"], "user")
        answers = place == "assistant"
        marked = dict(message)
        for member, where, change, change_key in (
            ("content", place, marker.mark_answer if answers else marker.mark, None),
            ("reasoning_content", "reasoning", marker.mark, None),
            ("reasoning", "reasoning", marker.mark, None),
            ("thinking", "reasoning", marker.mark, None),
            ("tool_calls", "call", marker.mark, marker.mark_key),
            ("tool_call_id", "call", marker.mark, None),
        ):
            if member in message and where not in skipped:
                marked[member] = change_texts(message[member], change, change_key)
        return marked
