"""The settings in words: values for people, the table in docs/operations.md, and `serve --print-config`."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec

from .fields import Settings
from .sources import UNITS, Effective, Option, allowed_values, options, without_password

PACKAGE = Path(__file__).parent.parent
TABLE_BEGIN = "<!-- settings: written by `make docs` -->"
TABLE_END = "<!-- end of settings -->"
_MAX_COLUMN = 60  # characters


def title(group: str) -> str:
    """A group's heading: the first line of its struct."""
    struct = getattr(Settings(), group) if group else Settings()
    return (type(struct).__doc__ or "").partition("\n")[0].rstrip(".")


def shown(option: Option, value: Any) -> str:
    """A value as one would write it in a flag; "" for nothing. The same on every machine."""
    if value is None or value == () or value == {}:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode()
    if option.is_size:
        return _size(value)
    if isinstance(value, str) and Path(value).is_relative_to(PACKAGE):
        return str(Path(value).relative_to(PACKAGE.parent))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _size(num_bytes: int) -> str:
    for unit, factor in reversed(UNITS.items()):
        if num_bytes and num_bytes % factor == 0:
            return f"{num_bytes // factor}{unit}"
    return str(num_bytes)


def settings_table() -> str:
    """The Markdown between the two markers of docs/operations.md."""
    sections = []
    for group, members in groupby(options(), key=lambda option: option.group):
        heading = f"**`[{group}]`** {title(group)}." if group else "At the top of the file:"
        lines = [heading, "", "| setting | default | what it is | allowed |", "|---|---|---|---|", *map(_row, members)]
        sections.append("\n".join(lines))
    return "\n\n".join(sections)


def _row(option: Option) -> str:
    default = shown(option, option.default)
    cells = [f"`{option.name}`", f"`{default}`" if default else "-", option.doc, allowed_values(option)]
    return f"| {' | '.join(cells)} |"


def with_table(document: str) -> str:
    """A document with the table between its markers written anew."""
    before, begin, rest = document.partition(TABLE_BEGIN)
    _, end, after = rest.partition(TABLE_END)
    if not begin or not end:
        raise ValueError("the markers of the settings table are missing")
    return f"{before}{begin}\n\n{settings_table()}\n\n{end}{after}"


def effective_table(effective: Effective) -> str:
    """Every setting that holds, as lines `group.name = value   (source)`."""
    rows = []
    for option in options():
        owner = getattr(effective.settings, option.group) if option.group else effective.settings
        value = shown(option, getattr(owner, option.name))
        value = "***" if value and option.secret else value or "-"
        value = without_password(value) if option.url else value
        rows.append((option.toml, value, effective.sources[option.name]))
    # A long value, as a table in JSON, must not push the sources of all others off the screen.
    widths = [max(len(row[column]) for row in rows if len(row[column]) <= _MAX_COLUMN) for column in (0, 1)]
    return "\n".join(f"{name:{widths[0]}}  {value:{widths[1]}}  {source}" for name, value, source in rows)
