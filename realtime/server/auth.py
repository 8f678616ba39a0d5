"""Credentials: the API key of a request, and its owner.

`admission` checks them before anything else is done for a request. Pure functions over headers; a `KeyRing`, which
follows its file, knows the keys. OpenAI's guides say where a client puts the key: in the bearer header for the
Responses API, and in browsers for the Realtime API in `openai-insecure-api-key.<key>` as a sub-protocol, because a page
can't set headers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from realtime.connection.profiles import KEY_SUBPROTOCOL
from realtime.service.principal import LOCAL, Principal
from realtime.settings.fields import Settings
from realtime.wire.bodies import TICKET_SUBPROTOCOL
from realtime.wire.errors import ErrorCode, WireError

from .keys import KeyRing
from .listening import program
from .origins import is_loopback
from .tickets import TICKET_PREFIX, Tickets

_MISSING = "This server asks for an API key, as `Authorization: Bearer <key>` or `api-key: <key>`."
_SEVERAL = "The request carries several API keys that differ; send one."
_INVALID = "The API key is not valid on this server."


def authenticate(
    ring: KeyRing | None,
    headers: Mapping[str, str],
    subprotocols: Sequence[str] = (),
    *,
    tickets: Tickets | None = None,
) -> Principal:
    """Return the principal. Without a key ring everybody is the same local principal, whatever they send, except that
    tickets allow less.

    `headers` has lower-case names, or looks names up without regard to case. Raises WireError, whose text holds nothing
    that the client sent.
    """
    keys = set(_credentials(headers, subprotocols))
    shown = {key for key in keys if key.startswith(TICKET_PREFIX)}
    if ring is None and not shown:
        return LOCAL
    if not keys:
        raise WireError(ErrorCode.MISSING_API_KEY, _MISSING)
    if len(keys) > 1:
        raise WireError(ErrorCode.INVALID_API_KEY, _SEVERAL)
    if shown and tickets is not None:
        return tickets.read(shown.pop())
    principal = ring.find(keys.pop()) if ring is not None else None
    if principal is None:
        raise WireError(ErrorCode.INVALID_API_KEY, _INVALID)
    return principal


def _credentials(headers: Mapping[str, str], subprotocols: Iterable[str]) -> Iterable[str]:
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer":
        yield token.strip()
    for name in ("api-key", "x-api-key"):  # Azure's clients of OpenAI's API, Anthropic's of theirs
        if key := headers.get(name):
            yield key.strip()
    for offer in subprotocols:
        if offer.startswith(KEY_SUBPROTOCOL):
            yield offer[len(KEY_SUBPROTOCOL) :]
        elif offer.startswith(TICKET_SUBPROTOCOL):
            ticket = offer[len(TICKET_SUBPROTOCOL) :]
            yield ticket if ticket.startswith(TICKET_PREFIX) else TICKET_PREFIX + ticket  # which is invalid


def exposure_warning(settings: Settings) -> str | None:
    """Return a warning for the start when the server is open to people who need no key."""
    server = settings.server
    if server.api_keys_file or is_loopback(server.host):
        return None
    return (
        f"OPEN SERVER: {server.host} can be reached from other machines and no API key is asked for. Anybody who can "
        f"reach it can use it and fill it. Make a key with `{program()} keys add NAME` and serve with "
        "--api-keys-file, or listen on 127.0.0.1."
    )
