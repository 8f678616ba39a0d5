"""Tickets: a response that wants to run, as the scheduler sees it. Pure."""

from __future__ import annotations

import msgspec

from realtime.runs.job import ServiceClass


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """A response that wants to run.

    group: responses of the same group run one at a time, in order. num_input: about how many tokens its prompt has,
    until they are known. max_output: the most tokens that it may generate; None: no limit of its own. prefixes: keys of
    what its prompt continues, any of which may be cached. leaves: keys under which its own tokens will be found in the
    cache. asked_at: when it came, on the clock of `now`. expires_at: when it has waited too long, on the same clock.
    """

    response_id: str
    tenant: str
    service_class: ServiceClass = ServiceClass.DEFAULT
    group: str | None = None
    num_input: int = 0
    max_output: int | None = None
    prefixes: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()
    asked_at: float = 0.0
    expires_at: float | None = None
