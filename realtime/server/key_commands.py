"""`realtime keys ...`: make, list, limit and remove API keys in the keys file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from realtime.settings.flags import given_settings
from realtime.settings.tenants import TenantLimits

from .keys import KeyFile, read_keys, write_keys

_DEFAULT_FILE = "keys.json"


def add_keys(parser: argparse.ArgumentParser) -> None:
    """Give the command its actions."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name, run, text in [
        ("add", _add, "make a key and print it, this once"),
        ("list", _list, "print the names of the keys"),
        ("limit", _limit, "set the weight and limits of a key; a running server follows at once"),
        ("remove", _remove, "make a key invalid; a running server follows at once"),
    ]:
        action = actions.add_parser(name, help=text, description=text)
        action.set_defaults(run=run)
        if name != "list":
            action.add_argument("name", metavar="NAME", help="whose key it is; the owner of what it creates")
        if name == "limit":
            _add_limits(action)
        action.add_argument("--config", help=argparse.SUPPRESS)
        action.add_argument(
            "--api-keys-file",
            metavar="FILE",
            help=f"where the keys are [the server's setting, else {_DEFAULT_FILE}]",
        )


def _path(given: argparse.Namespace) -> Path:
    return Path(given_settings(given).settings.server.api_keys_file or _DEFAULT_FILE)


def _add(given: argparse.Namespace) -> int:
    path = _path(given)
    keys, key = (read_keys(path) if path.exists() else KeyFile()).add(given.name)
    write_keys(path, keys)
    print(key)
    print(
        f"Stored for {given.name} in {path}, as a hash: this is the only time that the key is shown.", file=sys.stderr
    )
    print(f"The server asks for keys when started with --api-keys-file {path}", file=sys.stderr)
    return 0


def _list(given: argparse.Namespace) -> int:
    for record in read_keys(_path(given)).keys:
        print(f"{record.name}\t{record.created_at}")
    return 0


def _add_limits(action: argparse.ArgumentParser) -> None:
    for name in TenantLimits.__struct_fields__:
        word = "priority,flex" if name == "tiers" else "NUMBER"
        action.add_argument(f"--{name.replace('_', '-')}", dest=f"limit_{name}", metavar=word, help="`none` for none")


def _limit(given: argparse.Namespace) -> int:
    path, changes = _path(given), dict[str, object]()
    for name in TenantLimits.__struct_fields__:
        text = getattr(given, f"limit_{name}")
        if text is not None:
            value = None if text == "none" else text
            changes[name] = [one for one in (value or "").split(",") if one] if name == "tiers" else value
    keys = read_keys(path).limit(given.name, changes)
    write_keys(path, keys)
    (record,) = (one for one in keys.keys if one.name == given.name)
    print(msgspec.json.encode(record.limits).decode())
    return 0


def _remove(given: argparse.Namespace) -> int:
    path = _path(given)
    write_keys(path, read_keys(path).remove(given.name))
    print(f"{given.name} has no key any more", file=sys.stderr)
    return 0
