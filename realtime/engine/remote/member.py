"""One engine of several: its endpoint, its health, and this server's generations on it."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Protocol

from realtime.engine.backoff import Backoff
from realtime.observability.fleet_metrics import EngineView, FleetMetrics

from .endpoint import Endpoint
from .health import Health, State
from .http import NotServing, Unreachable
from .introduction import Introduction


class Held(Protocol):
    """A generation that an engine has."""

    def give_up_engine(self, kind: str, why: str) -> None:
        """Detach it from its engine, which has failed."""


class Member:
    """One engine of several. `number`: its number in the prefix table; a new one whenever it comes in, as its cache is
    empty.
    """

    def __init__(self, index: int, endpoint: Endpoint, metrics: FleetMetrics) -> None:
        self.index = index
        self.endpoint = endpoint
        self.health = Health(Backoff(), time.monotonic())
        self.introduction: Introduction | None = None
        self.number = -1
        self.alike = True
        self.held: set[Held] = set()
        self.asked: asyncio.Task[None] | None = None  # the introduction or check that is under way
        self.checked_at = 0.0
        self._since = time.time()
        self._state = self.health.state
        self._metrics = metrics

    @property
    def name(self) -> str:
        """Its label in metrics and in the log."""
        return str(self.index)

    def view(self) -> EngineView:
        """Return its state, for `/ready`."""
        if self._state is not self.health.state:
            self._state, self._since = self.health.state, time.time()
        known = self.introduction
        return EngineView(
            state=self.health.state.value, since=self._since, requests=len(self.held), last_error=self.health.why,
            alike=self.alike, goes_on=known is not None and known.goes_on,
        )  # fmt: skip

    def refused(self, why: str, *, unfit: bool) -> None:
        """Note that it has not come in."""
        self.health.refused(why, time.monotonic(), unfit=unfit, jitter=random.random() * Backoff().jitter)

    def failed(self, kind: str, why: str, *, surely: bool = False) -> bool:
        """Note that it has failed. Return whether that put it out."""
        now = time.monotonic()
        self._metrics.failures.add(1, self.name, kind)
        if kind != "check":
            self.health.doubt(now)
        if kind == "refused":
            return False  # what it says of a request may be the request's fault
        out = self.health.failed(why, now, check=kind == "check", surely=surely)
        if out:
            self._metrics.ejections.add(1, self.name)
        return out

    async def check(self) -> bool:
        """Check its health. Return whether that put it out."""
        self.checked_at = time.monotonic()
        try:
            await self.endpoint.check()
        except NotServing as error:
            return self.failed("check", str(error), surely=True)
        except Unreachable as error:
            return self.failed("check", str(error))
        self.health.passed()
        return False

    @property
    def serves(self) -> bool:
        """Return whether it is given requests."""
        return self.health.state is State.SERVING
