"""Settings of a cluster, resolved: the node's name, the URL at which others reach it, and the secret that they share.

The secret proves a node to another (`peers.handshake`). It is never logged. The keys that must be the same on every
node are derived from it: those for contents that clients keep for us, and those for tickets.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from realtime.settings.fields import ClusterSettings, ServerSettings
from realtime.settings.sources import SettingsError

from .listening import reachable
from .origins import is_loopback

_MIN_SECRET = 32  # characters
_MAX_SECRET = 4096
_MAX_NAME = 12
_UNUSUAL = re.compile(r"[^a-z0-9]+")
_LOCAL = b"realtime: nodes on one machine"  # in place of a secret where nobody else can reach them
NO_SECRET = (
    "CLUSTER WITHOUT A SECRET: everybody with an account on this machine can ask its nodes as any tenant. Where others "
    "have one, make one (`openssl rand -base64 32`) and give its file to each node with --cluster-secret-file."
)


class Node(msgspec.Struct, frozen=True):
    """The node that this server is. `secret`: what all nodes share, as a key of HMAC. `shared`: somebody has set it."""

    name: str
    url: str
    secret: bytes
    shared: bool

    def __repr__(self) -> str:
        return f"Node({self.name!r}, {self.url!r})"


def configured_node(settings: ClusterSettings, server: ServerSettings, port: int) -> Node | None:
    """Return this node as the settings have it; None: there is no cluster. `port`: where it listens. Raises
    SettingsError.
    """
    if settings.cluster is None:
        return None
    url = settings.advertise or f"ws://{reachable(server.host)}:{port}"
    given = _secret(settings)
    if given is None:
        _check_local(url, server, settings.cluster)
        _check_no_keys(server)
    key = hashlib.sha256(given if given is not None else _LOCAL).digest()
    return Node(settings.node or _name_of_host(), url, key, given is not None)


def derived_key(secret: bytes, purpose: str) -> bytes:
    """Return the key for one purpose, from which nothing can be told about the others."""
    return hmac.digest(secret, f"realtime: {purpose}".encode(), "sha256")


def with_shared_key(settings: ServerSettings, node: Node) -> ServerSettings:
    """Return the settings with the sealing key that all nodes have, where they name none."""
    if settings.sealing_keys or settings.sealing_keys_file is not None or not node.shared:
        return settings
    key = base64.b64encode(derived_key(node.secret, "sealing")).decode()
    return msgspec.structs.replace(settings, sealing_keys=(key,))


def _secret(settings: ClusterSettings) -> bytes | None:
    if settings.cluster_secret_file is None:
        text, where = settings.cluster_secret, "cluster_secret"
    else:
        where = f"the file {settings.cluster_secret_file}"
        try:
            text = Path(settings.cluster_secret_file).read_text("utf-8").strip()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise SettingsError(f"the cluster's secret in {where} can't be read: {reason}") from None
    if text is None:
        return None
    if not _MIN_SECRET <= len(text) <= _MAX_SECRET:
        hint = "`openssl rand -base64 32` makes one"
        raise SettingsError(f"{where}: the cluster's secret has {_MIN_SECRET} to {_MAX_SECRET} characters; {hint}")
    return text.encode()


def _check_local(url: str, server: ServerSettings, store: str) -> None:
    """Refuse a cluster without a secret whose nodes, or whose store, somebody on another machine can reach."""
    hosts = {"advertise": urlsplit(url).hostname, "host": server.host, "cluster": urlsplit(store).hostname}
    for name, host in hosts.items():
        if host is not None and not is_loopback(host):
            raise SettingsError(
                f"a cluster that is not on one machine alone needs a secret that its nodes share, and `{name}` is "
                f"{host}: put one into a file (`openssl rand -base64 32`) and give it to each node with "
                "--cluster-secret-file, or set REALTIME_CLUSTER_SECRET"
            )


def _check_no_keys(server: ServerSettings) -> None:
    """Refuse API keys that everybody with an account on this machine can get around."""
    if server.api_keys_file is not None:
        raise SettingsError(
            "API keys are asked for, and without a secret of the cluster everybody with an account on this machine "
            "gets around them: put one into a file (`openssl rand -base64 32`) and give it to each node with "
            "--cluster-secret-file, or set REALTIME_CLUSTER_SECRET"
        )


def _name_of_host() -> str:
    """The host's name, made one of a node; its end, where pods of one set differ. Raises SettingsError."""
    name = _UNUSUAL.sub("", socket.gethostname().partition(".")[0].lower())[-_MAX_NAME:]
    if not name:
        raise SettingsError("this host's name can't be the name of a node: give one with --node, as --node a1")
    return name
