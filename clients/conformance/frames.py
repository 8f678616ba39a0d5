"""The frames that a client has sent: matching, bindings, and the lane of each create."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class Mismatch(Exception):
    """An error: the client did not do what it must."""


class Frames:
    """The frames of one run. `take` adds those that were sent; `check` compares them with a step."""

    def __init__(self) -> None:
        self._new: list[tuple[str, dict[str, Any]]] = []  # since the last check
        self._bound: dict[str, Any] = {}
        self._creates: list[tuple[str, Mapping[str, Any]]] = []  # not sent yet, oldest first
        self._lanes: dict[str, str | None] = {}
        self._texts: dict[str, str] = {}  # request_id -> the text of its create

    def expect(self, name: str, body: Mapping[str, Any]) -> None:
        """Expect that the next create with these members is the one of this name."""
        self._creates.append((name, body))

    def take(self, texts: list[str]) -> None:
        """Note what was sent."""
        for text in texts:
            try:
                frame = json.loads(text)
            except (ValueError, TypeError):
                frame = None
            if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
                raise Mismatch(f"  not a client event: {text!r}")
            if frame["type"] == "response.create":
                self._take_create(text, frame)
            self._new.append((text, frame))

    def check(self, expected: list[dict[str, Any]]) -> None:
        """Check that exactly these frames were sent since the last check, each with at least these members."""
        new, self._new = self._new, []
        listing = "".join(f"\n    {text}" for text, _ in new) or " nothing"
        if len(new) != len(expected):
            raise Mismatch(f"  expected {len(expected)} frames, sent:{listing}")
        for (text, frame), wanted in zip(new, expected, strict=True):
            for key, value in wanted.items():
                seen = text if key == "$frame" else frame.get(key)
                if seen != self._value(value, seen):
                    raise Mismatch(f"  {key} must be {json.dumps(self._value(value, seen))}, sent:{listing}")

    def lane(self, name: str) -> str | None:
        """Return the `stream_id` of the create of this name; None if it is not a create."""
        if any(waiting == name for waiting, _ in self._creates):
            raise Mismatch(f"  the create {name!r} has not been sent")
        return self._lanes.get(name)

    def bound(self, name: str) -> Any:
        """Return the value of `$name`."""
        if name not in self._bound:
            raise Mismatch(f"  nothing is bound to ${name}")
        return self._bound[name]

    def _value(self, value: Any, seen: Any) -> Any:
        """Bind `$name` to the value at its first occurrence, and return it."""
        if isinstance(value, str) and value.startswith("$"):
            return self._bound.setdefault(value[1:], seen)
        return value

    def _take_create(self, text: str, frame: Mapping[str, Any]) -> None:
        request_id = str(frame.get("request_id"))
        if request_id in self._texts:
            if self._texts[request_id] != text:
                raise Mismatch(f"  sent again, but not the same bytes:\n    {self._texts[request_id]}\n    {text}")
            return
        self._texts[request_id] = text
        for waiting in self._creates:
            name, body = waiting
            if all(frame.get(key) == value for key, value in body.items()):
                self._lanes[name] = frame.get("stream_id")
                self._creates.remove(waiting)
                return
