"""Ask PostgreSQL about itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from . import postgres_schema as sql
from .backend import LiveLease
from .facts import StoreFacts, postgres_concerns
from .round_trips import shortest

Fetch = Callable[[str], Awaitable[Sequence[Any]]]

_SETTINGS = """
SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS server_version_num,
    extract(epoch FROM clock_timestamp())::float AS clock, pg_is_in_recovery() AS in_recovery,
    current_setting('default_transaction_read_only') AS read_only, current_setting('fsync') AS fsync,
    current_setting('full_page_writes') AS full_page_writes, current_setting('autovacuum') AS autovacuum,
    current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('max_connections')::int AS max_connections,
    has_database_privilege(current_database(), 'CREATE') AS may_create,
    to_regnamespace('{schema}') IS NOT NULL AS has_schema,
    to_regclass('{schema}.version') IS NOT NULL AS has_version, to_regclass('{schema}.lease') IS NOT NULL AS has_leases
"""


async def read_facts(fetch: Fetch, format: Callable[[str], str]) -> StoreFacts:
    """Return what there is. `fetch`: rows of a query. `format`: puts the schema's name in. Raises Away, and Refused."""
    await fetch("SELECT 1")  # connects
    seconds = await shortest(lambda: fetch("SELECT 1"))
    [row] = await fetch(format(_SETTINGS))
    found = dict(row)
    forms = await fetch(format(sql.FORM)) if found["has_version"] else []
    leases = await fetch(format(sql.LEASES)) if found["has_leases"] else []
    return StoreFacts(
        product="PostgreSQL",
        version=str(found["version"]),
        form=forms[0][0] if forms else None,
        clock=found["clock"],
        seconds=seconds,
        leases=tuple(LiveLease(*one) for one in leases),
        concerns=tuple(postgres_concerns(found, len(leases))),
    )
