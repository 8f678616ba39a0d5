"""The keys file: who may ask. Written by `python -m realtime keys`, read by the server's `KeyRing`.

A key is `rt_` and 256 random bits. The file holds, for each name, a salt and sha256(salt + key). With that much
randomness there is nothing to guess, so a deliberately slow hash (scrypt, argon2) would protect nothing and would cost
every handshake its time. For passwords, which people choose, this would be wrong. No function here logs a key, and
nothing here keeps one.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import secrets
import tempfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from realtime.service.principal import LOCAL_TENANT, Principal
from realtime.settings.tenants import UNLIMITED, TenantLimits

log = logging.getLogger("realtime.keys")

KEY_PREFIX = "rt_"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class KeysError(ValueError):
    """An error: the keys file, or a change to it, is invalid. The text is for the person at the terminal."""


class KeyRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The stored data of one key. `name` becomes the tenant; salt and sha256 are hexadecimal. `limits`: the tenant's;
    None: those of the settings.
    """

    name: str
    salt: str
    sha256: str
    created_at: str
    limits: TenantLimits | None = None

    @property
    def principal(self) -> Principal:
        """Return the principal who shows this key."""
        return Principal(self.name, self.sha256)

    def matches(self, key: str) -> bool:
        """Compare a key in constant time, wherever the difference is."""
        return hmac.compare_digest(_digest(self.salt, key), self.sha256)


class KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    keys: tuple[KeyRecord, ...] = ()
    version: int = 1

    def find(self, key: str) -> KeyRecord | None:
        """Return the record of a key. Examines all of them, so that the time does not tell which one it was."""
        matching = [record for record in self.keys if record.matches(key)]
        return matching[0] if matching else None

    def add(self, name: str) -> tuple[KeyFile, str]:
        """Return a file with one more name, and the new key, which can never be read again."""
        if not NAME.fullmatch(name):
            raise KeysError(f"{name!r} can't be a name: 1 to 64 letters, digits, '_', '.' or '-'")
        if name == LOCAL_TENANT:
            raise KeysError(f"{name!r} is the name of those who need no key; take another")
        if any(record.name == name for record in self.keys):
            raise KeysError(f"{name!r} has a key already; remove it first to replace it")
        key = KEY_PREFIX + secrets.token_urlsafe(32)
        salt = secrets.token_hex(16)
        created_at = datetime.now(UTC).isoformat(timespec="seconds")
        record = KeyRecord(name, salt, _digest(salt, key), created_at)
        return msgspec.structs.replace(self, keys=(*self.keys, record)), key

    def limit(self, name: str, changes: Mapping[str, object]) -> KeyFile:
        """Return a file in which a name's limits have these members; None: as if the member were not given. Raises
        KeysError.
        """
        if all(record.name != name for record in self.keys):
            raise KeysError(f"there is no key named {name!r}")
        return msgspec.structs.replace(
            self, keys=tuple(_limited(record, changes) if record.name == name else record for record in self.keys)
        )

    def remove(self, name: str) -> KeyFile:
        """Return a file without that name."""
        rest = tuple(record for record in self.keys if record.name != name)
        if len(rest) == len(self.keys):
            raise KeysError(f"there is no key named {name!r}")
        return msgspec.structs.replace(self, keys=rest)


def _limited(record: KeyRecord, changes: Mapping[str, object]) -> KeyRecord:
    before = msgspec.to_builtins(record.limits or UNLIMITED)
    wanted = {name: value for name, value in {**before, **changes}.items() if value is not None}
    try:
        limits = msgspec.convert(wanted, TenantLimits, strict=False)
    except msgspec.ValidationError as error:
        raise KeysError(str(error)) from None
    return msgspec.structs.replace(record, limits=limits)


def _digest(salt: str, key: str) -> str:
    return hashlib.sha256(bytes.fromhex(salt) + key.encode("utf-8", "surrogatepass")).hexdigest()


def read_keys(path: Path) -> KeyFile:
    """Read and check a keys file. Raises KeysError, also if there is none."""
    try:
        keys = msgspec.json.decode(path.read_bytes(), type=KeyFile)
    except FileNotFoundError:
        raise KeysError(f"there is no keys file {path}; `python -m realtime keys add NAME` makes one") from None
    except (OSError, msgspec.DecodeError) as error:
        raise KeysError(f"keys file {path} can't be read: {error}") from None
    for record in keys.keys:
        if not (re.fullmatch(r"(?:[0-9a-f]{2})*", record.salt) and re.fullmatch(r"[0-9a-f]{64}", record.sha256)):
            raise KeysError(f"keys file {path}: the entry {record.name!r} is damaged")
    return keys


def write_keys(path: Path, keys: KeyFile) -> None:
    """Replace a keys file in one step, readable by its owner only: a reader sees the old file or the new one."""
    descriptor, draft = tempfile.mkstemp(prefix=path.name, dir=path.parent)  # mkstemp opens with mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(keys)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


class KeyRing:
    """The current keys. Follows its file: an added or removed key counts at the next handshake, and a removed one ends
    what is open (`revocation`).

    A file that can't be read any more is logged and changes nothing: a slip while editing must neither lock everybody
    out nor open the door.
    """

    def __init__(self, path: Path) -> None:
        """Raises KeysError: a server that is configured to ask for keys does not start without them."""
        self._path = path
        self._stamp = stamp_of(path)
        self._version = 0  # grows with each change
        self._take(read_keys(path))

    def __repr__(self) -> str:
        return f"KeyRing({str(self._path)!r}, num_keys={len(self._keys.keys)})"

    def find(self, key: str) -> Principal | None:
        """Return the principal of this key."""
        self.follow()
        record = self._keys.find(key)
        return record.principal if record else None

    def holds(self, principal: Principal) -> bool:
        """Return whether the key that was shown, or that issued the ticket, is still there, as of the newest look at
        the file.
        """
        return principal.issuer in self._principals

    def principals(self) -> Iterable[Principal]:
        """Return all who have a key."""
        self.follow()
        return self._principals

    def limits_of(self, tenant: str) -> TenantLimits | None:
        """Return a tenant's limits in the file, as of the newest look at it; None: none."""
        return self._limits.get(tenant)

    @property
    def num_keys(self) -> int:
        """Return how many keys there are, as of the newest look at the file."""
        return len(self._keys.keys)

    def follow(self) -> int:
        """Look at the file. Return the version of the keys, which stays the same as long as they do."""
        stamp = stamp_of(self._path)
        if stamp == self._stamp:
            return self._version
        self._stamp = stamp
        try:
            self._take(read_keys(self._path))
        except KeysError as error:
            log.error("keys_not_reloaded num_keys=%d reason=%s", len(self._keys.keys), error)
        else:
            log.info("keys_reloaded num_keys=%d", len(self._keys.keys))
            self._version += 1
        return self._version

    def _take(self, keys: KeyFile) -> None:
        self._keys = keys
        self._principals = {record.principal for record in keys.keys}
        self._limits = {record.name: record.limits for record in keys.keys}


def stamp_of(path: Path) -> tuple[int, int, int] | None:
    """Return a value that changes when the file does. It includes the inode, because two replacements may share one
    tick of the clock.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
