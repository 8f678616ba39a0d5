"""The principal: who is asking. Pure. Every call on the service carries one, so ownership can be checked everywhere."""

from __future__ import annotations

import msgspec

from realtime.wire.bodies import TicketRole
from realtime.wire.errors import not_permitted, response_not_found

LOCAL_TENANT = "local"


class Grant(msgspec.Struct, frozen=True):
    """A ticket's permission: to watch one response, or to control it as well, until `expires_at` (unix seconds)."""

    response_id: str
    role: TicketRole
    expires_at: int


class Principal(msgspec.Struct, frozen=True):
    """The owner of what a request creates, and the only one who may see it afterwards.

    tenant: the name of the API key, or "local" where the server asks for none.
    key_id: which key of that name was shown, and nothing from which it could be told; None: none was asked for.
    grant: a ticket was shown instead, which that key has issued; what it does not allow is refused.
    """

    tenant: str
    key_id: str | None = None
    grant: Grant | None = None

    @property
    def issuer(self) -> Principal:
        """Return who has issued the ticket; who shows no ticket is that himself."""
        return Principal(self.tenant, self.key_id) if self.grant is not None else self

    @property
    def only_watches(self) -> bool:
        """Return whether nothing that it does may have an effect."""
        return self.grant is not None and self.grant.role == "viewer"

    def check_owner(self) -> None:
        """Refuse with a ticket what is about more than one response, or makes or deletes one. Raises WireError."""
        if self.grant is not None:
            raise not_permitted("A ticket is for following one response: this needs an API key.")

    def check_sees(self, response_id: str) -> None:
        """Refuse with a ticket any response but its own, as if there were no other. Raises WireError."""
        if self.grant is not None and response_id != self.grant.response_id:
            raise response_not_found(response_id)

    def check_controls(self, response_id: str) -> None:
        """Refuse a viewer's ticket for anything that affects a response. Raises WireError."""
        self.check_sees(response_id)
        if self.only_watches:
            raise not_permitted(
                "A viewer's ticket is for watching: this needs a ticket of the role `full`, or an API key."
            )


LOCAL = Principal(LOCAL_TENANT)
