"""Members of a `response.create` that this server does not know: ignored, and reported to clients that can be told.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

import msgspec

from .events import RequestWarning
from .requests import ResponseCreate

MAX_TOLD = 16  # of the unknown members of one request
_MAX_CHARS = 64  # of a name
_KNOWN = frozenset(
    field.encode_name for field in msgspec.structs.fields(ResponseCreate) if not field.encode_name.startswith(" ")
) | {"type"}
# What other APIs call what is here.
_OTHER_NAMES = {
    "max_tokens": "max_output_tokens", "max_completion_tokens": "max_output_tokens", "max_new_tokens":
    "max_output_tokens", "messages": "input", "prompt_text": "input", "system": "instructions", "system_prompt":
    "instructions", "functions": "tools", "function_call": "tool_choice", "response_format": "text.format",
    "reasoning_effort": "reasoning.effort", "verbosity": "text.verbosity", "stop_sequences": "stop", "logprobs":
    "top_logprobs", "thread_id": "conversation", "session_id": "conversation", "guided_json": "text.format",
}  # fmt: skip


def unknown_members(names: Iterable[str], inside: str = "") -> tuple[str, ...]:
    """Return the names that no member of a create has, each below `inside`: long ones cut, and no more of them than a
    client is told.
    """
    found = []
    for name in names:
        if name not in _KNOWN:
            found.append(inside + name[:_MAX_CHARS])
            if len(found) == MAX_TOLD:
                break
    return tuple(found)


def warnings(unknown: Sequence[str]) -> list[RequestWarning]:
    """Return a client's warnings about unknown members, each with the name that it may have meant."""
    return [RequestWarning(param=path, message=_message(path)) for path in unknown]


def _message(path: str) -> str:
    name = path.rpartition(".")[2]
    meant = _OTHER_NAMES.get(name) or next(iter(get_close_matches(name, _KNOWN, n=1, cutoff=0.8)), None)
    text = f"`{path}` is not known here and was ignored"
    return f"{text}: did you mean `{meant}`?" if meant is not None else f"{text}."
