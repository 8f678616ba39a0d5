"""Who may come in: credentials, web origins, and what must stay out of the log.

Called by every door before it does anything else. Pure functions over headers, except that a `KeyRing` follows its
file. What the protocol asks for is in OpenAI's guides for the Responses API (bearer header) and for the Realtime API
in browsers (`openai-insecure-api-key.<key>` as a sub-protocol, because a page can't set headers).
"""

from __future__ import annotations

import enum
import ipaddress
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

import msgspec

from realtime.connection.profiles import KEY_SUBPROTOCOL
from realtime.service.principal import LOCAL, Principal
from realtime.settings.fields import Settings

from .keys import KeyRing, KeysError

__all__ = [
    "AuthFailure",
    "AuthProblem",
    "KeyRing",
    "KeysError",
    "ScrubbingFormatter",
    "authenticate",
    "exposure_warning",
    "origin_allowed",
    "scrub",
    "scrub_handlers",
]


class AuthProblem(enum.Enum):
    """Why a credential was not accepted; the value is the error code on the wire, the status always 401."""

    MISSING = "missing_api_key"
    INVALID = "invalid_api_key"


class AuthFailure(msgspec.Struct, frozen=True):
    """A refusal. The message may be shown to the client and holds nothing that it sent."""

    problem: AuthProblem
    message: str


def authenticate(
    ring: KeyRing | None, headers: Mapping[str, str], subprotocols: Sequence[str] = ()
) -> Principal | AuthFailure:
    """Who is asking. Without a key ring everybody is the same local principal, whatever they send.

    `headers` has lower-case names, or looks names up without regard to case.
    """
    if ring is None:
        return LOCAL
    keys = set(_credentials(headers, subprotocols))
    if not keys:
        return AuthFailure(
            AuthProblem.MISSING,
            "This server asks for an API key, as `Authorization: Bearer <key>` or `api-key: <key>`.",
        )
    if len(keys) > 1:
        return AuthFailure(AuthProblem.INVALID, "The request carries several API keys that differ; send one.")
    return ring.find(keys.pop()) or AuthFailure(AuthProblem.INVALID, "The API key is not valid on this server.")


def _credentials(headers: Mapping[str, str], subprotocols: Iterable[str]) -> Iterable[str]:
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer":
        yield token.strip()
    if key := headers.get("api-key"):
        yield key.strip()
    for offer in subprotocols:
        if offer.startswith(KEY_SUBPROTOCOL):
            yield offer[len(KEY_SUBPROTOCOL) :]


def origin_allowed(
    origin: str | None, host: str | None, allowed: Sequence[str] = (), *, has_keys: bool = False
) -> bool:
    """Whether a page of that `Origin` may connect to us as `Host`. Only browsers send an origin; others pass.

    A list is the whole answer. Without one, loopback pages and pages of this very host may come in. Where no
    key is asked for, "this very host" counts only as an address: a name can be made to point here by anybody (DNS
    rebinding), and then his page would have the same host.
    """
    if origin is None:
        return True
    if allowed:
        wanted = {entry.rstrip("/").lower() for entry in allowed}
        return "*" in wanted or origin.rstrip("/").lower() in wanted
    page = _host_port(origin)
    if page is None:
        return False
    if is_loopback(page[0]):
        return True
    scheme = urlsplit(origin).scheme
    return page == _host_port(f"{scheme}://{host}") and (has_keys or _address(page[0]) is not None)


def _host_port(url: str) -> tuple[str, int] | None:
    """Host and port of an http(s) URL; None for anything else, such as the origin `null` of a sandboxed page."""
    default = {"http": 80, "https": 443}
    try:
        parts = urlsplit(url)
        if parts.scheme not in default or not parts.hostname or parts.path or parts.query:
            return None
        return parts.hostname, parts.port or default[parts.scheme]
    except ValueError:
        return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Whether a host means this machine only."""
    address = _address(host)
    return address.is_loopback if address else host == "localhost" or host.endswith(".localhost")


def exposure_warning(settings: Settings) -> str | None:
    """What to say loudly at the start, if the server is open to people who need no key."""
    server = settings.server
    if server.api_keys_file or is_loopback(server.host):
        return None
    return (
        f"OPEN SERVER: {server.host} can be reached from other machines and no API key is asked for. Anybody who can "
        "reach it can use it and fill it. Make a key with `python -m realtime keys add NAME` and serve with "
        "--api-keys-file, or listen on 127.0.0.1."
    )


_SECRETS = re.compile(
    r"""(?P<lead>openai-insecure-api-key\.
       |\bbearer\s+|\bbasic\s+
       |\bapi[-_]key['"]?\s*[:=,]\s*b?['"]?
       |[?&;](?:api[-_]?key|key|(?:access[-_]|id[-_])?token|auth(?:orization)?|secret|password)=
       )[^\s&;,'"<>)\]]+
     |\b(?:rt|sk|ek)[_-][A-Za-z0-9_-]{16,}""",
    re.IGNORECASE | re.VERBOSE,
)


def scrub(text: str) -> str:
    """The text with everything replaced that is, or may be, a credential: in headers, queries, sub-protocols."""
    return _SECRETS.sub(lambda match: (match["lead"] or "") + "***", text)


class ScrubbingFormatter(logging.Formatter):
    """Writes what another formatter writes, scrubbed. At this place arguments and tracebacks are covered as well."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        return scrub(self._inner.format(record))


def scrub_handlers(handlers: Iterable[logging.Handler]) -> None:
    """Make handlers write scrubbed text only. Safe to call again."""
    for handler in handlers:
        if not isinstance(handler.formatter, ScrubbingFormatter):
            handler.setFormatter(ScrubbingFormatter(handler.formatter or logging.Formatter()))
