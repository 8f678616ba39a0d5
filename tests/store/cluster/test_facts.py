"""What is told of a store, by real ones that are set up well and badly; and nothing is changed in it."""

from __future__ import annotations

import time
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis

from realtime.store.cluster.facts import StoreFacts, postgres_concerns, redis_concerns
from realtime.store.cluster.forms import FORM
from realtime.store.cluster.stores import make_backend
from tests.support.store_servers import StoreServers


async def facts(url: str) -> StoreFacts:
    backend = make_backend(url)
    try:
        return await backend.facts()
    finally:
        await backend.close()


@pytest.mark.parametrize(("kind", "product"), [("redis", "Redis|Valkey"), ("postgres", "PostgreSQL")])
async def test_what_is_there(kind: str, product: str, store_servers: StoreServers) -> None:
    url = store_servers[kind].url()
    found = await facts(url)
    assert found.product in product.split("|")
    assert (found.form, found.leases) == (None, ())
    assert (await facts(url)).form is None, "looking makes nothing"
    assert abs(found.clock - time.time()) < 60
    assert not [one for one in found.concerns if one.fatal]
    backend = make_backend(url)
    await backend.open()
    await backend.acquire("a", 60.0, b"told")
    found = await backend.facts()
    await backend.close()
    assert found.form == FORM
    assert [(one.node, one.told) for one in found.leases] == [("a", b"told")]


@pytest.mark.parametrize(
    ("setting", "bad", "good", "word"),
    [
        ("maxmemory-policy", "allkeys-lru", "noeviction", "drops answers"),
        ("appendonly", "no", "yes", "loses everything"),
    ],
)
async def test_redis_that_would_lose_what_is_kept(
    setting: str, bad: str, good: str, word: str, store_servers: StoreServers
) -> None:
    url = store_servers["redis"].url()
    redis: Any = Redis.from_url(url.partition("?")[0])
    assert (await facts(url)).concerns == ()
    try:
        await redis.config_set(setting, bad)
        [concern] = (await facts(url)).concerns
        assert word in concern.text
    finally:
        await redis.config_set(setting, good)
        await redis.aclose()


async def test_redis_that_does_not_tell_everything_is_looked_at_all_the_same(store_servers: StoreServers) -> None:
    url = store_servers["redis"].url()
    redis: Any = Redis.from_url(url.partition("?")[0])
    try:
        await redis.execute_command("ACL", "SETUSER", "shy", "on", ">pass", "~*", "+@all", "-info", "-config")
        found = await facts(url.replace("unix://", "unix://shy:pass@"))
        assert found.concerns == ()
        assert "does not tell" in found.version
    finally:
        await redis.execute_command("ACL", "DELUSER", "shy")
        await redis.aclose()


async def test_postgres_whose_role_may_not_make_what_it_needs(store_servers: StoreServers) -> None:
    url = store_servers["postgres"].url()
    admin = await asyncpg.connect(url.replace("&namespace=", "&application_name="))
    try:
        await admin.execute("CREATE ROLE guest LOGIN; ALTER ROLE guest SET synchronous_commit = off")
        await admin.execute("ALTER ROLE guest SET default_transaction_read_only = on")
        found = await facts(url.replace("postgres@", "guest@"))
        words = [one.text.split(":")[0] for one in found.concerns]
        assert "its transactions are read-only" in words
        assert "there is no schema for the cluster, and this role may not make one" in words
        assert "synchronous_commit is off" in words
    finally:
        await admin.execute("DROP ROLE guest")
        await admin.close()


GOOD_REDIS: dict[str, Any] = {"redis_version": "7.2.0", "role": "master", "aof_enabled": 1, "redis_mode": "standalone"}
GOOD_POSTGRES: dict[str, Any] = {
    "server_version_num": 150000, "in_recovery": False, "read_only": "off", "has_schema": True, "may_create": False,
    "fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "autovacuum": "on", "max_connections": 100,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "fatal", "word"),
    [
        ({"redis_version": "6.2.1"}, True, "version 6.2.1"),
        ({"redis_mode": "cluster"}, True, "Redis Cluster"),
        ({"role": "slave"}, True, "replica"),
        ({"loading": 1}, False, "loading"),
        ({"aof_enabled": 0}, False, "snapshots only (60 1)"),
        ({"aof_last_write_status": "err"}, False, "append-only file has failed"),
        ({"rdb_last_bgsave_status": "err"}, False, "snapshot has failed"),
    ],
)
def test_what_redis_says_of_itself(changed: dict[str, Any], fatal: bool, word: str) -> None:
    assert list(redis_concerns(GOOD_REDIS, "60 1")) == []
    [concern] = redis_concerns(GOOD_REDIS | changed, "60 1")
    assert concern.fatal is fatal
    assert word in concern.text


@pytest.mark.parametrize(
    ("changed", "fatal", "word"),
    [
        ({"server_version_num": 120011}, True, "too old"),
        ({"in_recovery": True}, True, "replica"),
        ({"fsync": "off"}, False, "fsync"),
        ({"full_page_writes": "off"}, False, "full_page_writes"),
        ({"autovacuum": "off"}, False, "autovacuum"),
        ({"max_connections": 10}, False, "may open 18"),
    ],
)
def test_what_postgres_says_of_itself(changed: dict[str, Any], fatal: bool, word: str) -> None:
    assert list(postgres_concerns(GOOD_POSTGRES, 2)) == []
    [concern] = postgres_concerns(GOOD_POSTGRES | changed, 2)
    assert concern.fatal is fatal
    assert word in concern.text
