"""A count of a tenant's forgotten data. Pure."""

from __future__ import annotations

import msgspec


class Forgotten(msgspec.Struct, frozen=True):
    """A count of what was forgotten. Zeros: there is nothing left here."""

    num_responses: int = 0
    num_conversations: int = 0

    def __add__(self, other: Forgotten) -> Forgotten:
        return Forgotten(
            self.num_responses + other.num_responses, self.num_conversations + other.num_conversations
        )  # fmt: skip

    def __bool__(self) -> bool:
        return self.num_responses + self.num_conversations > 0
