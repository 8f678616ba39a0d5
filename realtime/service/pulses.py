"""Pulses: the progress of responses, as `session.heartbeat` reports it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import UNSET, UnsetType

from realtime.runs.run import Run
from realtime.wire.events import PrefillTokens, Pulse

from .permits import queue_place
from .remote import Remote
from .scheduler import Scheduler


def pulses(runs: Iterable[Run], scheduler: Scheduler, prefill: Mapping[str, int], now: float) -> Iterator[Pulse]:
    """Yield the pulse of each of these runs. `prefill`: from EngineStats."""
    for run in runs:
        place = queue_place(scheduler, run.response_id, now)
        yield Pulse(
            response_id=run.response_id,
            status=run.response.status,
            num_ahead=None if place is None else place.num_ahead,
            idle_seconds=round(now - run.grown_at, 3),
            estimated_seconds=UNSET if place is None else place.estimated_seconds,
            put_aside=scheduler.is_put_aside(run.response_id) or UNSET,
            prefill_tokens=_prefill_tokens(run, prefill),
            usage=run.stages.used or UNSET,
        )


def remote_pulses(remotes: Iterable[Remote], now: float) -> Iterator[Pulse]:
    """Yield the pulse of each of these responses, as far as it is known here."""
    for remote in remotes:
        idle = round(now - remote.grown_at, 3)
        yield Pulse(response_id=remote.response_id, status=remote.response.status, num_ahead=None, idle_seconds=idle)


def _prefill_tokens(run: Run, read: Mapping[str, int]) -> PrefillTokens | UnsetType:
    found = run.stages.answering.prefilled(read)
    return UNSET if found is None else PrefillTokens(computed=found[0], total=found[1])
