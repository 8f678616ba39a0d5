"""Content that a client keeps for us and can neither read nor change: reasoning, compacted histories. Pure.

AES-256-GCM. What it is and whose it is are authenticated with it, so a blob can't be sent back as something else or
by somebody else.
"""

from __future__ import annotations

import base64
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_PREFIX = "rt1."
_NONCE_BYTES = 12
KEY_BYTES = 32


class NotOurs(Exception):
    """The blob was not sealed with this key for this purpose and owner, or it was changed."""


class Sealer:
    """Seals with the first key and opens with any, so that keys can be replaced while blobs of the old one are about.

    Without a key a random one is made, and blobs are good until the process ends.
    """

    def __init__(self, *keys: bytes) -> None:
        self._ciphers = [AESGCM(key) for key in keys or (secrets.token_bytes(KEY_BYTES),)]

    def seal(self, purpose: str, owner: str, text: str) -> str:
        """Text to an opaque string."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._ciphers[0].encrypt(nonce, text.encode(), _bound_to(purpose, owner))
        return _encoded(nonce + sealed)

    def open(self, purpose: str, owner: str, blob: str) -> str:
        """The text. Raises NotOurs."""
        if not blob.startswith(_PREFIX):
            raise NotOurs("not a blob of this server")
        try:
            raw = base64.urlsafe_b64decode(blob[len(_PREFIX) :])
            if _encoded(raw) != blob:  # the decoder overlooks characters, and bits at the end
                raise NotOurs("not a blob as this server writes it")
            return self._decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _bound_to(purpose, owner)).decode()
        except ValueError as error:
            raise NotOurs("not a blob as this server writes it") from error

    def _decrypt(self, nonce: bytes, sealed: bytes, bound_to: bytes) -> bytes:
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(nonce, sealed, bound_to)
            except InvalidTag:
                continue
        raise NotOurs("the blob was changed, or sealed elsewhere")


def _encoded(raw: bytes) -> str:
    return _PREFIX + base64.urlsafe_b64encode(raw).decode()


def _bound_to(purpose: str, owner: str) -> bytes:
    return f"{purpose}\0{owner}".encode()
