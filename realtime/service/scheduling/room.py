"""The engine's room: tokens in its KV cache, and prompts to be read. Pure.

A prompt that waits inside the engine delays everybody behind it. So only as many prompts are let in as one step can
read, and the rest waits here, where the order can still be decided. A tenant for which the engine is reading nothing
may always send one prompt in: one that is stuck on its way there delays its own tenant only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from realtime.engine.base import Capacity
from realtime.runs.usage import UNUSED, Used

from .forecast import Means
from .tickets import Ticket

_SETTLING_SECONDS = 1.0  # after which a prompt that has not come to the engine is busy elsewhere


class Holding(msgspec.Struct, eq=False):
    """The resources that one running response holds, as far as they are known.

    at: when it began to run, or to run again. number: its ticket's number while it waited. ran: seconds that it ran
    before it was put aside. leaves: it is about to be put aside. num_aside: how often it was put aside. aside_at: when
    it was put aside last. had: tokens that it had generated when it was let in again. stepped_at: when its newest token
    was seen, since it was let in. num_kept, num_reading: its part in the last computed occupancy.
    """

    ticket: Ticket
    at: float
    used: Used | None = None
    paid: float = 0.0  # service that its tenant was charged for it ...
    counted: int = 0  # ... and tokens that count into its minute
    number: int = 0
    ran: float = 0.0
    leaves: bool = False
    num_aside: int = 0
    aside_at: float = 0.0
    had: int = 0
    stepped_at: float | None = None
    num_kept: int = 0
    num_reading: int = 0

    def seconds(self, now: float) -> float:
        """Return how long it has run, without the time when it was put aside."""
        return self.ran + now - self.at


class _Sums(msgspec.Struct):
    num: int = 0
    num_kept: int = 0
    num_reading: int = 0


class Occupancy:
    """The resources that a number of responses hold together."""

    def __init__(self, capacity: Callable[[], Capacity], means: Means) -> None:
        self._capacity = capacity
        self._means = means
        self._all = _Sums()
        self._of: dict[str, _Sums] = {}  # by tenant

    @property
    def num(self) -> int:
        """Return how many responses run."""
        return self._all.num

    def imagine(self, holdings: Iterable[Holding], now: float) -> Occupancy:
        """Return the occupancy if exactly these ran."""
        imagined = Occupancy(self._capacity, self._means)
        for one in holdings:
            imagined._count(one.ticket.tenant, 1, *self._amounts(one, now))
        return imagined

    def add_up(self, holdings: Iterable[Holding], now: float) -> None:
        """Start over with these."""
        self._all, self._of = _Sums(), {}
        for one in holdings:
            self.add(one, now)

    def add(self, one: Holding, now: float) -> None:
        """Add one response."""
        one.num_kept, one.num_reading = kept, reading = self._amounts(one, now)
        self._count(one.ticket.tenant, 1, kept, reading)

    def remove(self, one: Holding) -> None:
        """Remove one response."""
        tenant = one.ticket.tenant
        self._count(tenant, -1, -one.num_kept, -one.num_reading)
        if not self._of[tenant].num:  # names come and go
            del self._of[tenant]

    def update(self, one: Holding, now: float) -> None:
        """Update what one response holds."""
        kept, reading = self._amounts(one, now)
        if kept != one.num_kept or reading != one.num_reading:
            self._count(one.ticket.tenant, 0, kept - one.num_kept, reading - one.num_reading)
            one.num_kept, one.num_reading = kept, reading

    def _count(self, tenant: str, num: int, num_kept: int, num_reading: int) -> None:
        of_tenant = self._of.get(tenant)
        if of_tenant is None:
            of_tenant = self._of[tenant] = _Sums()
        for sums in (of_tenant, self._all):
            sums.num += num
            sums.num_kept += num_kept
            sums.num_reading += num_reading

    def num_of(self, tenant: str) -> int:
        """Return how many of a tenant's responses run."""
        sums = self._of.get(tenant)
        return 0 if sums is None else sums.num

    def tenant_may(self, ticket: Ticket, share: float) -> bool:
        """Return whether its own tenant leaves room for it. `share`: the part that one tenant may take."""
        sums = self._of.get(ticket.tenant)
        if sums is None:
            return True
        capacity, held = self._capacity(), sums.num_kept
        most = capacity.step_tokens
        if most and sums.num_reading and self._all.num_reading + self._num_new(ticket) > most:
            return False
        return not (capacity.kv_tokens and held and held + self._need(ticket) > capacity.kv_tokens * share)

    def fits(self, ticket: Ticket) -> bool:
        """Return whether the cache can hold it together with the others. By itself it always fits."""
        held, most = self._all.num_kept, self._capacity().kv_tokens
        return not (most and held and held + self._need(ticket) > most)

    def _need(self, ticket: Ticket) -> int:
        return self._num_new(ticket) + self._num_output(ticket)

    def _num_new(self, ticket: Ticket) -> int:
        """Return the tokens of a prompt that are not counted yet and not likely to be cached."""
        return int(ticket.num_input * self._means.new_of(ticket.tenant))

    def _num_output(self, ticket: Ticket) -> int:
        expected = self._means.output_of(ticket.tenant)
        return int(expected if ticket.max_output is None else min(expected, ticket.max_output))

    def _amounts(self, one: Holding, now: float) -> tuple[int, int]:
        """Return the cached tokens that will be one response's alone, and those of its prompt that the engine has yet
        to read.
        """
        used, ticket = one.used or UNUSED, one.ticket
        read = used.num_input - used.num_cached if used.num_output else self._num_new(ticket)
        if used.num_reading:
            reading = int(used.num_reading * self._means.new_of(ticket.tenant))
        elif used.num_output or now - one.at >= _SETTLING_SECONDS:
            reading = 0
        else:
            reading = read
        return read + max(used.num_output, self._num_output(ticket)), reading
