"""The keys of the encrypted content that clients keep for us. Never logged, never in a message."""

from __future__ import annotations

import base64
from pathlib import Path

from realtime.context.encrypted import KEY_BYTES
from realtime.settings.fields import ServerSettings

from .keys import KeysError


def encryption_keys(settings: ServerSettings) -> tuple[bytes, ...]:
    """Read the keys from the settings or their file, the one to encrypt with first. Without any, a random one is made
    later. Raises KeysError.
    """
    if settings.sealing_keys_file is None:
        return tuple(_key(text, f"sealing_keys, entry {n}") for n, text in enumerate(settings.sealing_keys, 1))
    return read_encryption_keys(Path(settings.sealing_keys_file))


def read_encryption_keys(path: Path) -> tuple[bytes, ...]:
    """Read a file of keys, one a line. Raises KeysError."""
    try:
        lines = path.read_text("ascii").splitlines()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no plain text"
        raise KeysError(f"the sealing keys in {path} can't be read: {reason}") from None
    keys = tuple(_key(line.strip(), f"{path}, line {n}") for n, line in enumerate(lines, 1) if line.strip())
    if not keys:
        raise KeysError(f"there is no sealing key in {path}: put one there with `openssl rand -base64 32`")
    return keys


def _key(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        hint = "`openssl rand -base64 32` makes one"
        raise KeysError(f"{where}: a sealing key is {KEY_BYTES} bytes in base64, which this is not; {hint}")
    return key
