"""Tickets: a page shows one in place of an API key, to follow one response for a short time.

A ticket says for which response it is, in which role and until when, and which key issued it - not by name, but by a
code from which only this server can tell the key - and is signed with HMAC-SHA256 (RFC 2104). The signing key is
derived from the encryption keys, so every server that shares these accepts it; without any it is random. Nothing is
kept of a ticket, and nobody logs one: it ends with its time, and with the key that issued it.
"""

from __future__ import annotations

import base64
import hmac
import secrets
import time
from collections.abc import Callable, Sequence

import msgspec

from realtime.service.principal import LOCAL, Grant, Principal
from realtime.wire.bodies import TicketRole
from realtime.wire.errors import ErrorCode, WireError

from .keys import KeyRing

TICKET_PREFIX = "tk_"
_MAX_LENGTH = 1024  # characters; one has about 200
_PURPOSE = b"realtime: tickets"  # no other use of the sealing keys can make or read what is signed here
_INVALID = "The ticket is not valid on this server, or not any more; ask for a new one."


class _Content(msgspec.Struct, frozen=True, array_like=True):
    response_id: str
    role: TicketRole
    expires_at: int
    issuer: bytes


class Tickets:
    """The issuer and reader of tickets. Without a key ring all are the local principal's."""

    def __init__(
        self, sealing_keys: Sequence[bytes], ring: KeyRing | None, clock: Callable[[], float] = time.time
    ) -> None:
        """sealing_keys: the one to sign with first. `clock` returns unix seconds."""
        self._keys = [_digest(key, _PURPOSE) for key in sealing_keys] or [secrets.token_bytes(32)]
        self._ring = ring
        self._clock = clock

    def issue(self, issuer: Principal, response_id: str, role: TicketRole, seconds: int) -> tuple[str, int]:
        """Make a ticket for one of the issuer's responses. Return it and its expiry in unix seconds."""
        expires_at = int(self._clock()) + seconds
        key = self._keys[0]
        content = msgspec.msgpack.encode(_Content(response_id, role, expires_at, _code_of(key, issuer)))
        return f"{TICKET_PREFIX}{_encode(content)}.{_encode(_sign(key, content))}", expires_at

    def read(self, ticket: str) -> Principal:
        """Return the principal who shows this ticket. Raises WireError, with the same words whatever is wrong
        with it.
        """
        found = self._open(ticket) if len(ticket) <= _MAX_LENGTH else None
        if found is None:
            raise WireError(ErrorCode.INVALID_API_KEY, _INVALID)
        return found

    def _open(self, ticket: str) -> Principal | None:
        content, signature = _parts(ticket)
        signed = [key for key in self._keys if hmac.compare_digest(_sign(key, content), signature)]
        if not signed:
            return None
        said = msgspec.msgpack.decode(content, type=_Content)
        if said.expires_at <= self._clock():
            return None
        issuers = [LOCAL] if self._ring is None else self._ring.principals()
        matching = [one for one in issuers if hmac.compare_digest(_code_of(signed[0], one), said.issuer)]
        if not matching:
            return None
        issuer = matching[0]
        return Principal(issuer.tenant, issuer.key_id, Grant(said.response_id, said.role, said.expires_at))


def _digest(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def _sign(key: bytes, content: bytes) -> bytes:
    return _digest(key, b"ticket\0" + content)


def _code_of(key: bytes, issuer: Principal) -> bytes:
    """Return the code of a key in a ticket: nobody can tell the tenant, or anything of the key, from it."""
    return _digest(key, f"issuer\0{issuer.tenant}\0{issuer.key_id or ''}".encode())[:16]


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _parts(ticket: str) -> tuple[bytes, bytes]:
    """Return the content and the signature. Anything but a ticket has an empty signature, which is invalid."""
    content, dot, signature = ticket.removeprefix(TICKET_PREFIX).partition(".")
    try:
        parts = _decode(content), _decode(signature)
    except ValueError:
        return b"", b""
    return parts if dot and ticket.startswith(TICKET_PREFIX) else (b"", b"")


def _decode(text: str) -> bytes:
    data = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _encode(data) != text:  # bits that no byte needs
        raise ValueError("not the one form")
    return data
