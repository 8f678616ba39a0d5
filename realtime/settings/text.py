"""The settings in words: values for people, the table in docs/operations.md, and `serve --print-config`."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec

from .fields import Settings
from .sources import UNITS, Effective, Option, allowed_values, options, without_password

PACKAGE = Path(__file__).parent.parent
TABLE_BEGIN = "<!-- settings: written by `make docs` -->"
TABLE_END = "<!-- end of settings -->"


def title(group: str) -> str:
    """Return a group's heading: the first line of its struct."""
    struct = getattr(Settings(), group) if group else Settings()
    return (type(struct).__doc__ or "").partition("\n")[0].rstrip(".")


def shown(option: Option, value: Any) -> str:
    """Return a value as one would write it in a flag; "" for nothing. The same on every machine."""
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
    """Return the Markdown between the two markers of docs/operations.md."""
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
    """Return a document with the table between its markers written anew."""
    before, begin, rest = document.partition(TABLE_BEGIN)
    _, end, after = rest.partition(TABLE_END)
    if not begin or not end:
        raise ValueError("the markers of the settings table are missing")
    return f"{before}{begin}\n\n{settings_table()}\n\n{end}{after}"


def effective_toml(effective: Effective) -> str:
    """Return every setting in force as an equivalent TOML file, each with where it comes from."""
    parts = []
    for group, members in groupby(options(), key=lambda option: option.group):
        owner = getattr(effective.settings, group) if group else effective.settings
        lines = [f"[{group}]"] if group else []
        for option in members:
            line = _toml_line(option, getattr(owner, option.name))
            lines.append(f"{line}  # {effective.sources[option.name]}")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _toml_line(option: Option, value: Any) -> str:
    """Return a setting as a line of a file; as a comment if it is not set, or must not be shown."""
    if option.secret and value:
        return f"# {option.name} = ***"
    if option.url and value and (bare := _without_passwords(value)) != value:
        return f"# {option.name} = {_toml(bare)}"
    if value is None or (option.hidden and value == option.default):
        return f"# {option.name} ="
    return f"{option.name} = {_size_text(value) if option.is_size else _toml(value)}"


def _without_passwords(value: Any) -> Any:
    """Return a URL, or several, as they may be shown."""
    return without_password(value) if isinstance(value, str) else tuple(map(without_password, value))


def _size_text(num_bytes: int) -> str:
    text = _size(num_bytes)
    return text if text.isdigit() else f'"{text}"'


def _toml(value: Any) -> str:
    """Return a value in TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # its escapes are TOML's
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, msgspec.Struct):
        value = msgspec.to_builtins(value)
    if isinstance(value, dict):
        members = [f"{_toml(name)} = {_toml(one)}" for name, one in value.items() if one is not None]
        return f"{{ {', '.join(members)} }}" if members else "{}"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
