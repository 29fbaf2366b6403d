"""The schema of a PostgreSQL store: whether it is ours, how old it is, how it becomes current.

Each migration is a transaction of its own, under a lock that lasts as long as the transaction: of
several processes that open a new store at once one makes it. Older nodes work on while a newer one
migrates: a function of the server is added under a new name, never replaced, and what a migration
does to a table must not disturb those who do not know of it. One that older code could not live
with says so: the row it leaves names the oldest code that may open the store, by the number of
migrations that code knows.
"""

from typing import Any, NamedTuple

from counterpoint.errors import StoreCorruptError, StoreError, StoreReadOnlyError, StoreVersionError
from counterpoint.stores.postgres_url import Place
from counterpoint.stores.queries import in_schema, read_sql


class Migration(NamedTuple):
    """One step of the schema."""

    path: str
    oldest_code: int
    """How many migrations code has to know to work with a schema that has seen this one."""


MIGRATIONS = (
    Migration("postgres/001_first.sql", 1),
    Migration("postgres/002_commit.sql", 2),
    Migration("postgres/003_cluster.sql", 3),
    Migration("postgres/004_letters.sql", 4),
    Migration("postgres/005_slots.sql", 5),
    Migration("postgres/006_calls.sql", 6),
)

_STATE = """
SELECT
  current_setting('default_transaction_isolation') AS isolation,
  pg_is_in_recovery() AS standby,
  current_setting('server_version_num')::integer AS server,
  to_regnamespace($1) IS NOT NULL AS schema,
  to_regclass($1 || '.migrations') IS NOT NULL AS migrations,
  to_regclass($1 || '.executions') IS NOT NULL AS tables
"""
_OLDEST_SERVER = 140_000


async def migrate(connection: Any, place: Place, *, node: bool) -> None:
    """Bring the schema up to date, creating it if it is not there; a standby serves clients only.

    Raises:
        StoreVersionError: code that is newer than this made it, or the server is too old.
        StoreCorruptError: there are tables of another program in it.
        StoreReadOnlyError: the isolation level, or the server, does not let nodes write safely.
    """
    schema, store = place.schema, place.name
    state = await connection.fetchrow(_STATE, schema)
    _check_server(state, store)
    if state["tables"] and not state["migrations"]:
        raise _foreign(schema, store)
    current = state["migrations"] and await _version(connection, place) >= len(MIGRATIONS)
    if state["standby"] and not (current and not node):
        raise StoreReadOnlyError(
            f"{store}: the server is a standby, which cannot be written to: name the primary"
        )
    if not current:
        await _apply(connection, place, new=not state["schema"])


async def check_there(connection: Any, place: Place) -> None:
    """Make sure that the schema is a store's; nothing is created.

    Raises:
        StoreError: it is not.
    """
    state = await connection.fetchrow(_STATE, place.schema)
    if not (state["migrations"] or state["tables"]):
        raise StoreError(
            f"there is no store in the schema {place.schema!r} of {place.name}: start a node "
            "first (counterpoint run MODULE:APP), or correct ?schema= in the URL"
        )


async def _apply(connection: Any, place: Place, *, new: bool) -> None:
    schema = place.schema
    for number, migration in enumerate(MIGRATIONS, 1):
        async with connection.transaction(isolation="read_committed"):
            await connection.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))",
                f"counterpoint migrates {schema}",
            )
            if new:
                await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            await connection.execute(
                f"CREATE TABLE IF NOT EXISTS {schema}.migrations (number integer PRIMARY KEY, "
                "oldest_code integer NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
            )
            if number <= await _version(connection, place):
                continue
            await connection.execute(in_schema(read_sql(migration.path), schema))
            await connection.execute(
                f"INSERT INTO {schema}.migrations (number, oldest_code) VALUES ($1, $2)",  # noqa: S608 - the schema's name is checked
                number,
                migration.oldest_code,
            )


async def _version(connection: Any, place: Place) -> int:
    schema, store = place.schema, place.name
    try:
        row = await connection.fetchrow(
            "SELECT coalesce(max(number), 0) AS number, coalesce(max(oldest_code), 0) AS oldest "  # noqa: S608 - the schema's name is checked
            f"FROM {schema}.migrations"
        )
    except Exception as error:
        if getattr(error, "sqlstate", None) == "42703":  # no such column
            raise _foreign(schema, store) from error
        raise
    if row["oldest"] > len(MIGRATIONS):
        raise StoreVersionError(
            f"{store} has schema version {row['number']}, for which Counterpoint has to know "
            f"{row['oldest']}, and this one knows {len(MIGRATIONS)}: upgrade Counterpoint"
        )
    return int(row["number"])


def _check_server(state: Any, store: str) -> None:
    if state["server"] < _OLDEST_SERVER:
        raise StoreVersionError(f"{store}: the server is older than PostgreSQL 14: upgrade it")
    if state["isolation"] != "read committed":
        raise StoreReadOnlyError(
            f"{store}: default_transaction_isolation is {state['isolation']!r}, and nodes are "
            "safe from each other only with 'read committed': set it for this user, as in "
            "ALTER ROLE shop SET default_transaction_isolation = 'read committed'"
        )


def _foreign(schema: str, store: str) -> StoreCorruptError:
    return StoreCorruptError(
        f"{store}: the schema {schema!r} has tables of another program: choose another one with "
        "?schema=NAME in the URL"
    )
