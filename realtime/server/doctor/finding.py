"""A finding: the result of checking one thing. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

Level = Literal["ok", "note", "warning", "error"]
_MARKS: dict[str, str] = {"ok": "ok", "note": "--", "warning": "!!", "error": "XX"}


class Finding(msgspec.Struct, frozen=True):
    """The result of one check. name: of what was checked. level: a `note` is worth knowing, with a `warning` the server
    may run badly, and with an `error` it does not run. text: the facts. advice: what to do; empty if there is nothing
    to do.
    """

    name: str
    level: Level
    text: str
    advice: str = ""

    @property
    def is_bad(self) -> bool:
        """Return whether something has to be done."""
        return self.level in ("warning", "error")

    def line(self, width: int) -> str:
        """Format the finding for a terminal. width: of the names."""
        advice = f"\n   {'':{width}}  -> {self.advice}" if self.advice else ""
        return f"{_MARKS[self.level]} {self.name:{width}}  {self.text}{advice}"


def in_lines(findings: list[Finding]) -> str:
    """Format all findings, and last how many are bad."""
    width = max(len(one.name) for one in findings)
    errors, warnings = (sum(one.level == level for one in findings) for level in ("error", "warning"))
    last = (
        "nothing is wrong" if not errors + warnings else f"{_number(errors, 'error')}, {_number(warnings, 'warning')}"
    )
    return "\n".join([*(one.line(width) for one in findings), "", last])


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
