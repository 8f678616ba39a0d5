"""A probe of a chat template with the letters of a control token in each place of a conversation. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .text import letters_of

PLACES = ("instructions", "user", "assistant", "reasoning", "call", "tool_output", "tool")
"""Where texts of others are in a prompt. `call`: name, id and arguments; `tool`: name, description and schema."""

Messages = Sequence[dict[str, Any]]
Render = Callable[[Messages, Sequence[dict[str, Any]], Mapping[str, Any]], str]

_BEFORE, _AFTER = "zqa", "zqb"  # letters only, which every template leaves alone


def unsafe_places(marked: Render, plain: Render, token: str) -> tuple[str, ...]:
    """Return the places in which a template does not pass a text with this token's letters through. `marked` renders
    with marks in all places, `plain` with none.

    Places that the template does not show, or does not take, are not included.
    """
    return tuple(place for place in PLACES if not _is_safe(marked, plain, place, token))


def _is_safe(marked: Render, plain: Render, place: str, token: str) -> bool:
    for messages, tools in _conversations(place, f"{_BEFORE}{token}{_AFTER}"):
        try:
            rendered, otherwise = marked(messages, tools, {}), plain(messages, tools, {})
        except Exception:
            continue
        if _BEFORE in rendered and not _passes(rendered, otherwise, token):
            return False
    return True


def _passes(rendered: str, otherwise: str, token: str) -> bool:
    """Return whether the letters are recognized, and the text is rendered as without marks, or as it was written: some
    templates look for tokens in texts.
    """
    if not (letters := letters_of(rendered)):
        return False
    return rendered == otherwise or all(
        rendered.startswith(f"{token}{_AFTER}", found.end())
        and any(found.end() <= place < found.end() + len(token) for place in letters)
        for found in re.finditer(_BEFORE, rendered)
    )


def _conversations(place: str, text: str) -> Iterator[tuple[Messages, Sequence[dict[str, Any]]]]:
    """Yield conversations with the text in this place: with as much around it as templates ask for, and
    with as little.
    """
    hi: dict[str, Any] = {"role": "user", "content": "hi"}
    hello = {"role": "assistant", "content": "hello"}
    call = {"id": "call00001", "type": "function", "function": {"name": "look", "arguments": {"key": "value"}}}
    calls = {"role": "assistant", "content": "", "tool_calls": [call]}
    output = {"role": "tool", "tool_call_id": "call00001", "content": "seen"}
    tool = _tool("It looks.", {"type": "string"})
    match place:
        case "instructions":
            yield [{"role": "system", "content": text}, hi], []
            yield [{"role": "system", "content": text}, hi], [tool]
            yield [hi, hello, {"role": "system", "content": text}, hi], []
        case "user":
            yield [{"role": "user", "content": text}], []
            yield [{"role": "user", "content": text}, hello, hi], [tool]
        case "assistant":
            yield [hi, {"role": "assistant", "content": text}, hi], []
            yield [hi, {**calls, "content": text}, output], [tool]
        case "reasoning":
            yield [hi, {**calls, "reasoning_content": text}, output], [tool]
            yield [hi, {**hello, "reasoning_content": text}, hi], []
        case "call":
            called = {"name": "look", "arguments": {"key": text, "more": [{"deep": text}]}}
            yield [hi, {**calls, "tool_calls": [{**call, "function": called}]}, output], [tool]
            yield [hi, {**calls, "tool_calls": [{**call, "function": {"name": "look", "arguments": text}}]}, output], []
        case "tool_output":
            yield [hi, calls, {**output, "content": text}], [tool]
            yield [hi, calls, {**output, "content": text}, hello, hi], []
        case "tool":
            yield [hi], [_tool(text, {"type": "string"})]
            yield [hi], [_tool("It looks.", {"type": "string", "description": text, "enum": [text]})]


def _tool(description: str, key: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"key": key}, "required": ["key"]}
    return {"type": "function", "function": {"name": "look", "description": description, "parameters": schema}}
