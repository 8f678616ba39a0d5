"""Accounts: the service that tenants and classes have had, and the estimates learned from it. Pure.

Tokens are charged as they come. What is not known yet is charged as an estimate, and corrected later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from realtime.runs.job import ServiceClass
from realtime.runs.usage import UNUSED, Used
from realtime.settings.tenants import TenantLimits

from .allowances import Allowances
from .classes import SHARES
from .counters import Counters
from .forecast import Means
from .prefixes import Prefixes
from .room import Holding
from .tickets import Ticket

_NOTHING = (0.0, 0)


class Prices(msgspec.Struct, frozen=True):
    """The price of a token for its tenant: of one read in a prompt, and of one generated."""

    input: float = 1.0
    output: float = 2.0

    def of(self, used: Used) -> float:
        """Return the service for this usage. Cached tokens were not read."""
        return self.input * (used.num_input - used.num_cached) + self.output * used.num_output


class Accounts:
    """All accounts: virtual counters by tenant and by class, usage per minute, running means, and cached prefixes.
    `served`: the service that tenants have had here since it was last told to the other nodes, and emptied.
    """

    def __init__(self, prices: Prices, limits_of: Callable[[str], TenantLimits]) -> None:
        self.tenants: Counters[str] = Counters(lambda tenant: limits_of(tenant).weight)
        self.classes: Counters[ServiceClass] = Counters(SHARES.__getitem__)
        self.allowances = Allowances()
        self.served: dict[str, float] = {}
        self.means = Means()
        self._prefixes = Prefixes()
        self._reads_since: float | None = None  # when the engine began with what it reads now
        self._prices = prices
        self._limits_of = limits_of

    def is_warm(self, ticket: Ticket) -> bool:
        """Return whether the prefix that it continues is likely to be cached."""
        return self._prefixes.any_of(ticket.prefixes)

    def num_new(self, ticket: Ticket) -> float:
        """Return how many of its prompt's tokens are likely to be read rather than to come from the cache."""
        return ticket.num_input * self.means.new_of(ticket.tenant)

    def cost_of(self, ticket: Ticket) -> float:
        """Return what a response is likely to cost."""
        output = self.means.output_of(ticket.tenant)
        if ticket.max_output is not None:
            output = min(output, ticket.max_output)
        return self._prices.input * self.num_new(ticket) + self._prices.output * output

    def open(self, one: Holding, now: float) -> None:
        """Charge a response that is let in with the estimate for its prompt."""
        one.paid, one.counted = self._prices.input * self.num_new(one.ticket), one.ticket.num_input
        self._charge(one.ticket.tenant, one.ticket.service_class, one.paid, one.counted, now)
        if self._reads_since is None:
            self._reads_since = now

    def settle(
        self, holdings: Iterable[Holding], used_by: Callable[[str], Used | None], now: float
    ) -> list[Holding]:  # fmt: skip
        """Charge all usage since the last look. Return the responses that have used something."""
        found = [(one, used_by(one.ticket.response_id)) for one in holdings]
        if self.means.asks_for_pace:
            self._note_pace(found, now)
        changed: list[Holding] = []
        owed: dict[tuple[str, ServiceClass], tuple[float, int]] = {}  # charged together: many belong to few
        for one, used in found:
            if used is not None and used != one.used:
                changed.append(one)
                whose = one.ticket.tenant, one.ticket.service_class
                service, num_tokens = owed.get(whose, _NOTHING)
                more_service, more_tokens = self._take_in(one, used, now)
                owed[whose] = service + more_service, num_tokens + more_tokens
        for (tenant, service_class), (service, num_tokens) in owed.items():
            self._charge(tenant, service_class, service, num_tokens, now)
        return changed

    def pay(self, one: Holding, used: Used, now: float) -> None:
        """Charge the usage of one response so far; until its prompt is known, the estimate."""
        service, num_tokens = self._take_in(one, used, now)
        self._charge(one.ticket.tenant, one.ticket.service_class, service, num_tokens, now)

    def close(self, one: Holding, seconds: float, kv_tokens: int) -> None:
        """Learn from a response that is over. `seconds`: its running time. `kv_tokens`: the capacity of the engine's
        cache.
        """
        self.means.note(one.ticket.tenant, seconds, one.used or UNUSED)
        self.leave_cached(one, one.ticket.leaves, kv_tokens)

    def leave_cached(self, one: Holding, keys: Iterable[str], kv_tokens: int) -> None:
        """Note the keys under which the engine's cache is likely to have a response's prompt and answer."""
        used = one.used or UNUSED
        if used.num_output:
            self._prefixes.note(keys, used.num_input + used.num_output, kv_tokens)

    def _note_pace(self, found: Sequence[tuple[Holding, Used | None]], now: float) -> None:
        """Learn how fast tokens are read and generated, from usage since the last look that is not taken in yet."""
        num_read = sum(
            used.num_input - used.num_cached
            for one, used in found
            if used is not None and used.num_output and not (one.used or UNUSED).num_output
        )
        reads = any(used is not None and used.num_reading for _, used in found)
        if num_read:
            if self._reads_since is not None:
                self.means.note_reading(num_read, now - self._reads_since)
            self._reads_since = now if reads else None
        for one, used in found:
            if used is not None:
                self._note_steps(one, used, now, pure=not reads and not num_read)

    def _note_steps(self, one: Holding, used: Used, now: float, *, pure: bool) -> None:
        """Learn how fast tokens are generated, from those since the last look."""
        num_new = used.num_output - (one.used or UNUSED).num_output
        if one.stepped_at is not None and num_new and now > one.stepped_at:
            self.means.note_steps(now - one.stepped_at, num_new, pure=pure)
        if num_new or one.stepped_at is None:
            one.stepped_at = now

    def _take_in(self, one: Holding, used: Used, now: float) -> tuple[float, int]:
        """Note the usage of one response so far. Return the part that has not been charged: service and tokens."""
        if used.num_output and (one.used is None or not one.used.num_output):
            self.means.note_read(used.num_input - used.num_cached, now - one.at)
        service, num_tokens = self._prices.of(used), used.num_input + used.num_output
        owed = service - one.paid, num_tokens - one.counted
        one.used, one.paid, one.counted = used, service, num_tokens
        return owed

    def _charge(self, tenant: str, service_class: ServiceClass, service: float, num_tokens: int, now: float) -> None:
        limits = self._limits_of(tenant)
        self.tenants.add(tenant, service / limits.weight)
        self.served[tenant] = self.served.get(tenant, 0.0) + service
        self.classes.add(service_class, service / SHARES[service_class])
        self.allowances.take_tokens(tenant, limits, num_tokens, now)
