"""The tables and functions of a cluster in PostgreSQL, in a schema of their own. Pure.

`commit` is a transaction in one call. It locks the lease's row for its length, so that nobody can find the lease ended
and adopt its responses while a commit is under way. It locks what it checks by numbers that the caller derives from the
keys, in ascending order, so that two commits that could conflict follow one another.

Epochs follow the clock, so that a new primary gives none again that the old one gave last.
"""

from __future__ import annotations

OPEN = """
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE IF NOT EXISTS {schema}.version (version integer NOT NULL);
INSERT INTO {schema}.version SELECT {form} WHERE NOT EXISTS (SELECT FROM {schema}.version);
"""

TABLES = """
CREATE TABLE IF NOT EXISTS {schema}.kv (key bytea PRIMARY KEY, value bytea NOT NULL);
ALTER TABLE {schema}.kv ALTER COLUMN value SET STORAGE EXTERNAL;
CREATE TABLE IF NOT EXISTS {schema}.lease (
    node text PRIMARY KEY, epoch bigint NOT NULL, ends_at timestamptz NOT NULL, told bytea NOT NULL,
    number bigint NOT NULL
);
CREATE SEQUENCE IF NOT EXISTS {schema}.epoch;
CREATE TABLE IF NOT EXISTS {schema}.taken (key text PRIMARY KEY, until timestamptz NOT NULL);
CREATE TABLE IF NOT EXISTS {schema}.counter (name text PRIMARY KEY, total bigint NOT NULL, until timestamptz NOT NULL);
"""

FENCED, CONFLICT, LOST = 1, 2, 3  # what `commit` returns; 0: done

COMMIT = """
CREATE OR REPLACE FUNCTION {schema}.commit(
    its_node text, its_epoch bigint, its_number bigint, locks integer[], equal_keys bytea[], equal_values bytea[],
    present_keys bytea[], deletes bytea[], set_keys bytea[], set_values bytea[], add_keys bytea[], add_numbers bigint[]
) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    last_number bigint;
BEGIN
    IF its_number = 0 THEN
        PERFORM FROM {schema}.lease
            WHERE node = its_node AND epoch = its_epoch AND ends_at > clock_timestamp() FOR SHARE;
    ELSE
        SELECT number INTO last_number FROM {schema}.lease
            WHERE node = its_node AND epoch = its_epoch AND ends_at > clock_timestamp() FOR NO KEY UPDATE;
    END IF;
    IF NOT FOUND THEN RETURN 1; END IF;
    IF last_number = its_number THEN RETURN 0; END IF;
    IF last_number <> its_number - 1 THEN RETURN 3; END IF;
    PERFORM pg_advisory_xact_lock({lock}, one) FROM unnest(locks) one;
    IF EXISTS (
        SELECT FROM unnest(equal_keys, equal_values) AS wanted(key, value) LEFT JOIN {schema}.kv USING (key)
        WHERE kv.value IS DISTINCT FROM wanted.value
    ) OR EXISTS (
        SELECT FROM unnest(present_keys) AS wanted(key) LEFT JOIN {schema}.kv USING (key) WHERE kv.key IS NULL
    ) THEN
        RETURN 2;
    END IF;
    DELETE FROM {schema}.kv WHERE key = ANY (deletes);
    INSERT INTO {schema}.kv SELECT * FROM unnest(set_keys, set_values)
        ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value;
    INSERT INTO {schema}.kv SELECT key, convert_to(added::text, 'UTF8')
        FROM unnest(add_keys, add_numbers) AS new(key, added) ORDER BY key
        ON CONFLICT (key) DO UPDATE SET value = convert_to(
            (convert_from(kv.value, 'UTF8')::bigint + convert_from(EXCLUDED.value, 'UTF8')::bigint)::text, 'UTF8');
    IF its_number <> 0 THEN
        UPDATE {schema}.lease SET number = its_number WHERE node = its_node;
    END IF;
    RETURN 0;
END $$;
"""

FORM = "SELECT version FROM {schema}.version"
GET = (
    "SELECT kv.value FROM unnest($1::bytea[]) WITH ORDINALITY AS wanted(key, place) LEFT JOIN {schema}.kv USING (key) "
    "ORDER BY place"
)
RANGE = "SELECT key, value FROM {schema}.kv WHERE key >= $1 AND key < $2 ORDER BY key {order} LIMIT $3"
CALL = "SELECT {schema}.commit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
ACQUIRE = """
INSERT INTO {schema}.lease
VALUES ($1, setval('{schema}.epoch', greatest(nextval('{schema}.epoch'),
    (extract(epoch FROM clock_timestamp()) * 1000)::bigint)), clock_timestamp() + $2 * interval '1 second', $3, 0)
ON CONFLICT (node) DO UPDATE SET epoch = EXCLUDED.epoch, ends_at = EXCLUDED.ends_at, told = EXCLUDED.told, number = 0
WHERE lease.ends_at <= clock_timestamp() RETURNING epoch
"""
RENEW = """
UPDATE {schema}.lease SET ends_at = clock_timestamp() + $3 * interval '1 second', told = $4
WHERE node = $1 AND epoch = $2 AND ends_at > clock_timestamp() AND number >= $5 RETURNING true
"""
RELEASE = "DELETE FROM {schema}.lease WHERE node = $1 AND epoch = $2"
LEASES = "SELECT node, epoch, told FROM {schema}.lease WHERE ends_at > clock_timestamp() ORDER BY node"
BURY = "DELETE FROM {schema}.lease WHERE node = $1 AND epoch = $2 AND ends_at <= clock_timestamp()"
IS_THERE = "SELECT EXISTS (SELECT FROM {schema}.lease WHERE node = $1 AND epoch = $2)"
TAKE_ONCE = """
INSERT INTO {schema}.taken VALUES ($1, clock_timestamp() + $2 * interval '1 second')
ON CONFLICT (key) DO UPDATE SET until = EXCLUDED.until WHERE taken.until <= clock_timestamp() RETURNING true
"""
ADD_UP = """
INSERT INTO {schema}.counter AS there
SELECT name, added, clock_timestamp() + $3 * interval '1 second'
FROM unnest($1::text[], $2::bigint[]) AS new(name, added) ORDER BY name
ON CONFLICT (name) DO UPDATE SET
    total = EXCLUDED.total + CASE WHEN there.until > clock_timestamp() THEN there.total ELSE 0 END,
    until = CASE WHEN there.until > clock_timestamp() THEN there.until ELSE EXCLUDED.until END
RETURNING name, total
"""
CLEAN = ("DELETE FROM {schema}.taken WHERE until <= clock_timestamp()",
         "DELETE FROM {schema}.counter WHERE until <= clock_timestamp()")  # fmt: skip
