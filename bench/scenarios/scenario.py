"""A scenario: a server on the scripted engine, something that is done to it, and its figures."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any, Literal

import msgspec
import uvloop

from .. import servers
from ..measure import table

Size = Literal["full", "quick", "tiny"]


class Scenario(msgspec.Struct, frozen=True):
    """`measure` is given the server and the members of a size. tick: seconds between two steps of the engine."""

    text: str
    measure: Callable[..., Coroutine[Any, Any, dict[str, Any]]]
    sizes: Mapping[Size, Mapping[str, Any]]
    tick: float = 0.02
    script: str = "clock"

    def run(self, quick: bool) -> dict[str, Any]:
        """Its figures, with a server of its own."""
        return self.run_in_size("quick" if quick else "full")

    def run_in_size(self, size: Size) -> dict[str, Any]:
        """As `run`; tests ask for `tiny`."""
        with servers.scripted(hold=True, tick=self.tick, script=self.script) as server:
            return uvloop.run(self.measure(server, **self.sizes[size]))

    def show(self, figures: Mapping[str, Any]) -> None:
        """Print them."""
        table(self.text, ("figure", "value"), _rows(figures))


def _rows(figures: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in figures.items():
        if isinstance(value, Mapping):
            yield from _rows(value, f"{before}{name} ")
        else:
            yield f"{before}{name}", value
