"""The sources of the settings: flags, then `REALTIME_*` variables, then the TOML file, then the defaults.

The one list of names is the fields of `fields.Settings`; flag, variable and TOML key follow from a field's name. A
value that can't be understood is refused with its source, its name, what is wrong and what is allowed: a server that
starts with half of what was asked is worse than one that does not start.
"""

from __future__ import annotations

import difflib
import json
import math
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
from msgspec import inspect

from .fields import GIB, KIB, MIB, Settings
from .tenants import TenantLimits

ENV_PREFIX = "REALTIME_"
CONFIG_VARIABLE = ENV_PREFIX + "CONFIG"
CLIENT_VARIABLES = frozenset({ENV_PREFIX + "URL", ENV_PREFIX + "API_KEY"})  # the clients' own, not ours to refuse
UNITS = {"KiB": KIB, "MiB": MIB, "GiB": GIB}


class SettingsError(ValueError):
    """An error: a setting can't be understood. The text is for the person at the terminal."""


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One setting: its place in `Settings`, and everything that its annotation says."""

    group: str  # "" for a field of Settings itself
    name: str
    annotation: Any  # for msgspec.convert, constraints included
    kinds: tuple[inspect.Type, ...]  # the bare types; several for a union
    default: Any
    doc: str
    hidden: bool
    unlisted: tuple[str, ...] = ()  # values that no help names
    secret: bool = False  # never shown, and no flag: command lines can be read by everybody
    url: bool = False  # may have a password in it, which is never shown

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def env(self) -> str:
        return ENV_PREFIX + self.name.upper()

    @property
    def toml(self) -> str:
        return f"{self.group}.{self.name}" if self.group else self.name

    @property
    def is_size(self) -> bool:
        return self.name.endswith("_bytes")

    @property
    def is_switch(self) -> bool:
        return self.is_a(inspect.BoolType)

    def is_a(self, kind: type[inspect.Type]) -> bool:
        return any(isinstance(each, kind) for each in self.kinds)


class Given(msgspec.Struct, frozen=True):
    """A value as it was given. `source` names the place and the name used there."""

    option: Option
    source: str
    raw: Any
    is_text: bool  # flags and variables are always text, TOML has types


class Effective(msgspec.Struct, frozen=True):
    """The settings in force, and where each came from (by option name)."""

    settings: Settings
    sources: dict[str, str]


def load(flags: Mapping[str, str], environ: Mapping[str, str], config: str | None = None) -> Effective:
    """Fill the settings from flags (by field name), variables and a TOML file. Raises SettingsError."""
    path = config or environ.get(CONFIG_VARIABLE)
    weakest_first = [*(_in_file(Path(path)) if path else ()), *_in_environment(environ), *_in_flags(flags)]
    groups: dict[str, dict[str, Any]] = {}
    sources = {option.name: "default" for option in options()}
    for given in weakest_first:
        groups.setdefault(given.option.group, {})[given.option.name] = _convert(given)
        sources[given.option.name] = given.source
    return Effective(_build(groups), sources)


def tenants_in(path: Path) -> dict[str, TenantLimits]:
    """Read a file's tenants again. Raises SettingsError, as for the whole file."""
    named = [given for given in _in_file(path) if given.option.toml == "scheduling.tenants"]
    return dict(_convert(named[0])) if named else {}


@cache
def options() -> tuple[Option, ...]:
    """Return every setting, in the order of the fields."""
    found = tuple(_options_of(Settings, ""))
    assert len({option.name for option in found}) == len(found), "names of settings must be unique across groups"
    return found


def _options_of(struct: type[msgspec.Struct], group: str) -> Iterator[Option]:
    hints = get_type_hints(struct, include_extras=True)
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    for field in info.fields:
        kind = field.type
        if isinstance(kind, inspect.StructType):
            yield from _options_of(kind.cls, field.name)
            continue
        meta = kind if isinstance(kind, inspect.Metadata) else inspect.Metadata(kind)
        yield Option(
            group=group,
            name=field.name,
            annotation=hints[field.name],
            kinds=tuple(_bare_kinds(meta)),
            default=field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory(),
            doc=(meta.extra_json_schema or {}).get("description", ""),
            hidden=bool((meta.extra or {}).get("hidden")),
            unlisted=(meta.extra or {}).get("unlisted", ()),
            secret=bool((meta.extra or {}).get("secret")),
            url=bool((meta.extra or {}).get("url")),
        )


def _bare_kinds(kind: inspect.Type) -> Iterator[inspect.Type]:
    """Yield the types of a union, without the wrappings that carry descriptions."""
    if isinstance(kind, inspect.Metadata):
        yield from _bare_kinds(kind.type)
    elif isinstance(kind, inspect.UnionType):
        for each in kind.types:
            yield from _bare_kinds(each)
    else:
        yield kind


