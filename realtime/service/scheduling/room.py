"""What the engine can hold at once: requests, tokens in its KV cache, prompts to be read. Pure.

A prompt that waits inside the engine delays everybody behind it, so as much is let in as a step can read, and the rest
waits here, where its turn can be decided. A tenant of which the engine reads nothing always gets one prompt in: what is
stuck on its way delays its own tenant only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from .tickets import Ticket, Used

_SETTLING_SECONDS = 1.0  # after which a prompt that has not come to the engine is busy elsewhere


class Room(msgspec.Struct, frozen=True):
    """The engine's. 0: not known, or no limit."""

    max_requests: int = 0
    kv_tokens: int = 0
    step_tokens: int = 0  # of prompts, in one step


class Holding(msgspec.Struct):
    """What one running response holds, as far as that is known."""

    ticket: Ticket
    at: float
    used: Used | None = None
    paid: float = 0.0  # service that its tenant was charged for it ...
    counted: int = 0  # ... and tokens that count into its minute

    def num_reading(self, now: float) -> int:
        """Tokens of its prompt that the engine has yet to read."""
        if self.used is not None and (self.used.num_reading or self.used.num_output):
            return self.used.num_reading
        return self.ticket.num_input if now - self.at < _SETTLING_SECONDS else 0

    def num_kept(self, expected_output: float) -> float:
        """Tokens that it will have in the cache."""
        used = self.used or Used()
        limit = self.ticket.max_output
        expected = expected_output if limit is None else min(expected_output, limit)
        return max(used.num_input or self.ticket.num_input, 0) + max(used.num_output, expected)


class Occupancy:
    """What all running ones hold, added up at one moment. `expected_output`: of one response, in tokens."""

    def __init__(self, room: Room, holdings: Iterable[Holding], expected_output: float, now: float) -> None:
        self._room = room
        self._expected = expected_output
        self._kept: Counter[str] = Counter()
        self._reading: Counter[str] = Counter()
        self._num_kept = 0
        self._num_reading = 0
        for one in holdings:
            kept, reading = int(one.num_kept(expected_output)), one.num_reading(now)
            self._kept[one.ticket.tenant] += kept
            self._reading[one.ticket.tenant] += reading
            self._num_kept += kept
            self._num_reading += reading

    def tenant_may(self, ticket: Ticket, share: float) -> bool:
        """Whether its own tenant leaves room for it. `share`: what one tenant may take."""
        tenant, room = ticket.tenant, self._room
        if room.step_tokens and self._reading[tenant] and self._num_reading + ticket.num_input > room.step_tokens:
            return False
        held = self._kept[tenant]
        return not (room.kv_tokens and held and held + self._need(ticket) > room.kv_tokens * share)

    def fits(self, ticket: Ticket) -> bool:
        """Whether the cache holds it beside the others; alone it always does."""
        room = self._room
        return not (room.kv_tokens and self._num_kept and self._num_kept + self._need(ticket) > room.kv_tokens)

    def _need(self, ticket: Ticket) -> float:
        limit = ticket.max_output
        return ticket.num_input + (self._expected if limit is None else min(self._expected, limit))
