"""All engines of a node: which serve, which are asked to come in, and which one a request goes to.

The engine that came in first is the reference: an answer that began on one engine continues only on engines alike.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from realtime.engine.base import EngineError
from realtime.engine.options import RemoteOptions
from realtime.observability.fleet_metrics import FleetMetrics

from .affinity import PrefixTable
from .choice import choose
from .endpoint import Endpoint
from .health import State
from .http import Address, Unreachable
from .introduction import Introduction, Unfit, introduce
from .member import Member

log = logging.getLogger("realtime.engine.remote")

_TICK_SECONDS = 0.25


class Members:
    """All engines of a node. `on_out`: called when one was put out; it may have come in again by then.

    tokens: of the introduction's text. facts: of the model's files here.
    """

    def __init__(
        self, addresses: Sequence[Address], key: str | None, options: RemoteOptions, metrics: FleetMetrics,
        on_out: Callable[[Member, str], None],
    ) -> None:  # fmt: skip
        self.all = [Member(index, Endpoint(address, key, options), metrics) for index, address in enumerate(addresses)]
        self.measure: Introduction | None = None
        self._tokens: Sequence[int] = ()
        self._vocab_size = 0
        self._limit: int | None = None
        self._facts: Mapping[str, Any] = {}
        self._options = options
        self._metrics = metrics
        self._on_out = on_out
        self._table = PrefixTable()
        self._numbers = itertools.count()
        self.show()

    @property
    def serving(self) -> list[Member]:
        """The members that are given requests."""
        return [member for member in self.all if member.serves]

    @property
    def max_model_len(self) -> int:
        """The context that is served: the reference's, or what the operator has limited it to."""
        assert self.measure is not None
        return min(self.measure.max_model_len, self._limit or self.measure.max_model_len)

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the reference."""
        assert self.measure is not None
        return self.measure.fingerprint(self._facts)

    def show(self) -> None:
        """Publish the states of all engines to `/ready` and the metrics."""
        self._metrics.views = tuple(member.view() for member in self.all)

    async def first(
        self, tokens: Sequence[int], vocab_size: int, facts: Mapping[str, Any], max_model_len: int | None
    ) -> Introduction:
        """Wait until one serves, for as long as it takes. max_model_len: the operator's limit. Raises EngineError when
        all have answered and none is fit.
        """
        self._tokens, self._vocab_size, self._facts, self._limit = tokens, vocab_size, facts, max_model_len
        while not self.serving:
            self.tick(time.monotonic())
            asked = [member.asked for member in self.all if member.asked is not None]
            if asked:
                await asyncio.wait(asked, timeout=_TICK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            elif all(member.health.state is State.UNFIT for member in self.all):
                raise EngineError(f"no engine can serve: {self.all[0].health.why}")
            else:
                await asyncio.sleep(_TICK_SECONDS)
        assert self.measure is not None
        return self.measure

    def tick(self, now: float) -> None:
        """Make the introductions and checks that are due."""
        for member in self.all:
            if member.asked is not None:
                continue
            if member.health.due(now):
                self._ask(member, self._admit(member))
            elif member.serves and now - member.checked_at >= self._options.engine_check_seconds:
                self._ask(member, self._check(member))
        self.show()

    async def suspect(self, member: Member) -> None:
        """Check one engine at once, and wait for the result."""
        if member.serves:
            if member.asked is None:
                self._ask(member, self._check(member))
            if member.asked is not None:
                await asyncio.wait([member.asked])

    def _ask(self, member: Member, work: Any) -> None:
        def done(task: asyncio.Task[None]) -> None:
            member.asked = None
            self.show()
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("engine not asked engine=%s", member.name, exc_info=error)
                member.refused(f"{type(error).__name__}: {error}", unfit=False)

        member.asked = asyncio.create_task(work, name=f"remote-engine-{member.name}")
        member.asked.add_done_callback(done)

    async def _admit(self, member: Member) -> None:
        try:
            known = await introduce(member.endpoint, self._tokens, self._vocab_size)
            self._check_context(known)
        except (Unreachable, Unfit) as error:
            before, unfit = member.health.why, isinstance(error, Unfit)
            member.refused(str(error), unfit=unfit)
            if str(error) != before:
                log.warning("engine does not serve engine=%s error=%s", member.name, error)
            return
        self.measure = self.measure or known
        member.introduction, member.alike = known, known == self.measure
        member.number = next(self._numbers)
        member.checked_at = time.monotonic()
        member.health.admitted(member.checked_at)
        log.info(
            "engine serves engine=%s model=%s version=%s goes_on=%s alike=%s",
            member.name, known.model, known.version, known.goes_on, member.alike,
        )  # fmt: skip

    def _check_context(self, known: Introduction) -> None:
        """Refuse an engine that can't hold what another one can: it would refuse answers, or cut them short."""
        if self.measure is not None and known.max_model_len < self.max_model_len:
            raise Unfit(
                f"its context is {known.max_model_len} tokens, and that of the first engine {self.max_model_len}: give "
                "this server --max-model-len with the smaller number"
            )

    async def _check(self, member: Member) -> None:
        if await member.check():
            self.put_out(member)

    def put_out(self, member: Member) -> None:
        """Note that an engine was put out."""
        log.warning("engine put out engine=%s error=%s", member.name, member.health.why)
        self.show()
        self._on_out(member, member.health.why or "")

    def choose(self, keys: Sequence[bytes], tried: Collection[Member], *, alike: bool) -> Member | None:
        """Choose an engine that was not tried. `alike`: one that can continue an answer. None: there is none."""
        now = time.monotonic()
        fit = [member for member in self.serving if member not in tried and (member.alike or not alike)]
        trusted = [member for member in fit if not member.health.is_doubtful(now)]
        able = {member.number: member for member in trusted or fit}
        held = self._table.held(keys, able)
        chosen = choose({number: len(member.held) for number, member in able.items()}, held)
        if chosen is None:
            return None
        member = able[chosen]
        self._metrics.placed.add(1, member.name, "prefix" if held[chosen] else "load")
        self._metrics.prefix_tokens.add(held[chosen])
        return member

    def note(self, keys: Sequence[bytes], member: Member) -> None:
        """Note that an engine has taken a prompt."""
        self._table.add(keys, member.number, frozenset(one.number for one in self.serving))

    async def close(self) -> None:
        """Stop all introductions and checks."""
        asked = [member.asked for member in self.all if member.asked is not None]
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        await asyncio.gather(*(member.endpoint.close() for member in self.all))
