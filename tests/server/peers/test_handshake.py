"""Nodes prove to each other that they have the secret, anew each time."""

from __future__ import annotations

import secrets

import msgspec
import pytest

from realtime.server.peers import handshake
from realtime.server.peers.messages import NONCE_BYTES, Challenge, Hello, Welcome

SECRET, OTHER = b"s" * 32, b"o" * 32
URL = "wss://a.example:8000"


def challenge(node: str = "a") -> Challenge:
    return Challenge(node, secrets.token_bytes(NONCE_BYTES))


def hello(to: Challenge, secret: bytes = SECRET, node: str = "b") -> Hello:
    return handshake.hello(secret, to, to.node, node, 7, secrets.token_bytes(NONCE_BYTES), URL)


def test_who_has_the_secret_is_believed_and_believes() -> None:
    asked = challenge()
    said = hello(asked)
    handshake.check_hello(SECRET, asked, said, URL)
    handshake.check_welcome(SECRET, asked, said, handshake.welcome(SECRET, asked, said))


def test_nobody_else_is() -> None:
    asked = challenge()
    said = hello(asked)
    wrong = [
        hello(asked, OTHER),
        msgspec.structs.replace(said, node="c"),
        msgspec.structs.replace(said, epoch=8),
        msgspec.structs.replace(said, url="wss://b.example:8000"),
        msgspec.structs.replace(said, nonce=b""),
        msgspec.structs.replace(said, proof=b""),
    ]
    for one in wrong:
        with pytest.raises(handshake.NotProved):
            handshake.check_hello(SECRET, asked, one, URL)
    for proof in (Welcome(b""), handshake.welcome(OTHER, asked, said), Welcome(said.proof)):
        with pytest.raises(handshake.NotProved):
            handshake.check_welcome(SECRET, asked, said, proof)


def test_what_was_said_once_is_of_no_use_again() -> None:
    said = hello(challenge())
    with pytest.raises(handshake.NotProved):
        handshake.check_hello(SECRET, challenge(), said, URL)


def test_a_challenge_of_another_node_is_not_answered() -> None:
    """Or somebody in between could have it answered for himself."""
    with pytest.raises(handshake.NotProved):
        handshake.hello(SECRET, challenge("c"), "a", "b", 1, secrets.token_bytes(NONCE_BYTES), URL)
    with pytest.raises(handshake.NotProved):
        handshake.hello(SECRET, Challenge("a", b"short"), "a", "b", 1, secrets.token_bytes(NONCE_BYTES), URL)


def test_what_was_said_at_another_address_is_of_no_use_here() -> None:
    """Somebody who listens there, with a certificate of his own, passes on what both sides say."""
    asked = challenge()
    said = handshake.hello(SECRET, asked, "a", "b", 7, secrets.token_bytes(NONCE_BYTES), "wss://old.example:8000")
    with pytest.raises(handshake.NotProved, match=r"old\.example"):
        handshake.check_hello(SECRET, asked, said, URL)
