"""The way to Redis: one address, or Sentinels that know where the primary is.

`redis://[USER:PASSWORD@]HOST[:PORT],HOST[:PORT]/DB?sentinel=NAME` names Sentinels, and the primary as they call it.
They are asked whenever a connection is made, so that a new primary is found by whoever is cut off from the old one.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from redis.asyncio import Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

SENTINEL_PORT = 26379


def connect(url: str, seconds: float) -> tuple[Redis, Sentinel | None]:
    """Return what asks Redis, and what it asks first; nothing is asked yet. seconds: that an answer may take. Raises
    ValueError for an invalid URL, with the URL in its text.
    """
    common: dict[str, Any] = {
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        "retry": Retry(NoBackoff(), 0),
        "decode_responses": False,
    }
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    name, password = options.pop("sentinel", None), options.pop("sentinel_password", None)
    if name is None:
        return Redis.from_url(url, **common), None
    credentials, at, hosts = parts.netloc.rpartition("@")
    bare = parts._replace(netloc=f"{credentials}{at}sentinel", query=urlencode(options, safe="/:")).geturl()
    told = {key: value for key, value in parse_url(bare).items() if key not in ("host", "port")}
    told["ssl"] = told.pop("connection_class", None) is not None
    alike = {key: value for key, value in told.items() if key.startswith("ssl")}
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        [_address(host) for host in hosts.split(",")], sentinel_kwargs={**common, **alike, "password": password},
        **common, **told,
    )  # fmt: skip
    return sentinel.master_for(name), sentinel


def _address(host: str) -> tuple[str, int]:
    """Return the address of a Sentinel. Raises ValueError."""
    parts = urlsplit(f"//{host}")
    if not parts.hostname:
        raise ValueError(host)
    return parts.hostname, parts.port or SENTINEL_PORT
