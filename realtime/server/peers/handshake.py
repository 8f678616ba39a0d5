"""The handshake in which two nodes prove to each other that they have the cluster's secret. Pure.

Each node sends a nonce, and signs both nonces and both names by HMAC-SHA256 (RFC 2104). A proof is therefore useless in
any other handshake, and reveals nothing from which the secret could be derived. The two nodes sign different prefixes,
so that nobody can make a node sign its own challenge.
"""

from __future__ import annotations

import hmac

from .messages import NONCE_BYTES, Challenge, Hello, Welcome

_ASKS, _ANSWERS = b"realtime peer asks\0", b"realtime peer answers\0"


class NotProved(Exception):
    """An error: the other side does not have the secret, or is not the expected node."""


def hello(secret: bytes, challenge: Challenge, to: str, node: str, epoch: int, nonce: bytes) -> Hello:
    """Answer the challenge of the node `to`. Raises NotProved if another node sent it."""
    if challenge.node != to or len(challenge.nonce) != NONCE_BYTES:
        raise NotProved(f"it says that it is the node {challenge.node[:16]!r}")
    return Hello(node, epoch, nonce, _sign(secret, _ASKS, challenge, node, epoch, nonce))


def check_hello(secret: bytes, challenge: Challenge, hello: Hello) -> None:
    """Check the answer to a challenge. Raises NotProved."""
    signed = _sign(secret, _ASKS, challenge, hello.node, hello.epoch, hello.nonce)
    if len(hello.nonce) != NONCE_BYTES or not hmac.compare_digest(signed, hello.proof):
        raise NotProved("it does not have the cluster's secret")


def welcome(secret: bytes, challenge: Challenge, hello: Hello) -> Welcome:
    """Prove this node's identity in turn."""
    return Welcome(_sign(secret, _ANSWERS, challenge, hello.node, hello.epoch, hello.nonce))


def check_welcome(secret: bytes, challenge: Challenge, hello: Hello, welcome: Welcome) -> None:
    """Check the proof of the node that was connected to. Raises NotProved."""
    signed = _sign(secret, _ANSWERS, challenge, hello.node, hello.epoch, hello.nonce)
    if not hmac.compare_digest(signed, welcome.proof):
        raise NotProved("it does not have the cluster's secret")


def _sign(secret: bytes, role: bytes, challenge: Challenge, node: str, epoch: int, nonce: bytes) -> bytes:
    names = b"\0".join(part.encode() for part in (challenge.node, node, str(epoch)))
    return hmac.digest(secret, role + challenge.nonce + nonce + names, "sha256")
