"""A user's transaction in an SQLite store: what it offers, refuses, and how it ends."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from counterpoint.errors import ConflictError, StoreError, StoreReadOnlyError
from counterpoint.model.rows import Commit
from counterpoint.stores.sqlite import SqliteStore
from counterpoint.stores.sqlite_transaction import SqliteTransaction
from counterpoint.testing.conformance.store_case import entry, execution, letter, start


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "counterpoint.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(path)
    await opened.open(node=True)
    outside(path, "CREATE TABLE books (entry TEXT UNIQUE, cents INTEGER)")
    yield opened
    await opened.close()


def outside(path: Path, statement: str) -> list[tuple[Any, ...]]:
    """Execute a statement on a connection of its own."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(statement).fetchall()
        connection.commit()
        return found


async def begun(store: SqliteStore) -> SqliteTransaction:
    transaction = await store.begin()
    assert isinstance(transaction, SqliteTransaction)
    return transaction


async def test_statements_return_what_users_of_asyncpg_know(store: SqliteStore) -> None:
    tx = await begun(store)

    assert await tx.execute("INSERT INTO books VALUES ($1, $2)", "a", 1) == "INSERT 0 1"
    await tx.executemany("INSERT INTO books VALUES (?, ?)", [("b", 2), ("c", 3)])
    assert await tx.execute("UPDATE books SET cents = cents + $1", 10) == "UPDATE 3"
    row = await tx.fetchrow("SELECT * FROM books WHERE entry = $1 OR entry = $1", "b")
    assert row is not None
    assert (row["entry"], row[1], list(row.keys())) == ("b", 12, ["entry", "cents"])
    assert len(await tx.fetch("SELECT * FROM books")) == 3
    assert await tx.fetchval("SELECT cents FROM books WHERE entry = ?", "c") == 13
    assert await tx.fetchrow("SELECT * FROM books WHERE entry = 'z'") is None
    assert await tx.fetchval("SELECT cents FROM books WHERE entry = 'z'") is None
    await tx.execute("SAVEPOINT here")
    await tx.execute("DELETE FROM books")
    await tx.execute("ROLLBACK TO here")
    await tx.execute("CREATE TABLE more (entry TEXT)")
    await tx.commit(Commit())
    assert tx.closed


async def test_both_are_committed_together_or_not_at_all(store: SqliteStore, path: Path) -> None:
    tx = await begun(store)
    await tx.execute("INSERT INTO books VALUES ('a', 1)")
    assert outside(path, "SELECT * FROM books") == []
    await tx.check()
    await tx.commit(Commit(starts=[execution(1)], journal=[entry(1)]))
    other = await begun(store)
    await other.execute("INSERT INTO books VALUES ('b', 1)")
    with pytest.raises(ConflictError):
        await other.commit(Commit(starts=[execution(1)]))
    third = await begun(store)
    await third.execute("INSERT INTO books VALUES ('c', 1)")
    await third.rollback()
    await third.rollback()

    assert outside(path, "SELECT entry FROM books") == [("a",)]
    assert await store.journal(1) == [entry(1)]
    await start(store, execution(2))


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("COMMIT", "would end the transaction"),
        ("ROLLBACK", "would end the transaction"),
        ("BEGIN", "would end the transaction"),
        ("PRAGMA synchronous = OFF", "would change the store's connection"),
        ("ATTACH ':memory:' AS other", "would change the store's connection"),
        ("DELETE FROM executions", "would change executions, which is Counterpoint's"),
        ("INSERT INTO journal SELECT * FROM journal", "would change journal"),
        ("DROP TABLE Events", "would change events"),
        ("ALTER TABLE executions ADD COLUMN mine TEXT", "would change executions"),
        (
            "CREATE TRIGGER mine AFTER INSERT ON executions BEGIN SELECT 1; END",
            "would change executions",
        ),
    ],
)
async def test_what_is_not_the_users_affair_is_refused(
    store: SqliteStore, path: Path, statement: str, why: str
) -> None:
    tx = await begun(store)
    await tx.execute("INSERT INTO books VALUES ('a', 1)")

    with pytest.raises(StoreError, match=f"the statement was refused: .*{why}"):
        await tx.execute(statement)

    assert await tx.fetchval("SELECT count(*) FROM executions") == 0
    await tx.commit(Commit(starts=[execution(1)]))
    assert outside(path, "SELECT entry FROM books") == [("a",)]
    await start(store, execution(2))  # the store itself may


