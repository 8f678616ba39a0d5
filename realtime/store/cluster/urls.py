"""The URLs of a cluster's store: our own part of them, and how they are shown. Pure.

`?namespace=NAME` keeps several clusters apart on one server. The other options are for the library that connects.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode, urlsplit

DEFAULT_NAMESPACE = "realtime"
_NAMESPACE = re.compile(r"[a-z][a-z0-9_]{0,30}")


class BadUrl(ValueError):
    """An error: the URL can't be used. The text does not contain it, because it may have a password."""


def split_namespace(url: str) -> tuple[str, str]:
    """Return a URL without our own part, and the namespace. Raises BadUrl."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise BadUrl("the URL of the cluster's store can't be read") from None
    options = parse_qsl(parts.query, keep_blank_values=True)
    names = [value for name, value in options if name == "namespace"] or [DEFAULT_NAMESPACE]
    if not _NAMESPACE.fullmatch(names[-1]):
        raise BadUrl("namespace= of the cluster's store takes a-z, 0-9 and _, 31 characters at most")
    left = urlencode([(name, value) for name, value in options if name != "namespace"], safe="/:")
    return parts._replace(query=left).geturl(), names[-1]


def hosts_of(url: str) -> list[str]:
    """Return the names of all hosts that a URL leads to, without those of sockets in the file system."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return []
    listed = parts.netloc.rpartition("@")[2].split(",")
    for name, value in parse_qsl(parts.query):
        if name in ("host", "hostaddr"):
            listed += value.split(",")
    names = [one[1:].partition("]")[0] if one.startswith("[") else one.partition(":")[0] for one in listed]
    return [name for name in names if name and not name.startswith("/")]


def shown(url: str) -> str:
    """Return a URL without credentials and options, to be shown to people."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the cluster's store"
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"
