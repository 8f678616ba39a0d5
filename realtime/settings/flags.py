"""The settings as flags of a command.

Flags are not listed here: they are the options of `sources`, which also interprets their text, so that a wrong value
reads the same whether it comes from a flag, a variable or the file.
"""

from __future__ import annotations

import argparse
import os
from itertools import groupby

from msgspec import inspect

from .sources import Effective, Option, load, options
from .text import shown, title

_METAVARS: dict[type[inspect.Type], str] = {
    inspect.IntType: "N",
    inspect.FloatType: "X",
    inspect.VarTupleType: "A,B,...",
    inspect.DictType: "JSON",
}


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Give a command the flags of all settings that are not secret."""
    parser.add_argument("--config", metavar="FILE", help="TOML file with settings (variable REALTIME_CONFIG)")
    parser.add_argument(
        "--print-config",
        action="store_true",
        help="print the settings that hold as a TOML file, each with where it comes from, and end",
    )
    for group, members in groupby(options(), key=lambda option: option.group):
        section = parser.add_argument_group(title(group)) if group else parser
        for option in members:
            if not option.secret:
                _add_option(section, option)


def _add_option(section: argparse._ActionsContainer, option: Option) -> None:
    default = shown(option, option.default)
    text = f"{option.doc} [{default}]" if default else option.doc
    help_text = argparse.SUPPRESS if option.hidden else text.replace("%", "%%")
    if option.is_switch:
        section.add_argument(option.flag, dest=option.name, action="store_const", const="true", help=help_text)
        negative = "--no-" + option.flag.removeprefix("--")
        hint = argparse.SUPPRESS if option.default is False else f"the opposite of {option.flag}"
        section.add_argument(negative, dest=option.name, action="store_const", const="false", help=hint)
    else:
        section.add_argument(option.flag, metavar=_metavar(option), help=help_text)


def _metavar(option: Option) -> str:
    for kind in option.kinds:
        if isinstance(kind, inspect.LiteralType):
            return "{" + ",".join(str(value) for value in kind.values if value not in option.unlisted) + "}"
    for kind_type, word in _METAVARS.items():
        if option.is_a(kind_type):
            return word
    return "TEXT"


def given_settings(given: argparse.Namespace) -> Effective:
    """Return the settings that hold with these flags. Raises SettingsError."""
    values = {option.name: getattr(given, option.name, None) for option in options()}
    return load({name: text for name, text in values.items() if text is not None}, os.environ, given.config)