async def test_foreign_keys_are_enforced_for_users_alone(store: SqliteStore, path: Path) -> None:
    outside(path, "CREATE TABLE lines (entry TEXT REFERENCES books (entry))")
    outside(path, "CREATE TABLE mine (key INTEGER REFERENCES executions (key))")
    tx = await begun(store)

    with pytest.raises(sqlite3.IntegrityError):
        await tx.execute("INSERT INTO lines VALUES ('nobody')")
    await tx.commit(Commit(starts=[execution(1)._replace(finished_at=1)]))
    outside(path, "INSERT INTO mine VALUES (1)")
    assert await store.forget(finished_before=9, limit=9) == 1


async def test_a_deferred_constraint_is_checked(store: SqliteStore, path: Path) -> None:
    outside(
        path,
        "CREATE TABLE lines (entry TEXT REFERENCES books (entry) DEFERRABLE INITIALLY DEFERRED)",
    )
    tx = await begun(store)
    await tx.execute("INSERT INTO lines VALUES ('nobody')")
    with pytest.raises(sqlite3.IntegrityError, match="lines refers to a row of books"):
        await tx.check()
    await tx.execute("INSERT INTO books VALUES ('nobody', 1)")
    await tx.check()

    await tx.commit(Commit())


async def test_everybody_on_this_loop_waits_until_it_is_over(
    store: SqliteStore, path: Path
) -> None:
    client = SqliteStore(path)
    await client.open(node=False)
    tx = await begun(store)
    waiting: list[asyncio.Future[Any]] = [
        asyncio.ensure_future(act)
        for act in (
            store.commit(Commit(starts=[execution(1)])),
            client.commit(Commit(mail=[letter("a")])),
            store.forget(finished_before=9, limit=9),
            store.begin(),
        )
    ]
    await asyncio.wait(waiting, timeout=0.01)
    assert not any(one.done() for one in waiting)
    await tx.rollback()

    *_, next_one = await asyncio.gather(*waiting)
    assert next_one is not tx
    await next_one.rollback()
    assert len(await store.mail(after=0, limit=9)) == 1
    await client.close()


async def test_one_that_takes_too_long_is_rolled_back_and_says_so(path: Path) -> None:
    store = SqliteStore(path, transaction_timeout=timedelta(milliseconds=1))
    await store.open(node=True)
    tx = await begun(store)
    expired: asyncio.Future[StoreError] = asyncio.get_running_loop().create_future()
    tx.expires(expired.set_result)
    await tx.execute("CREATE TABLE books (entry TEXT)")

    assert "open for longer than 0.001 s" in str(await expired)
    assert tx.closed
    with pytest.raises(StoreError, match=r"cannot be used any more: it was open for longer"):
        await tx.execute("SELECT 1")
    with pytest.raises(StoreError, match="cannot be used any more"):
        await tx.commit(Commit(starts=[execution(1)]))
    assert outside(path, "SELECT name FROM sqlite_master WHERE name = 'books'") == []
    await start(store, execution(1))
    await store.close()


async def test_its_time_ends_with_the_check(path: Path) -> None:
    store = SqliteStore(path, transaction_timeout=timedelta(milliseconds=1))
    await store.open(node=True)
    tx = await begun(store)
    await tx.check()
    await asyncio.wait([asyncio.ensure_future(asyncio.Event().wait())], timeout=0.005)

    await tx.commit(Commit(starts=[execution(1)]))
    assert await store.execution("execution-1") is not None
    await store.close()


async def test_one_that_sqlite_has_rolled_back_says_so(store: SqliteStore) -> None:
    tx = await begun(store)
    await tx.execute("CREATE TABLE once (entry TEXT UNIQUE ON CONFLICT ROLLBACK)")
    await tx.execute("INSERT INTO once VALUES ('a')")
    with pytest.raises(sqlite3.IntegrityError):
        await tx.execute("INSERT INTO once VALUES ('a')")

    with pytest.raises(StoreError, match="SQLite has rolled it back"):
        await tx.check()
    await start(store, execution(1))


async def test_a_store_that_is_closed_leaves_nothing_of_it(path: Path) -> None:
    store = SqliteStore(path)
    await store.open(node=True)
    tx = await begun(store)
    await tx.execute("CREATE TABLE books (entry TEXT)")
    await store.close()

    with pytest.raises(StoreError, match="the store was closed"):
        await tx.check()
    await tx.rollback()
    assert outside(path, "SELECT name FROM sqlite_master WHERE name = 'books'") == []
    await store.open(node=True)
    await start(store, execution(1))
    await store.close()


async def test_clients_have_none(store: SqliteStore, path: Path) -> None:
    client = SqliteStore(path)
    await client.open(node=False)

    with pytest.raises(StoreReadOnlyError):
        await client.begin()
    await client.close()
    assert store.features.transactions
