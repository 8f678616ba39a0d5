"""The family of the served model, as the settings name it: a row of the table, a file of the operator's, or vLLM's
parsers for a family that the table lacks.
"""

from __future__ import annotations

import difflib
from pathlib import Path

import msgspec

from realtime.dialects.markup.detect import ALL_FAMILIES
from realtime.dialects.markup.family import Family, read_family
from realtime.dialects.markup.named import BY_TEMPLATE, NOTHING, FamilyChoice, calls_named, thinking_named
from realtime.engine.options import VllmOptions
from realtime.settings.sources import SettingsError

_NO_NAMES = ("auto", "none")


def family_choice(options: VllmOptions) -> FamilyChoice:
    """Return the settings' choice of a family. Raises SettingsError."""
    chosen = FamilyChoice(row=_row(options.family))
    if _foreign(options):
        return BY_TEMPLATE  # nothing is read by it
    if options.tool_parser != "auto":
        chosen = msgspec.structs.replace(chosen, calls=calls_named(options.tool_parser) or ())
    if options.reasoning_parser != "auto":
        chosen = msgspec.structs.replace(chosen, thinking=thinking_named(options.reasoning_parser) or ())
    return chosen


def for_engine(options: VllmOptions) -> VllmOptions:
    """Return the engine's options: it loads parsers only for names that the table lacks."""
    if _foreign(options):
        return options
    return msgspec.structs.replace(options, tool_parser="auto", reasoning_parser="auto")


def _foreign(options: VllmOptions) -> bool:
    """Return whether the settings name a parser for which the table has no row."""
    tool, reasoning = options.tool_parser, options.reasoning_parser
    return (tool not in _NO_NAMES and calls_named(tool) is None) or (
        reasoning not in _NO_NAMES and thinking_named(reasoning) is None
    )


def _row(name: str) -> Family | None:
    """Return the row of this name, or from this file; None: the template shows it."""
    if name == "auto":
        return None
    if name == "none":
        return NOTHING
    if name.endswith(".toml") or "/" in name:
        return _read(Path(name))
    if name in ALL_FAMILIES:
        return ALL_FAMILIES[name]
    near = difflib.get_close_matches(name, ALL_FAMILIES, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    known = ", ".join(sorted(ALL_FAMILIES))
    raise SettingsError(f"--family: there is no family {name!r}{hint}: give auto, none, a TOML file, or one of {known}")


def _read(path: Path) -> Family:
    try:
        return read_family(path.expanduser().read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"--family: the file {path} can't be read: {error}") from None
