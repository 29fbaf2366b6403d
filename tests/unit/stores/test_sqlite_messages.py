"""How SQLite writes messages: in how few steps, from which position on, and out of old files."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from counterpoint.errors import ConflictError, StoreBrokenError, StoreCorruptError, StoreFullError
from counterpoint.model.messages import EventQuery, HoldRow, Messages
from counterpoint.model.rows import Commit
from counterpoint.stores.migrate import APPLICATION_ID, MIGRATIONS
from counterpoint.stores.queries import read_sql
from counterpoint.stores.rows import Value
from counterpoint.stores.sqlite import SqliteStore
from counterpoint.testing.conformance.store_case import (
    act,
    dead_letter,
    entry,
    event,
    execution,
    reaction,
    read_everything,
    subscription,
    wait,
)

RELEASED = 2
"""How many migrations the last released version had."""


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path)
    await store.open(node=True)
    yield store
    await store.close()


def recorded(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets the first words of what the store executes from now on."""
    executed: list[str] = []
    execute = store._execute

    def record(text: str, values: list[Value]) -> object:
        executed.append(" ".join(text.split()[:3]))
        return execute(text, values)

    monkeypatch.setattr(store, "_execute", record)
    return executed


def failing(store: SqliteStore, monkeypatch: pytest.MonkeyPatch, word: str, code: int) -> None:
    """Let the store fail at statements with a word in them."""
    execute = store._execute

    def fail(text: str, values: list[Value]) -> object:
        if word not in text:
            return execute(text, values)
        error = sqlite3.OperationalError("injected")
        error.sqlite_errorcode = code
        raise error

    monkeypatch.setattr(store, "_execute", fail)


ONE_STEP = {
    "INSERT INTO events": Messages(events=[event(str(number)) for number in range(16)]),
    "INSERT INTO reactions": Messages(done=[reaction(1, position) for position in range(64)]),
    "INSERT OR REPLACE": Messages(changed=[reaction(1, 1)]),
    "INSERT INTO holds": Messages(held=[HoldRow("payments", "", "o-1", 1)]),
    "WITH dropped (service,": Messages(released=[("payments", "", "o-1")]),
    "INSERT INTO acts": Messages(acts=[act("r")]),
}


@pytest.mark.parametrize("statement", ONE_STEP)
async def test_one_chunk_for_one_table_is_one_step(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    executed = recorded(store, monkeypatch)

    await store.commit(Commit(messages=ONE_STEP[statement]))

    assert executed == [statement]


async def test_events_and_marks_take_a_step_each(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    executed = recorded(store, monkeypatch)

    await store.commit(
        Commit(
            messages=Messages(
                events=[event(str(number)) for number in range(256)],
                done=[reaction(1, position) for position in range(256)],
            )
        )
    )

    assert executed == [
        "BEGIN IMMEDIATE",
        "INSERT INTO events",
        "INSERT INTO reactions",
        "COMMIT",
    ]


@pytest.mark.parametrize(
    "messages",
    [
        Messages(positions=[(1, 5), (1, 6), (2, 7), (3, 5)]),  # as many rows as a chunk has
        Messages(unsubscribed=[1]),
        Messages(done=[reaction(1, position) for position in (7, 8)]),
        Messages(done=[reaction(1, 7)], waits=[wait(1)]),
    ],
    ids=str,
)
async def test_what_takes_several_statements_is_one_transaction(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, messages: Messages
) -> None:
    await store.commit(
        Commit(messages=Messages(subscriptions=[subscription(number) for number in (1, 2, 3)]))
    )
    executed = recorded(store, monkeypatch)

    await store.commit(Commit(messages=messages))

    assert (executed[0], executed[-1]) == ("BEGIN IMMEDIATE", "COMMIT")


async def test_position_of_a_refused_commit_is_given_to_the_next_one(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.commit(Commit(messages=Messages(events=[event("a")])))
    before = await read_everything(store)
    with monkeypatch.context() as patched:
        failing(store, patched, "INSERT INTO reactions", sqlite3.SQLITE_FULL)
        with pytest.raises(StoreFullError):
            await store.commit(
                Commit(messages=Messages(events=[event("b")], done=[reaction(1, 1)]))
            )

    assert await read_everything(store) == before
    assert await store.commit(Commit(messages=Messages(events=[event("c")]))) == 2


async def test_positions_go_on_from_what_an_unconfirmed_commit_wrote(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = store._execute

    def written_but_failed(text: str, values: list[Value]) -> object:
        execute(text, values)
        error = sqlite3.OperationalError("injected")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(store, "_execute", written_but_failed)
        with pytest.raises(StoreBrokenError):
            await store.commit(Commit(messages=Messages(events=[event("a")])))
        patched.undo()
    await store.close()
    await store.open(node=True)

    with pytest.raises(ConflictError):
        await store.commit(Commit(messages=Messages(events=[event("a")])))
    assert await store.commit(Commit(messages=Messages(events=[event("b")]))) == 2


async def test_forgetting_that_fails_forgets_nothing(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.commit(
        Commit(
            journal=[entry(50)],
            messages=Messages(events=[event("a")], done=[reaction(1, 1, key=50)]),
        )
    )
    before = await read_everything(store)
    with monkeypatch.context() as patched:
        failing(store, patched, "DELETE FROM events", sqlite3.SQLITE_FULL)
        with pytest.raises(StoreFullError):
            await store.forget_events(recorded_before=9, limit=9)

    assert await read_everything(store) == before
    assert await store.journal(50) == [entry(50)]


async def test_unsubscribing_that_fails_deletes_nothing(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.commit(
        Commit(
            messages=Messages(
                subscriptions=[subscription(1)], done=[reaction(1, 1)], dead=[dead_letter(1, 1)]
            )
        )
    )
    before = await read_everything(store)
    with monkeypatch.context() as patched:
        failing(store, patched, "DELETE FROM subscriptions", sqlite3.SQLITE_FULL)
        with pytest.raises(StoreFullError):
            await store.commit(Commit(messages=Messages(unsubscribed=[1])))

    assert await read_everything(store) == before


async def test_status_that_no_reaction_can_have_is_reported(store: SqliteStore, path: Path) -> None:
    await store.commit(Commit(messages=Messages(done=[reaction(3, 7)])))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("UPDATE reactions SET status = 'asleep'")

    for call in (store.reactions([3], 1, 9), store.reactions_at([7])):
        with pytest.raises(StoreCorruptError, match=r"subscription 3 .*position 7 .*asleep"):
            await call


@pytest.mark.parametrize("node", [True, False], ids=["node", "client"])
async def test_file_of_the_released_version_is_migrated_with_what_it_holds(
    path: Path, *, node: bool
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        for migration in MIGRATIONS[:RELEASED]:
            old.executescript(read_sql(migration))
        old.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        old.execute(f"PRAGMA user_version = {RELEASED}")
        row = execution(5)
        marks = ", ".join("?" * len(row))
        old.execute(f"INSERT INTO executions VALUES ({marks})", row)  # noqa: S608 - our own
        old.execute("INSERT INTO counters VALUES ('key', 9)")
    store = SqliteStore(path)

    await store.open(node=node)

    assert await store.execution("execution-5") == row
    assert await store.last_position() == 0
    assert await store.events(EventQuery()) == []
    await store.close()
    await store.open(node=True)
    assert (await store.reserve_keys(1))[0] == 10
    assert await store.commit(Commit(messages=Messages(events=[event("a")]))) == 1
    await store.close()
    with closing(sqlite3.connect(path)) as migrated:
        assert migrated.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
