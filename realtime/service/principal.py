"""Who is asking. Pure. Every call on the service carries a principal, so ownership can be checked everywhere."""

from __future__ import annotations

import msgspec

LOCAL_TENANT = "local"


class Principal(msgspec.Struct, frozen=True):
    """The owner of what a request creates, and the only one who may see it afterwards.

    tenant: the name of the API key, or "local" where the server asks for none.
    key_id: which key of that name was shown, and nothing from which it could be told; None: none was asked for.
    """

    tenant: str
    key_id: str | None = None


LOCAL = Principal(LOCAL_TENANT)
