"""Answers that are put aside: a batch answer makes room for an interactive one that waits, and continues later. Pure.

An answer that is put aside waits at its old position in its tenant's line, and gets its place back by the same rules as
all. What it has used is paid, and is not charged again. It ages: it is put aside only so many times, and after some
time it goes before all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from realtime.runs.job import ServiceClass
from realtime.runs.usage import UNUSED

from .room import Holding
from .tickets import Ticket


class AsideRules(msgspec.Struct, frozen=True):
    """Rules of putting aside: how often one answer may be (0: never), and the seconds after which it goes before all
    others.
    """

    max_times: int = 3
    max_seconds: float = 60.0


class PutAside:
    """The responses that are put aside. may: whether a running response can be put aside now, and continue exactly."""

    def __init__(self, rules: AsideRules, may: Callable[[str], bool]) -> None:
        self._rules = rules
        self._may = may
        self._held: dict[str, Holding] = {}

    def __contains__(self, response_id: str) -> bool:
        return response_id in self._held

    def __len__(self) -> int:
        return len(self._held)

    def add(self, one: Holding, now: float) -> Ticket:
        """Put a response aside. Return the ticket with which it waits."""
        used, ticket = one.used or UNUSED, one.ticket
        one.ran += now - one.at
        one.aside_at, one.leaves = now, False
        one.num_aside += 1
        self._held[ticket.response_id] = one
        max_output = None if ticket.max_output is None else max(0, ticket.max_output - used.num_output)
        return msgspec.structs.replace(
            ticket, group=None, num_input=(used.num_input or ticket.num_input) + used.num_output,
            max_output=max_output, prefixes=(ticket.response_id, *ticket.prefixes), expires_at=None,
        )  # fmt: skip

    def num_of(self, tenant: str) -> int:
        """Return how many of a tenant's responses are put aside."""
        return sum(one.ticket.tenant == tenant for one in self._held.values())

    def take(self, response_id: str, now: float) -> Holding | None:
        """Let a response that was put aside continue. Return None if it was not."""
        one = self._held.pop(response_id, None)
        if one is not None:
            one.at, one.stepped_at = now, None
            one.had = (one.used or UNUSED).num_output
        return one

    def overdue(self, now: float) -> Iterator[str]:
        """Yield the ids of responses that have been put aside for long enough, the oldest first."""
        for response_id, one in self._held.items():
            if now - one.aside_at >= self._rules.max_seconds:
                yield response_id

    def most_willing(self, running: Iterable[Holding], served: Callable[[str], float]) -> list[Holding]:
        """Return the responses that may be put aside now: first those of the tenant served most, the latest first."""
        found = [one for one in running if self._may_be(one)]
        return sorted(found, key=lambda one: (-served(one.ticket.tenant), -one.at, -one.number))

    def _may_be(self, one: Holding) -> bool:
        if one.ticket.service_class is not ServiceClass.BATCH or one.leaves or one.num_aside >= self._rules.max_times:
            return False
        has_gone_on = not one.num_aside or (one.used or UNUSED).num_output > one.had
        return has_gone_on and self._may(one.ticket.response_id)
