"""Facts about a store that nodes share, for a person: which server it is, what is in it, and settings by which data
could be lost. Pure: the backends ask, and this module decides what is a concern.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import msgspec

from .backend import Backend, LiveLease

MIN_REDIS = 7
MIN_POSTGRES = 13
CONNECTIONS = 6  # to PostgreSQL, of each node


class Concern(msgspec.Struct, frozen=True):
    """Something that is wrong with a store. `fatal`: no node can run on it."""

    text: str
    advice: str
    fatal: bool = False


class StoreFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A store, as it answers. form: of what is in it, None: nothing is. clock: unix seconds there. seconds: of a round
    trip. max_bytes: that it may hold, None: no bound is known.
    """

    product: str
    version: str
    form: int | None
    clock: float
    seconds: float
    leases: tuple[LiveLease, ...] = ()
    max_bytes: int | None = None
    concerns: tuple[Concern, ...] = ()


class Inspectable(Backend, Protocol):
    """A backend that can be asked about itself."""

    async def facts(self) -> StoreFacts:
        """Ask it, and change nothing. Raises Away, and Refused."""


def redis_concerns(info: Mapping[str, Any], save: str | None) -> Iterator[Concern]:
    """Look at what `INFO` says, and at when snapshots are made (None: that is not told)."""
    version = str(info.get("redis_version", ""))
    if version.partition(".")[0].isdigit() and int(version.partition(".")[0]) < MIN_REDIS:
        yield Concern(f"it is version {version}", f"Redis {MIN_REDIS} or Valkey is needed", fatal=True)
    if info.get("redis_mode") == "cluster" or info.get("cluster_enabled"):
        yield Concern("it is a Redis Cluster", "give one primary with its replicas: scripts need all keys", fatal=True)
    if info.get("role") == "slave":
        yield Concern("it is a replica, which can't be written", "give the primary's address", fatal=True)
    if info.get("loading"):
        yield Concern("it is still loading its file", "wait until it has")
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        when = "" if info.get("maxmemory") else " once it has a maxmemory"
        text = f"maxmemory-policy is {policy}: it drops answers and leases by itself{when}"
        yield Concern(text, "`maxmemory-policy noeviction`")
    yield from _persistence(info, save)


def _persistence(info: Mapping[str, Any], save: str | None) -> Iterator[Concern]:
    aof = bool(info.get("aof_enabled"))
    if not aof and save == "":
        text = "it writes neither an append-only file nor snapshots: its restart loses everything"
        yield Concern(text, "`appendonly yes`")
    elif not aof and save is not None:
        text = f"it writes snapshots only ({save}): its crash loses what came since the last one"
        yield Concern(text, "`appendonly yes`")
    for name, what in (("aof_last_write_status", "append-only file"), ("rdb_last_bgsave_status", "snapshot")):
        if str(info.get(name, "ok")) != "ok":
            text = f"its last write to its {what} has failed: it may refuse every commit"
            yield Concern(text, "see its log; is its disk full?")


def postgres_concerns(found: Mapping[str, Any], num_nodes: int) -> Iterator[Concern]:
    """Look at the settings of a PostgreSQL; num_nodes: that live."""
    if found["server_version_num"] // 10_000 < MIN_POSTGRES:
        yield Concern("it is too old", f"PostgreSQL {MIN_POSTGRES} or later is needed", fatal=True)
    if found["in_recovery"]:
        yield Concern("it is a replica, which can't be written", "give the primary's address", fatal=True)
    elif found["read_only"] == "on":
        yield Concern(
            "its transactions are read-only", "`default_transaction_read_only = off` for this role", fatal=True
        )
    if not found["has_schema"] and not found["may_create"]:
        text = "there is no schema for the cluster, and this role may not make one"
        yield Concern(text, "`GRANT CREATE ON DATABASE ... TO ...`, or make the schema for it", fatal=True)
    if found["fsync"] == "off" or found["full_page_writes"] == "off":
        text = "fsync or full_page_writes is off: a crash of its machine may damage everything"
        yield Concern(text, "switch both on")
    if found["synchronous_commit"] == "off":
        text = "synchronous_commit is off: a crash loses commits that it has acknowledged"
        yield Concern(text, "`synchronous_commit = on`")
    if found["autovacuum"] == "off":
        yield Concern("autovacuum is off: each flush leaves a dead row", "`autovacuum = on`")
    wanted = CONNECTIONS * (num_nodes + 1)
    if found["max_connections"] < wanted:
        text = f"max_connections is {found['max_connections']}, and {num_nodes + 1} nodes may open {wanted}"
        yield Concern(text, "raise it, or put a pool that works by session before it")
