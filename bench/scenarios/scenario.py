"""A scenario: a server on the scripted engine, an action on it, and its figures."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any, Literal

import msgspec
import uvloop

from .. import servers
from ..measure import table

Extent = Literal["full", "quick", "tiny", "real"]
Kind = tuple[float, str]  # of a server: seconds between two steps of the engine, and what that says


class Scenario(msgspec.Struct, frozen=True):
    """One scenario. `measure` is given the server and the members of a size; the size `real` is for a server with a
    real engine. zero: the figures that are 0 in any size and on any machine.
    counted: the figure that says how many were looked at. tick: seconds between two steps of the
    scripted engine. weighs: it measures the server's memory, so nothing else may have run there.
    """

    text: str
    measure: Callable[..., Coroutine[Any, Any, dict[str, Any]]]
    sizes: Mapping[Extent, Mapping[str, Any]]
    zero: tuple[str, ...]
    counted: str
    tick: float = 0.02
    script: str = "clock"
    weighs: bool = False

    @property
    def kind(self) -> Kind:
        """Return the kind of server that it asks for."""
        return self.tick, self.script

    def run(self, size: Extent, server: servers.Server | None = None) -> dict[str, Any]:
        """Return its figures. server: None for one of its own."""
        with contextlib.nullcontext(server) if server is not None else serve(*self.kind) as used:
            return uvloop.run(self.measure(used, **self.sizes[size]))

    def show(self, figures: Mapping[str, Any], where: str = "") -> None:
        """Print its figures."""
        table(f"{self.text}{where and f' ({where})'}", ("figure", "value"), _rows(figures))


def serve(tick: float, script: str) -> contextlib.AbstractContextManager[servers.Server]:
    """Start a server of this kind."""
    return servers.scripted(hold=True, tick=tick, script=script)


def _rows(figures: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in figures.items():
        if isinstance(value, Mapping):
            yield from _rows(value, f"{before}{name} ")
        else:
            yield f"{before}{name}", value