def _in_flags(flags: Mapping[str, str]) -> Iterator[Given]:
    by_name = {option.name: option for option in options()}
    for name, raw in flags.items():
        yield Given(by_name[name], f"flag {by_name[name].flag}", raw, is_text=True)


def _in_environment(environ: Mapping[str, str]) -> Iterator[Given]:
    by_env = {option.env: option for option in options()}
    for name in sorted(environ):
        if not name.startswith(ENV_PREFIX) or name == CONFIG_VARIABLE or name in CLIENT_VARIABLES:
            continue
        if name not in by_env:
            raise SettingsError(f"variable {name} is not a setting{_nearest(name, [*by_env, CONFIG_VARIABLE])}")
        yield Given(by_env[name], f"variable {name}", environ[name], is_text=True)


def _in_file(path: Path) -> Iterator[Given]:
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"file {path} can't be read: {error}") from None
    by_toml = {option.toml: option for option in options()}
    groups = {option.group for option in options()} - {""}
    for key, raw in document.items():
        table = raw if key in groups and isinstance(raw, dict) else None
        entries = {f"{key}.{name}": value for name, value in table.items()} if table is not None else {key: raw}
        for name, value in entries.items():
            if name not in by_toml:
                raise SettingsError(f"file {path}: {name} is not a setting{_nearest(name, by_toml)}")
            yield Given(by_toml[name], f"file {path}, {name}", value, is_text=False)


def _nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that was probably meant. A TOML key in the wrong table counts by its last part."""
    by_last_part = {_last_part(entry): entry for entry in known}
    found = difflib.get_close_matches(_last_part(name), by_last_part, n=1)
    return f"; did you mean {by_last_part[found[0]]}?" if found else ""


def _last_part(name: str) -> str:
    return name.removeprefix(ENV_PREFIX).rpartition(".")[2].lower()


def _convert(given: Given) -> Any:
    option = given.option
    try:
        raw = _parse(option, given.raw) if given.is_text else given.raw
        if option.is_size and isinstance(raw, str):
            raw = _parse_size(raw)
        value = msgspec.convert(raw, option.annotation, strict=not given.is_text)
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError
    except ValueError as error:
        is_hidden = option.secret or option.url or "://" in str(given.raw)  # a URL may have a password in it
        what = "the value" if is_hidden else repr(given.raw)
        why = f" ({error})" if option.is_a(inspect.DictType) else ""  # much may be wrong in a table
        raise SettingsError(f"{given.source}: {what} can't be used; it must be {allowed_values(option)}{why}") from None
    return value


def _parse(option: Option, text: str) -> Any:
    """Turn text into a value that msgspec can convert."""
    if option.is_a(inspect.NoneType) and text.lower() in ("", "none"):
        return None
    if option.is_a(inspect.VarTupleType):
        return [entry.strip() for entry in text.split(",") if entry.strip()]
    if option.is_a(inspect.DictType):
        return json.loads(text)
    return text


def _parse_size(text: str) -> int | str:
    match = re.fullmatch(r"(\d+) ?(KiB|MiB|GiB)", text)
    return int(match[1]) * UNITS[match[2]] if match else text


def without_password(url: str) -> str:
    """Return a URL as it may be shown."""
    scheme, there, rest = url.partition("://")
    place = rest.rpartition("@")[2] if "@" in rest else rest
    return f"{scheme}{there}{'***@' if place != rest else ''}{place.partition('?')[0]}"


def _build(groups: Mapping[str, Mapping[str, Any]]) -> Settings:
    """Put the values in their places. The structs check conditions that concern several of them."""
    try:
        parts = {
            name: msgspec.structs.replace(getattr(Settings(), name), **values)
            for name, values in groups.items()
            if name
        }
    except ValueError as error:
        raise SettingsError(str(error)) from None
    return Settings(**groups.get("", {}), **parts)


def allowed_values(option: Option) -> str:
    """Return the allowed values of an option, in words."""
    words = " or ".join(_in_words(kind) for kind in option.kinds if not isinstance(kind, inspect.NoneType))
    if option.is_size:
        words += ", or with a unit: 64KiB, 16MiB, 1GiB"
    return words


def _in_words(kind: inspect.Type) -> str:
    match kind:
        case inspect.BoolType():
            return "true or false"
        case inspect.LiteralType():
            return "one of " + ", ".join(str(value) for value in kind.values)
        case inspect.IntType() | inspect.FloatType():
            limits = {"from": kind.ge, "above": kind.gt, "up to": kind.le, "below": kind.lt}
            noun = "a whole number" if isinstance(kind, inspect.IntType) else "a number"
            return " ".join([noun, *(f"{word} {limit:.10g}" for word, limit in limits.items() if limit is not None)])
        case inspect.VarTupleType():
            return "a list (in flags and variables: a,b,c)"
        case inspect.DictType():
            return "a table (in flags and variables: a JSON object)"
        case inspect.StrType():
            return "a text that is not empty" if kind.min_length else "a text"
        case _:
            raise TypeError(f"settings of the type {kind} have no words yet")
