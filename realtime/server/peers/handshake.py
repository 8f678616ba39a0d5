"""The handshake in which two nodes prove to each other that they have the cluster's secret. Pure.

Each node sends a nonce, and signs both nonces, both names and the address that was dialled by HMAC-SHA256 (RFC 2104). A
proof is therefore useless in any other handshake, and reveals nothing from which the secret could be derived. The two
nodes sign different prefixes, so that nobody can make a node sign its own challenge.

The address binds a proof to the channel as far as TLS goes: with `wss://` the certificate was checked against its host,
so whoever listens at another address, or has a certificate for another name, can't pass the proof on. The server does
not end TLS itself, so it can't sign a certificate.
"""

from __future__ import annotations

import hmac

import msgspec

from .messages import NONCE_BYTES, Challenge, Hello, Welcome

_ASKS, _ANSWERS = b"realtime peer asks\0", b"realtime peer answers\0"


class NotProved(Exception):
    """An error: the other side does not have the secret, or is not the expected node."""


def hello(secret: bytes, challenge: Challenge, to: str, node: str, epoch: int, nonce: bytes, url: str) -> Hello:
    """Answer the challenge of the node `to`, which was dialled at `url`. Raises NotProved if another node sent it."""
    if challenge.node != to or len(challenge.nonce) != NONCE_BYTES:
        raise NotProved(f"it says that it is the node {challenge.node[:16]!r}")
    said = Hello(node, epoch, nonce, b"", url)
    return msgspec.structs.replace(said, proof=_sign(secret, _ASKS, challenge, said))


def check_hello(secret: bytes, challenge: Challenge, hello: Hello, url: str) -> None:
    """Check the answer to a challenge. `url`: the address that this node advertises. Raises NotProved."""
    signed = _sign(secret, _ASKS, challenge, hello)
    if len(hello.nonce) != NONCE_BYTES or not hmac.compare_digest(signed, hello.proof):
        raise NotProved("it does not have the cluster's secret")
    if hello.url != url:
        raise NotProved(f"it has dialled {hello.url[:200]!r}, and not the address that this node advertises")


def welcome(secret: bytes, challenge: Challenge, hello: Hello) -> Welcome:
    """Prove this node's identity in turn."""
    return Welcome(_sign(secret, _ANSWERS, challenge, hello))


def check_welcome(secret: bytes, challenge: Challenge, hello: Hello, welcome: Welcome) -> None:
    """Check the proof of the node that was connected to. Raises NotProved."""
    signed = _sign(secret, _ANSWERS, challenge, hello)
    if not hmac.compare_digest(signed, welcome.proof):
        raise NotProved("it does not have the cluster's secret")


def _sign(secret: bytes, role: bytes, challenge: Challenge, hello: Hello) -> bytes:
    names = b"\0".join(part.encode() for part in (challenge.node, hello.node, str(hello.epoch), hello.url))
    return hmac.digest(secret, role + challenge.nonce + hello.nonce + names, "sha256")
