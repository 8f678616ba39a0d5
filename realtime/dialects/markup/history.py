"""A history in the form that a template wants: ids, arguments, reasoning, and which call a result belongs to. Pure.

Templates agree on little. Some print a call's id, and were trained on one form of it, or refuse every other; most want
arguments as an object, a few as text; reasoning has several names. A row says what its family's template wants;
rendering a conversation with the actual template finds out which of that it really wants.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from .family import NAME, Family

Message = dict[str, Any]
Render = Callable[[Sequence[Message]], str | None]
"""What a template makes of messages, with a tool `probe` that has an argument `said`; None if it refuses them."""

PARTS = "parts"
"""Reasoning is a part of the content."""

_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_HASH = re.compile(r"[A-Za-z0-9]{9}")
_MEMBERS = ("reasoning_content", "reasoning", "thinking", PARTS)


def as_wanted(messages: Sequence[Message], family: Family) -> list[Message]:
    """Return the messages of `dialects.messages.to_messages` in the form that the family's template wants: new ones
    where they differ.
    """
    calls: dict[str, tuple[str, str]] = {}  # by the id that the client knows: the one to show, and the name
    said = []
    index = 0
    for message in messages:
        if message["role"] == "assistant":
            message = _reasoned(message, family.reasoning)
            if message.get("tool_calls"):
                shown = []
                for call in message["tool_calls"]:
                    shown.append(_call(call, index, family))
                    calls[call["id"]] = shown[-1]["id"], call["function"]["name"]
                    index += 1
                message = {**message, "tool_calls": shown}
        elif message["role"] == "tool":
            message = _result(message, calls, family)
        said.append(message)
    return said


def _call(call: Message, index: int, family: Family) -> Message:
    function = call["function"]
    arguments = function["arguments"]
    if family.arguments == "text":
        arguments = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    elif not isinstance(arguments, dict):  # of a call that was cut
        arguments = {"arguments": arguments}
    shown_id = call_id(call["id"], function["name"], index, family.ids)
    return {**call, "id": shown_id, "function": {**function, "arguments": arguments}}


def _result(message: Message, calls: dict[str, tuple[str, str]], family: Family) -> Message:
    given = message["tool_call_id"]
    found = calls.get(given)
    if found is not None:
        return {**message, "tool_call_id": found[0], "name": found[1]}
    return {**message, "tool_call_id": _hashed(given)} if family.ids == "{hash}" else message


def call_id(given: str, name: str, index: int, form: str | None) -> str:
    """Return the id of a call in the form that a template wants. In it `{name}` is the tool's name, `{index}` the
    number of the call in the conversation, and `{hash}` nine letters and digits derived from the given id.
    """
    if form is None:
        return given
    return form.replace(NAME, name).replace("{index}", str(index)).replace("{hash}", _hashed(given))


def _hashed(given: str) -> str:
    if _HASH.fullmatch(given):
        return given
    number = int.from_bytes(hashlib.sha256(given.encode("utf-8", "surrogatepass")).digest())
    return "".join(_LETTERS[number // len(_LETTERS) ** place % len(_LETTERS)] for place in range(9))


def _reasoned(message: Message, member: str) -> Message:
    """Return a message with its reasoning where the template looks for it."""
    if "reasoning_content" not in message or member == "reasoning_content":
        return message
    rest = {key: value for key, value in message.items() if key != "reasoning_content"}
    text, content = message["reasoning_content"], rest.get("content")
    if member != PARTS:
        return {**rest, member: text}
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}] if content else []
    return {**rest, "content": [{"type": "thinking", "thinking": text}, *parts]}


# -- what the template at hand wants

_LISTED = re.compile(r"""type["']: ["']thinking""")  # parts that the template prints as they are
_SAID, _THOUGHT = "a1b2c3said", "a1b2c3thought"


def settled(family: Family, render: Render) -> tuple[Family, str]:
    """Return the row with what its template wants of a history, and a history as the template renders it:
    see detect.
    """
    for row in _candidates(family):
        shown = render(as_wanted(_conversation(_SAID), row))
        if shown is not None and _SAID in shown and _escaped(_SAID) not in shown:
            found = _with_reasoning(row, render)
            return found, render(as_wanted(_conversation(_SAID), found)) or shown
    return _with_reasoning(family, render), render(_conversation(_SAID)[:1]) or ""


def _candidates(family: Family) -> Iterator[Family]:
    for ids in dict.fromkeys((family.ids, "{hash}")):
        for arguments in ("object", "text"):
            yield msgspec.structs.replace(family, ids=ids, arguments=arguments)


def _escaped(text: str) -> str:
    """Return arguments as they look when they were encoded twice."""
    return f'\\"{text}'


def _with_reasoning(family: Family, render: Render) -> Family:
    """Return the row with the first name of reasoning that the template knows; if it knows none, any will do."""
    for member in dict.fromkeys((family.reasoning, *_MEMBERS)):
        row = msgspec.structs.replace(family, reasoning=member)
        shown = [render(as_wanted(one, row)) or "" for one in (_conversation(_SAID), _conversation(None))]
        if _SAID in shown[1] and _THOUGHT in "".join(shown) and not _LISTED.search("".join(shown)):
            return row
    return msgspec.structs.replace(family, reasoning="reasoning_content")


def _conversation(argument: str | None) -> list[Message]:
    """Return a question, and an answer with reasoning: two calls and their results, or a text."""
    question = {"role": "user", "content": "?"}
    if argument is None:
        return [question, {"role": "assistant", "content": _SAID, "reasoning_content": _THOUGHT}]
    calls = [
        {"id": f"call_{index}", "type": "function", "function": {"name": "probe", "arguments": {"said": argument}}}
        for index in range(2)
    ]
    answer = {"role": "assistant", "content": "", "reasoning_content": _THOUGHT, "tool_calls": calls}
    return [question, answer, *({"role": "tool", "tool_call_id": call["id"], "content": "!"} for call in calls)]
