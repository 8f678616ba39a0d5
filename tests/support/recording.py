"""What went over the wire in one session, as lines that are the same in every run, and their comparison with a file.

A line is a JSON array: who and in which direction (`ws >` sent by a client, `ws <` by the server, `engine #` what the
model was given), and the value with its members in the order of the wire. What differs from run to run is replaced:
ids by prefix and order of appearance, times, dates, measurements, ports, keys and sealed contents. A Response that has
the members of the one before it is written as what differs, `{"as before": <id of that one>, ...}`, and an item that is
what it was when it was last shown as `{"as before": <its id>}`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

_ID = re.compile(r"\b([a-z][a-z_]*)_([0-9a-f]{32})\b")
_KEY = re.compile(r"\b(rt)_([\w-]{43})(?![\w-])")
_PORT = re.compile(r"\b(127\.0\.0\.1|localhost):\d+")
_DATE = re.compile(r"\b20\d\d-\d\d-\d\d\b")
_SEALED = "rt1."
_TIMES = {"created", "created_at", "completed_at", "since"}
_MEASURED = {"abort_ms", "estimated_seconds", "idle_seconds"}
_CONTEXT = 3  # lines before a difference
_BRIEF = 160  # characters of a line of the context
_AROUND = 240  # characters before and after a difference


class Recording:
    """The lines of a session so far."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._names: dict[str, str] = {}  # what was found -> what stands for it
        self._counts: dict[str, int] = {}
        self._responses: dict[tuple[str, ...], dict[str, Any]] = {}  # the latest one with these members in this order
        self._items: dict[str, str] = {}  # by id, as they were last

    def add(self, who: str, value: Any) -> None:
        """Append one line."""
        self.lines.append(_written([who, self._shortened(self._same(value))]))

    def _shortened(self, value: Any) -> Any:
        """What is said again and again would hide what is new."""
        match value:
            case {"object": "response", "output": _}:
                return self._against_before(value)
            case {"type": _, "id": str(item_id)}:
                before, self._items[item_id] = self._items.get(item_id), _written(value)
                if before == self._items[item_id]:
                    return {"as before": item_id}
        if isinstance(value, dict):
            return {name: self._shortened(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._shortened(inner) for inner in value]
        return value

    def _against_before(self, response: dict[str, Any]) -> dict[str, Any]:
        members = tuple(response)
        before = self._responses.get(members)
        self._responses[members] = response
        if before is None:
            return {name: self._shortened(inner) for name, inner in response.items()}
        new = {name: inner for name, inner in response.items() if _written(inner) != _written(before[name])}
        return {"as before": before["id"], **{name: self._shortened(inner) for name, inner in new.items()}}

    def _same(self, value: Any, member: str = "") -> Any:
        match value:
            case dict():
                return {self._text(str(name)): self._same(inner, str(name)) for name, inner in value.items()}
            case list() | tuple():
                return [self._same(inner) for inner in value]
            case str() if member == "encrypted_content" and value.startswith(_SEALED):
                return self._named(_SEALED + "<sealed {}>", value)
            case str():
                return self._text(value)
            case int() | float() if member in _TIMES:
                return "<time>"
            case int() | float() if member in _MEASURED:
                return "<measured>"
            case _:
                return value

    def _text(self, text: str) -> str:
        """Replace what is random inside of any text: ids stand in prompts, addresses and words of errors as well."""
        for pattern in (_ID, _KEY):
            text = pattern.sub(lambda found: self._named(found[1] + "_{}", found[0]), text)
        return _DATE.sub("<date>", _PORT.sub(r"\1:<port>", text))

    def _named(self, form: str, found: str) -> str:
        if found not in self._names:
            self._counts[form] = number = self._counts.get(form, 0) + 1
            self._names[found] = form.format(number)
        return self._names[found]


def write(path: Path, lines: Sequence[str]) -> None:
    """Record anew."""
    path.write_text("".join(f"{line}\n" for line in lines))


def difference(path: Path, lines: Sequence[str]) -> str | None:
    """The first difference between a file and a session of now, in words; None: there is none."""
    recorded, now = ([_compared(line) for line in side] for side in (path.read_text().splitlines(), lines))
    for index, (one, other) in enumerate(zip_longest(recorded, now, fillvalue="(the session is over)")):
        if one != other:
            return _told(path.name, recorded, index, one, other)
    return None


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _compared(line: str) -> str:
    return _written(_without_words(json.loads(line)))


def _without_words(value: Any, member: str = "") -> Any:
    """The texts of errors are for people: they may be said better without being another wire."""
    if isinstance(value, list):
        return [_without_words(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    said = {name: _without_words(inner, name) for name, inner in value.items()}
    if isinstance(said.get("message"), str) and (member == "error" or "code" in said):
        said["message"] = "..."
    return said


def _told(name: str, recorded: Sequence[str], index: int, before: str, now: str) -> str:
    context = [f"  {line[:_BRIEF]}" for line in recorded[max(index - _CONTEXT, 0) : index]]
    at = next((at for at, (a, b) in enumerate(zip(before, now, strict=False)) if a != b), min(len(before), len(now)))
    sides = [f"{side} {_window(line, at)}" for side, line in (("- recorded:", before), ("+ now:     ", now))]
    return "\n".join([f"{name}, line {index + 1}, column {at + 1}:", *context, *sides])


def _window(line: str, at: int) -> str:
    start, end = max(at - _AROUND, 0), at + _AROUND
    return f"{'…' if start else ''}{line[start:end]}{'…' if end < len(line) else ''}"
