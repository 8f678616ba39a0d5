"""`python -m realtime doctor`: look at everything, say what is wrong, and what to do."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable, Iterator

import msgspec

from realtime.settings.fields import Settings

from .access import look_at_access
from .cluster import look_at_cluster
from .engines import look_at_engines
from .finding import Finding, in_lines
from .machine import find_gpus, look_at_machine
from .model import look_at_model
from .packages import look_at_packages
from .proxy import visit

KEY_VARIABLE = "REALTIME_API_KEY"


def examine(settings: Settings) -> list[Finding]:
    """Check what a start needs. Starts nothing, and leaves nothing changed."""
    return [*examine_engine(settings), *look_at_access(settings), *look_at_cluster(settings)]


def examine_engine(settings: Settings) -> Iterator[Finding]:
    """Check what the engine needs."""
    yield from look_at_machine(settings)
    if settings.engine == "vllm":
        gpus = find_gpus()
        yield from look_at_packages(gpus)
        yield from look_at_model(settings.vllm, gpus)
    elif settings.engine == "remote":
        yield from look_at_packages((), uses_device=False)
        yield from look_at_model(settings.vllm, (), uses_weights=False)
        yield from look_at_engines(settings)


def doctor(settings: Settings, *, url: str | None, idle_seconds: float, as_json: bool) -> int:
    """Print the findings, and return the exit status: 1 if there is an error. url: the URL by which clients reach the
    server.
    """
    found = examine(settings)
    if url is not None:
        found += asyncio.run(_visited(url, settings, idle_seconds))
    if as_json:
        report = {"ok": not any(one.level == "error" for one in found), "findings": found}
        print(msgspec.json.format(msgspec.json.encode(report)).decode())
    else:
        print(in_lines(found))
    return int(any(one.level == "error" for one in found))


def explain(settings: Settings) -> None:
    """Print on stderr the likely reasons why the engine did not start."""
    _say_why(examine_engine(settings))


def explain_cluster(settings: Settings) -> None:
    """Print on stderr the likely reasons why the node did not join its cluster."""
    _say_why(look_at_cluster(settings))


def _say_why(found: Iterable[Finding]) -> None:
    bad = [one for one in found if one.is_bad]
    if bad:
        width = max(len(one.name) for one in bad)
        lines = "\n".join(one.line(width) for one in bad)
        print(f"realtime: this may be why:\n{lines}\n`realtime doctor` looks at all of it.", file=sys.stderr)


async def _visited(url: str, settings: Settings, idle_seconds: float) -> list[Finding]:
    key = os.environ.get(KEY_VARIABLE)
    return [one async for one in visit(url, key, settings.connections, idle_seconds)]
