"""Encrypted content that a client keeps for us and can neither read nor change: reasoning, compacted histories. Pure.

AES-256-GCM. A content's purpose and its owner are authenticated with it, so it can't be sent back as something else or
by somebody else.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.items import AnyItem, Compaction, InputItem, Reasoning, ReasoningText

from . import compaction

REASONING = "reasoning"  # purposes
COMPACTION = "compaction"
KEY_BYTES = 32
_PREFIX = "rt1."
_NONCE_BYTES = 12


class NotOurs(Exception):
    """An error: the content was not encrypted with this key for this purpose and owner, or it was changed."""


class Cipher:
    """A cipher that encrypts with the first key and decrypts with any, so that a key can be replaced while clients
    still hold content of the old one. Without a key it makes a random one, and content is valid until the process ends.
    """

    def __init__(self, *keys: bytes) -> None:
        self._keys = [AESGCM(key) for key in keys or (secrets.token_bytes(KEY_BYTES),)]

    def encrypt(self, purpose: str, owner: str, text: str) -> str:
        """Turn a text into an opaque string, different each time."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        encrypted = self._keys[0].encrypt(nonce, text.encode(), _bound_to(purpose, owner))
        return _to_text(nonce + encrypted)

    def decrypt(self, purpose: str, owner: str, content: str) -> str:
        """Return the text. Raises NotOurs."""
        if not content.startswith(_PREFIX):
            raise NotOurs("not a content of this server")
        try:
            raw = base64.urlsafe_b64decode(content[len(_PREFIX) :])
            if _to_text(raw) != content:  # the decoder overlooks characters, and bits at the end
                raise NotOurs("not a content as this server writes it")
            return self._decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _bound_to(purpose, owner)).decode()
        except ValueError as error:
            raise NotOurs("not a content as this server writes it") from error

    def _decrypt(self, nonce: bytes, encrypted: bytes, bound_to: bytes) -> bytes:
        for key in self._keys:
            try:
                return key.decrypt(nonce, encrypted, bound_to)
            except InvalidTag:
                continue
        raise NotOurs("the content was changed, or encrypted elsewhere")


def _to_text(raw: bytes) -> str:
    return _PREFIX + base64.urlsafe_b64encode(raw).decode()


def _bound_to(purpose: str, owner: str) -> bytes:
    return f"{purpose}\0{owner}".encode()


# -- items that have such content


def decrypt_items(cipher: Cipher, owner: str, items: Sequence[InputItem], path: str) -> list[InputItem]:
    """Return the items as the model will see them. `path`: of `items`, for the error. Raises WireError.

    Reasoning that can't be decrypted (another server's, or this one's from before a restart without a key) has no text,
    and templates do without. A compaction that can't be decrypted is refused: without it the model would know nothing
    of what was before.
    """
    return [_decrypt_item(cipher, owner, item, f"{path}[{index}]") for index, item in enumerate(items)]


def encrypt_reasoning(cipher: Cipher, owner: str, shown: AnyItem, remembered: AnyItem) -> AnyItem:
    """Return an item as it is shown. Reasoning gets its text, which is remembered, as encrypted content."""
    if not isinstance(shown, Reasoning) or not isinstance(remembered, Reasoning) or shown.encrypted_content:
        return shown
    text = "".join(part.text for part in remembered.content or ())
    return msgspec.structs.replace(shown, encrypted_content=cipher.encrypt(REASONING, owner, text))


def _decrypt_item(cipher: Cipher, owner: str, item: InputItem, path: str) -> InputItem:
    match item:
        case Reasoning(encrypted_content=str() as content) if not item.content:
            try:
                text = cipher.decrypt(REASONING, owner, content)
            except NotOurs:
                return item
            return msgspec.structs.replace(item, content=[ReasoningText(text=text)])
        case Compaction() if item.encrypted_content:  # an empty one was cut before it stood for anything
            return _expand(cipher, owner, item, path)
        case _:
            return item


def _expand(cipher: Cipher, owner: str, item: Compaction, path: str) -> InputItem:
    try:
        return compaction.expand(item, cipher.decrypt(COMPACTION, owner, item.encrypted_content))
    except (NotOurs, ValueError):
        text = (
            "This compaction can't be opened: it was changed, made by another server or for another key, or before "
            "this server's sealing key was replaced. Send the items that it stands for instead."
        )
        raise WireError(ErrorCode.INVALID_ENCRYPTED_CONTENT, text, param=f"{path}.encrypted_content") from None
