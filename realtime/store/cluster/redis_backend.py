"""A backend on Redis 7 or Valkey: one server with its replicas, not a Redis Cluster.

Each call is one script: one round trip, and no other node's steps come between its own. Look-ups share some connections
and commits share others; leases wait for neither.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from redis import exceptions
from redis.asyncio.sentinel import MasterNotFoundError

from . import redis_scripts as scripts
from .backend import Away, Changes, Conflict, Denied, Fenced, Key, Lease, LiveLease, Lost, Refused
from .facts import Inspectable, StoreFacts
from .forms import FORM, check_form
from .keys import SPACES
from .reasons import reason_of
from .redis_connection import connect
from .redis_facts import read_facts
from .room import Room
from .urls import BadUrl, split_namespace

_SECONDS = 4.0  # that an answer may take, and a free connection
_LOOK_UPS, _COMMITS = 12, 4  # at once: connections
_DENIED = (exceptions.AuthenticationError, exceptions.AuthorizationError)
_AWAY = ("OOM", "MISCONF", "LOADING", "MASTERDOWN", "NOREPLICAS", "READONLY", "BUSY", "TRYAGAIN", "CLUSTERDOWN")


class RedisBackend(Inspectable):
    """A backend on Redis or Valkey."""

    def __init__(self, url: str) -> None:
        """Raises Refused for an invalid URL."""
        try:
            bare, namespace = split_namespace(url)
            self._redis, self._sentinel = connect(bare, _SECONDS)
        except BadUrl as error:
            raise Refused(str(error)) from None
        except (ValueError, TypeError):  # their texts have the URL
            raise Refused("the URL is not one of Redis: redis://[USER:PASSWORD@]HOST[:PORT][/DB]") from None
        self._prefix = f"{namespace}:".encode()
        self._own = f"{namespace}!".encode()  # of what is not in a space
        self._sets = {space.encode(): self._own + b"in-order:" + space.encode() for space in SPACES}
        self._digests: dict[str, str] = {}
        self._execute: Any = self._redis.execute_command
        self._look_ups, self._commits = Room(_LOOK_UPS, _SECONDS), Room(_COMMITS, _SECONDS)

    # -- keys

    async def get(self, keys: Sequence[Key]) -> Sequence[bytes | None]:
        """See Backend."""
        if not keys:
            return []
        async with self._look_ups:
            found: Sequence[bytes | None] = await self._call("MGET", *(self._prefix + key for key in keys))
        return found

    async def range(
        self, begin: Key, end: Key, limit: int, *, newest_first: bool = False
    ) -> Sequence[tuple[Key, bytes]]:
        """See Backend."""
        ordered = self._sets[begin.partition(b"/")[0]]
        async with self._look_ups:
            asked = (self._prefix, begin, end, limit, int(newest_first))
            keys, values = await self._run(scripts.RANGE, [ordered], *asked)
        return [(key, value) for key, value in zip(keys, values, strict=True) if value is not None]

    async def commit(self, changes: Changes) -> None:
        """See Backend."""
        node, epoch = changes.fence.node.encode(), changes.fence.epoch
        arguments: list[bytes | int] = [
            epoch, changes.number, len(changes.checks), len(changes.deletes), len(changes.sets), len(changes.adds),
        ]  # fmt: skip
        for key, expected in changes.checks.items():
            kind = b"-" if expected is None else b"+" if expected is True else b"="
            arguments += (self._prefix + key, kind, expected if isinstance(expected, bytes) else b"")
        for key in changes.deletes:
            arguments += self._names(key)
        for key, value in changes.sets.items():
            arguments += (*self._names(key), value)
        for key, number in changes.adds.items():
            arguments += (*self._names(key), number)
        async with self._commits:
            result = await self._run(scripts.COMMIT, [self._lease(node), self._number(node)], *arguments)
        if result == scripts.FENCED:
            raise Fenced
        if result == scripts.LOST:
            raise Lost
        if result == scripts.CONFLICT:
            raise Conflict

    # -- leases

    async def acquire(self, node: str, seconds: float, told: bytes) -> Lease | None:
        """See Backend."""
        keys = [self._lease(node.encode()), self._own + b"epoch", self._own + b"told"]
        epoch = await self._run(scripts.ACQUIRE, keys, node, int(seconds * 1e3), told)
        return Lease(node, int(epoch)) if epoch is not None else None

    async def renew(self, lease: Lease, seconds: float, told: bytes, number: int = 0) -> bool:
        """See Backend."""
        node = lease.node.encode()
        keys = [self._lease(node), self._own + b"told", self._number(node)]
        return bool(await self._run(scripts.RENEW, keys, lease.node, lease.epoch, int(seconds * 1e3), told, number))

    async def release(self, lease: Lease) -> None:
        """See Backend."""
        await self._run(scripts.RELEASE, [self._lease(lease.node.encode())], lease.epoch)

    async def leases(self) -> Sequence[LiveLease]:
        """See Backend."""
        found = await self._run(scripts.LEASES, [self._own + b"told"], self._lease(b""))
        return [LiveLease(node.decode(), int(epoch), told) for node, epoch, told in sorted(found)]

    async def bury(self, lease: Lease) -> bool:
        """Return whether the lease is not live; see Backend. An expired lease is gone for good."""
        async with self._look_ups:
            return bool(await self._call("GET", self._lease(lease.node.encode())) != b"%d" % lease.epoch)

    # -- what expires

    async def take_once(self, key: str, seconds: float) -> bool:
        """See Backend."""
        name = self._own + b"once:" + key.encode()
        async with self._commits:
            return bool(await self._call("SET", name, b"", b"NX", b"PX", max(int(seconds * 1e3), 1)))

    async def add_up(self, counts: Mapping[str, int], seconds: float) -> Mapping[str, int]:
        """See Backend."""
        if not counts:
            return {}
        keys = [self._own + b"count:" + name.encode() for name in counts]
        async with self._commits:
            sums = await self._run(scripts.ADD_UP, keys, max(int(seconds * 1e3), 1), *counts.values())
        return dict(zip(counts, sums, strict=True))

    # -- the end

    async def open(self) -> None:
        """See Backend."""
        found = await self._run(scripts.OPEN, [self._own + b"form", self._own + b"epoch"], FORM)
        if not found.isdigit():
            raise Refused("what it has under this namespace is not of this server: use another ?namespace=NAME")
        check_form(int(found), FORM)

    async def facts(self) -> StoreFacts:
        """See Inspectable."""
        return await read_facts(self._call, self._own)

    async def close(self) -> None:
        """See Backend."""
        await self._redis.aclose()
        if self._sentinel is not None:
            await self._sentinel.aclose()

    # -- parts

    def _lease(self, node: bytes) -> bytes:
        return self._own + b"lease:" + node

    def _number(self, node: bytes) -> bytes:
        return self._own + b"number:" + node

    def _names(self, key: Key) -> tuple[bytes, bytes, bytes]:
        """Return the name of a key, its sorted set, and its member there."""
        ordered = self._sets.get(key.partition(b"/")[0])
        return (self._prefix + key, b"", b"") if ordered is None else (self._prefix + key, ordered, key)

    async def _run(self, script: str, keys: Sequence[bytes], *arguments: bytes | str | int) -> Any:
        digest = self._digests.get(script)
        if digest is None:
            digest = self._digests[script] = hashlib.sha1(script.encode()).hexdigest()
        try:
            return await self._call("EVALSHA", digest, len(keys), *keys, *arguments)
        except exceptions.NoScriptError:  # the server was started since
            return await self._call("EVAL", script, len(keys), *keys, *arguments)

    async def _call(self, *arguments: bytes | str | int) -> Any:
        try:
            return await self._execute(*arguments)
        except exceptions.NoScriptError:
            raise
        except exceptions.NoPermissionError:
            raise Denied("Redis does not let this user do what it has to: see its ACL") from None
        except (exceptions.ConnectionError, exceptions.TimeoutError, OSError) as error:
            if any(isinstance(one, _DENIED) for one in (error, error.__cause__, error.__context__)):
                raise Denied("Redis refuses the user or the password") from None
            if isinstance(error, MasterNotFoundError):
                raise Away("Redis can't be reached: no Sentinel that answers knows a primary of this name") from None
            raise Away(f"Redis can't be reached: {reason_of(error)}") from None
        except exceptions.RedisError as error:
            text = str(error)
            if isinstance(error, exceptions.ReadOnlyError):  # it is a replica by now; what was the replica is elsewhere
                await self._redis.connection_pool.disconnect()
                raise Away("Redis can't be written: it is a replica") from None
            if text.startswith(_AWAY):
                raise Away(f"Redis can't be written: {text.split(maxsplit=1)[0]}") from None
            raise Refused(f"Redis refuses what is sent: {text[:200]}") from None
