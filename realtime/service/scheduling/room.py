"""The engine's room: tokens in its KV cache, and prompts to be read. Pure.

A prompt that waits inside the engine delays everybody behind it. So only as many prompts are let in as one step can
read, and the rest waits here, where the order can still be decided. A tenant for which the engine is reading nothing
may always send one prompt in: one that is stuck on its way there delays its own tenant only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import msgspec

from realtime.engine.base import Capacity

from .forecast import Means
from .tickets import Ticket, Used

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


class Occupancy:
    """The resources that a number of responses hold together."""

    def __init__(self, capacity: Callable[[], Capacity], means: Means) -> None:
        self.num = 0
        self._capacity = capacity
        self._means = means
        self._numbers: Counter[str] = Counter()
        self._kept: Counter[str] = Counter()
        self._reading: Counter[str] = Counter()
        self._num_kept_by_all = 0
        self._num_reading_by_all = 0

    def imagine(self, holdings: Iterable[Holding], now: float) -> Occupancy:
        """Return the occupancy if exactly these ran."""
        imagined = Occupancy(self._capacity, self._means)
        for one in holdings:
            tenant = one.ticket.tenant
            imagined._join(tenant, 1)
            imagined._count(tenant, self._kept_by(one), self._reading_by(one, now))
        return imagined

    def add_up(self, holdings: Iterable[Holding], now: float) -> None:
        """Start over with these."""
        for counts in (self._numbers, self._kept, self._reading):
            counts.clear()
        self.num = self._num_kept_by_all = self._num_reading_by_all = 0
        for one in holdings:
            self.add(one, now)

    def add(self, one: Holding, now: float) -> None:
        """Add one response."""
        one.num_kept, one.num_reading = self._kept_by(one), self._reading_by(one, now)
        self._join(one.ticket.tenant, 1)
        self._count(one.ticket.tenant, one.num_kept, one.num_reading)

    def remove(self, one: Holding) -> None:
        """Remove one response."""
        tenant = one.ticket.tenant
        self._join(tenant, -1)
        self._count(tenant, -one.num_kept, -one.num_reading)
        if not self._numbers[tenant]:  # names come and go
            del self._numbers[tenant], self._kept[tenant], self._reading[tenant]

    def update(self, one: Holding, now: float) -> None:
        """Update what one response holds."""
        kept, reading = self._kept_by(one), self._reading_by(one, now)
        if kept != one.num_kept or reading != one.num_reading:
            self._count(one.ticket.tenant, kept - one.num_kept, reading - one.num_reading)
            one.num_kept, one.num_reading = kept, reading

    def _join(self, tenant: str, number: int) -> None:
        self.num += number
        self._numbers[tenant] += number

    def _count(self, tenant: str, num_kept: int, num_reading: int) -> None:
        self._kept[tenant] += num_kept
        self._reading[tenant] += num_reading
        self._num_kept_by_all += num_kept
        self._num_reading_by_all += num_reading

    def num_of(self, tenant: str) -> int:
        """Return how many of a tenant's responses run."""
        return self._numbers[tenant]

    def tenant_may(self, ticket: Ticket, share: float) -> bool:
        """Return whether its own tenant leaves room for it. `share`: the part that one tenant may take."""
        tenant, capacity = ticket.tenant, self._capacity()
        reading = self._num_reading_by_all + self._num_new(ticket)
        if capacity.step_tokens and self._reading[tenant] and reading > capacity.step_tokens:
            return False
        held = self._kept[tenant]
        return not (capacity.kv_tokens and held and held + self._need(ticket) > capacity.kv_tokens * share)

    def fits(self, ticket: Ticket) -> bool:
        """Return whether the cache can hold it together with the others. By itself it always fits."""
        held, most = self._num_kept_by_all, self._capacity().kv_tokens
        return not (most and held and held + self._need(ticket) > most)

    def _need(self, ticket: Ticket) -> int:
        return self._num_new(ticket) + self._num_output(ticket)

    def _num_new(self, ticket: Ticket) -> int:
        """Return the tokens of a prompt that are not counted yet and not likely to be cached."""
        return int(ticket.num_input * self._means.new_of(ticket.tenant))

    def _num_output(self, ticket: Ticket) -> int:
        expected = self._means.output_of(ticket.tenant)
        return int(expected if ticket.max_output is None else min(expected, ticket.max_output))

    def _kept_by(self, one: Holding) -> int:
        """Return the cached tokens that will be this response's alone."""
        used = one.used or Used()
        read = used.num_input - used.num_cached if used.num_output else self._num_new(one.ticket)
        return read + max(used.num_output, self._num_output(one.ticket))

    def _reading_by(self, one: Holding, now: float) -> int:
        """Return the tokens of its prompt that the engine has yet to read."""
        used = one.used or Used()
        if used.num_reading or used.num_output:
            return int(used.num_reading * self._means.new_of(one.ticket.tenant)) if used.num_reading else 0
        return self._num_new(one.ticket) if now - one.at < _SETTLING_SECONDS else 0
