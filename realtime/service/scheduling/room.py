"""What the engine can hold at once: tokens in its KV cache, prompts to be read. Pure.

A prompt that waits inside the engine delays everybody behind it, so as much is let in as a step can read, and the rest
waits here, where its turn can be decided. A tenant of which the engine reads nothing always gets one prompt in: what is
stuck on its way delays its own tenant only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from realtime.engine.base import Capacity

from .forecast import Means
from .tickets import Ticket, Used

_SETTLING_SECONDS = 1.0  # after which a prompt that has not come to the engine is busy elsewhere


class Holding(msgspec.Struct, eq=False):
    """What one running response holds, as far as that is known.

    at: since when it runs, or runs again. number: of its place when it waited. ran: seconds before it was put aside.
    leaves: it is about to be put aside. num_aside: how often it was. aside_at: when, the last time. had: tokens that
    it had made when it was let in again. stepped_at: when its newest token was seen, since it was let in.
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

    def seconds(self, now: float) -> float:
        """How long it has run, without what it was put aside."""
        return self.ran + now - self.at


class Occupancy:
    """What all running ones hold, added up at one moment."""

    def __init__(self, capacity: Capacity, holdings: Iterable[Holding], means: Means, now: float) -> None:
        self._capacity = capacity
        self._means = means
        self._kept: Counter[str] = Counter()
        self._reading: Counter[str] = Counter()
        self._numbers: Counter[str] = Counter()
        for one in holdings:
            self._numbers[one.ticket.tenant] += 1
            self._kept[one.ticket.tenant] += self._num_kept(one)
            self._reading[one.ticket.tenant] += self._num_reading(one, now)
        self._num_kept_by_all = self._kept.total()
        self._num_reading_by_all = self._reading.total()

    def num_of(self, tenant: str) -> int:
        """How many of a tenant run."""
        return self._numbers[tenant]

    def tenant_may(self, ticket: Ticket, share: float) -> bool:
        """Whether its own tenant leaves room for it. `share`: what one tenant may take."""
        tenant, capacity = ticket.tenant, self._capacity
        reading = self._num_reading_by_all + self._num_new(ticket)
        if capacity.step_tokens and self._reading[tenant] and reading > capacity.step_tokens:
            return False
        held = self._kept[tenant]
        return not (capacity.kv_tokens and held and held + self._need(ticket) > capacity.kv_tokens * share)

    def fits(self, ticket: Ticket) -> bool:
        """Whether the cache holds it beside the others; alone it always does."""
        held, most = self._num_kept_by_all, self._capacity.kv_tokens
        return not (most and held and held + self._need(ticket) > most)

    def _need(self, ticket: Ticket) -> int:
        return self._num_new(ticket) + self._num_output(ticket)

    def _num_new(self, ticket: Ticket) -> int:
        """Tokens of a prompt that are not known yet, and not likely to be cached."""
        return int(ticket.num_input * self._means.new_of(ticket.tenant))

    def _num_output(self, ticket: Ticket) -> int:
        expected = self._means.output_of(ticket.tenant)
        return int(expected if ticket.max_output is None else min(expected, ticket.max_output))

    def _num_kept(self, one: Holding) -> int:
        """Tokens that one will have in the cache, which nobody else has."""
        used = one.used or Used()
        read = used.num_input - used.num_cached if used.num_output else self._num_new(one.ticket)
        return read + max(used.num_output, self._num_output(one.ticket))

    def _num_reading(self, one: Holding, now: float) -> int:
        """Tokens of its prompt that the engine has yet to read."""
        used = one.used or Used()
        if used.num_reading or used.num_output:
            return int(used.num_reading * self._means.new_of(one.ticket.tenant)) if used.num_reading else 0
        return self._num_new(one.ticket) if now - one.at < _SETTLING_SECONDS else 0
