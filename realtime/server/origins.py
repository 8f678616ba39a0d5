"""Web origins: which pages may connect to this server. Pure functions over the headers `Origin` and `Host`.

`admission` calls them for every handshake and request. Only browsers send an origin; everybody else passes, and needs
credentials (`auth`) only.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


def origin_allowed(
    origin: str | None, host: str | None, allowed: Sequence[str] = (), *, has_keys: bool = False
) -> bool:
    """Return whether a page of that `Origin` may connect to this server as `Host`.

    A list is the whole answer. Without one, loopback pages and pages of the same host may come in. If no key is
    required, "the same host" counts only as an address: anybody can make a name point here (DNS rebinding), and then
    his page would have the same host.
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


def is_loopback(host: str) -> bool:
    """Return whether a host means this machine only."""
    address = _address(host)
    return address.is_loopback if address else host == "localhost" or host.endswith(".localhost")


def _host_port(url: str) -> tuple[str, int] | None:
    """Return host and port of an http(s) URL; None for anything else, such as the origin `null` of a sandboxed page."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or parts.path or parts.query:
            return None
        return parts.hostname, parts.port or _DEFAULT_PORTS[parts.scheme]
    except ValueError:
        return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
