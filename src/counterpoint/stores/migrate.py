"""The schema of a file: whether it is ours, how old it is, and how it becomes current.

`application_id` marks Counterpoint's files, `user_version` counts the migrations that a file has
seen. A migration runs in one transaction with both marks, so a crash leaves the file as it was.
"""

import sqlite3
from collections.abc import Iterator

from counterpoint.errors import StoreCorruptError, StoreVersionError
from counterpoint.stores.queries import read_sql

APPLICATION_ID = 0x436E7470
MIGRATIONS = (
    "sqlite/001_first.sql",
    "sqlite/002_mail_by_execution.sql",
    "sqlite/003_messages.sql",
    "sqlite/004_mail_says_whom_it_needs.sql",
)


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Bring the schema up to date; several processes may do so at the same time."""
    connection.execute("BEGIN IMMEDIATE")
    version = schema_version(connection, path)  # another process may have been quicker
    for migration in MIGRATIONS[version:]:
        for statement in _statements(read_sql(migration)):
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    connection.execute("COMMIT")


def schema_version(connection: sqlite3.Connection, path: str) -> int:
    """Return how many migrations the file has seen; 0 if it is new.

    Raises:
        StoreCorruptError: the file belongs to another program.
        StoreVersionError: a newer Counterpoint wrote it.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application == APPLICATION_ID:
        if version > len(MIGRATIONS):
            raise StoreVersionError(
                f"{path} has schema version {version} and this Counterpoint knows "
                f"{len(MIGRATIONS)}: upgrade Counterpoint"
            )
        return int(version)
    if application or version or tables:
        raise StoreCorruptError(
            f"{path} is not a Counterpoint store but another program's SQLite file: check the path"
        )
    return 0


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
