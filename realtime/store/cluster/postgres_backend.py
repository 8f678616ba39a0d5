"""A backend on PostgreSQL 13 or later. A commit is one call of a function: one transaction and one round trip."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

import asyncpg

from . import postgres_schema as sql
from .backend import Away, Changes, Conflict, Denied, Fenced, Key, Lease, LiveLease, Lost, Refused
from .facts import CONNECTIONS, Inspectable, StoreFacts
from .forms import FORM, check_form
from .keys import is_of_journal
from .postgres_facts import read_facts
from .reasons import reason_of
from .room import Room
from .urls import BadUrl, split_namespace

_SECONDS = 4.0  # that an answer may take, and a free connection
_COMMITS = 2  # at once: connections; look-ups have the rest but one, which is for leases
_LOOK_UPS = CONNECTIONS - _COMMITS - 1
_NUM_LOCKS = 256
_CLEANING = 0.01  # how often what has expired is deleted by who adds to it
_LOCK = 0x72_74_73_74  # the class of our advisory locks: "rtst"
_AWAY = (
    asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError, asyncpg.ReadOnlySQLTransactionError, asyncpg.CannotConnectNowError,
    asyncpg.InternalServerError, OSError, TimeoutError,
)  # fmt: skip
_DENIED = (
    asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)  # fmt: skip
_IN_THE_WAY = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)


class PostgresBackend(Inspectable):
    """A backend on PostgreSQL."""

    def __init__(self, url: str) -> None:
        """Raises Refused for an invalid URL."""
        try:
            self._url, self._schema = split_namespace(url)
        except BadUrl as error:
            raise Refused(str(error)) from None
        self._there: asyncpg.Pool[asyncpg.Record] | None = None
        self._commit = self._sql(sql.CALL)
        self._look_ups, self._commits = Room(_LOOK_UPS, _SECONDS), Room(_COMMITS, _SECONDS)

    # -- keys

    async def get(self, keys: Sequence[Key]) -> Sequence[bytes | None]:
        """See Backend."""
        if not keys:
            return []
        async with self._look_ups:
            rows = await self._fetch(self._sql(sql.GET), list(keys))
        return [row[0] for row in rows]

    async def range(
        self, begin: Key, end: Key, limit: int, *, newest_first: bool = False
    ) -> Sequence[tuple[Key, bytes]]:
        """See Backend."""
        query = sql.RANGE.format(schema=self._schema, order="DESC" if newest_first else "ASC")
        async with self._look_ups:
            return [(row[0], row[1]) for row in await self._fetch(query, begin, end, limit)]

    async def commit(self, changes: Changes) -> None:
        """See Backend."""
        checks, present = changes.checks, [key for key, value in changes.checks.items() if value is True]
        equal = [(key, value) for key, value in checks.items() if value is not True]
        locked = [*checks, *changes.deletes, *changes.sets] if changes.number or checks else ()
        locks = sorted({crc32(key) % _NUM_LOCKS for key in locked if not is_of_journal(key)})
        try:
            async with self._commits:
                [row] = await self._fetch(
                    self._commit, changes.fence.node, changes.fence.epoch, changes.number, locks,
                    [key for key, _ in equal], [value for _, value in equal], present, list(changes.deletes),
                    list(changes.sets), list(changes.sets.values()), list(changes.adds), list(changes.adds.values()),
                )  # fmt: skip
        except _IN_THE_WAY:
            raise Conflict from None
        if row[0] == sql.FENCED:
            raise Fenced
        if row[0] == sql.LOST:
            raise Lost
        if row[0] == sql.CONFLICT:
            raise Conflict

    # -- leases

    async def acquire(self, node: str, seconds: float, told: bytes) -> Lease | None:
        """See Backend."""
        rows = await self._fetch(self._sql(sql.ACQUIRE), node, seconds, told)
        return Lease(node, rows[0][0]) if rows else None

    async def renew(self, lease: Lease, seconds: float, told: bytes, number: int = 0) -> bool:
        """See Backend."""
        return bool(await self._fetch(self._sql(sql.RENEW), lease.node, lease.epoch, seconds, told, number))

    async def release(self, lease: Lease) -> None:
        """See Backend."""
        await self._fetch(self._sql(sql.RELEASE), lease.node, lease.epoch)

    async def leases(self) -> Sequence[LiveLease]:
        """See Backend."""
        return [LiveLease(*row) for row in await self._fetch(self._sql(sql.LEASES))]

    async def bury(self, lease: Lease) -> bool:
        """See Backend."""
        async with self._look_ups:
            await self._fetch(self._sql(sql.BURY), lease.node, lease.epoch)
            [row] = await self._fetch(self._sql(sql.IS_THERE), lease.node, lease.epoch)
        return not row[0]

    # -- what expires

    async def take_once(self, key: str, seconds: float) -> bool:
        """See Backend."""
        async with self._commits:
            await self._clean()
            return bool(await self._fetch(self._sql(sql.TAKE_ONCE), key, seconds))

    async def add_up(self, counts: Mapping[str, int], seconds: float) -> Mapping[str, int]:
        """See Backend."""
        names, numbers = list(counts), list(counts.values())
        async with self._commits:
            await self._clean()
            rows = await self._fetch(self._sql(sql.ADD_UP), names, numbers, seconds)
        return {row[0]: row[1] for row in rows}

    # -- the end

    async def open(self) -> None:
        """See Backend."""
        try:
            async with asyncio.timeout(10 * _SECONDS):
                await self._make_schema()
        except TimeoutError:
            raise Away("PostgreSQL can't be reached: it does not answer in time") from None

    async def facts(self) -> StoreFacts:
        """See Inspectable."""
        return await read_facts(self._fetch, self._sql)

    async def close(self) -> None:
        """See Backend."""
        if self._there is not None:
            await self._there.close()

    # -- parts

    def _sql(self, text: str) -> str:
        return text.format(schema=self._schema, form=FORM, lock=_LOCK)

    async def _make_schema(self) -> None:
        """Create what is missing, one node after the other. Raises Refused for a schema of another form."""
        async with (await self._pool()).acquire() as connection, connection.transaction():
            await self._guarded(connection.execute(f"SELECT pg_advisory_xact_lock({_LOCK}, -1)"))
            await self._guarded(connection.execute(self._sql(sql.OPEN)))
            check_form(await self._guarded(connection.fetchval(self._sql(sql.FORM))), FORM)
            await self._guarded(connection.execute(self._sql(sql.TABLES)))
            await self._guarded(connection.execute(self._sql(sql.COMMIT)))

    async def _pool(self) -> asyncpg.Pool[asyncpg.Record]:
        if self._there is None:
            try:
                pool = asyncpg.create_pool(
                    self._url, min_size=1, max_size=CONNECTIONS, timeout=_SECONDS, command_timeout=_SECONDS
                )
            except (ValueError, asyncpg.InterfaceError):  # their texts may have the URL
                raise Refused("the URL is not one of PostgreSQL: postgresql://[USER:PASSWORD@]HOST[:PORT]/DB") from None
            self._there = await self._guarded(pool)
        return self._there

    async def _fetch(self, query: str, *arguments: Any) -> list[Any]:
        pool = await self._pool()
        return await self._guarded(pool.fetch(query, *arguments))  # type: ignore[no-any-return]

    async def _guarded(self, work: Any) -> Any:
        try:
            return await work
        except _DENIED as error:
            raise Denied(f"PostgreSQL does not let this server in: {type(error).__name__}") from None
        except _AWAY as error:
            if isinstance(error, asyncpg.ReadOnlySQLTransactionError) and self._there is not None:
                await self._there.expire_connections()  # it is a standby by now
            raise Away(f"PostgreSQL can't be reached: {reason_of(error)}") from None
        except _IN_THE_WAY:
            raise
        except asyncpg.PostgresError as error:
            raise Refused(f"PostgreSQL refuses what is sent: {type(error).__name__}") from None
        except ValueError:  # its text may have the URL
            raise Refused("the URL is not one of PostgreSQL: postgresql://[USER:PASSWORD@]HOST[:PORT]/DB") from None

    async def _clean(self) -> None:
        if random.random() < _CLEANING:
            for one in sql.CLEAN:
                await self._fetch(self._sql(one))
