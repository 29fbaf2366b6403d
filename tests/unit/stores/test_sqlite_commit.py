"""What a commit that SQLite refuses leaves behind, and what it is called."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import NoReturn, cast

import pytest

from counterpoint.errors import (
    StoreBrokenError,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
)
from counterpoint.model.rows import AttributeRow, Commit, MailRow, Query
from counterpoint.stores.sqlite import SqliteStore
from counterpoint.testing.conformance.store_case import (
    entry,
    execution,
    letter,
    read_everything,
    said,
    start,
)


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, busy_timeout=timedelta(0))
    await store.open(node=True)
    yield store
    await store.close()


class FailingExecute:
    """Stands in for the cursor's `execute`; fails at the statement that begins with a word."""

    def __init__(self, store: SqliteStore, word: str, code: int, *, after: bool = False) -> None:
        self.execute = store._execute
        self.word, self.code, self.after = word, code, after

    def __call__(self, text: str, values: list[str | int | bytes | None]) -> object:
        if not text.startswith(self.word):
            return self.execute(text, values)
        if self.after:
            self.execute(text, values)
        return self.fail()

    def fail(self) -> NoReturn:
        error = sqlite3.OperationalError("injected")
        error.sqlite_errorcode = self.code
        raise error


BOTH = Commit(starts=[execution(2)], journal=[entry(2)], mail=[letter("b")])
SAID = Commit(journal=[entry(1, 2)], attributes=said(1, colour="red", size=None))
ALONE = Commit(journal=[entry(1, 5)])


async def fill(store: SqliteStore) -> None:
    for seq in range(1, 1000):
        await store.commit(Commit(journal=[entry(9, seq, b"x" * 3_000)]))


@pytest.mark.parametrize("commit", [BOTH, ALONE], ids=["transaction", "one statement"])
async def test_full_disk_writes_nothing_and_leaves_the_store_usable(
    path: Path, commit: Commit
) -> None:
    store = SqliteStore(path, max_pages=60)
    await store.open(node=True)
    with pytest.raises(StoreFullError, match="free space"):
        await fill(store)
    before = await read_everything(store)

    big = entry(9, 2_000, b"x" * 40_000)
    with pytest.raises(StoreFullError, match="free space"):
        await store.commit(
            Commit(starts=commit.starts, journal=[*commit.journal, big], mail=commit.mail)
        )

    assert await read_everything(store) == before
    await start(store, execution(3))
    await store.close()


async def test_store_that_another_program_holds_is_busy(store: SqliteStore, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for commit in (BOTH, ALONE):
            with pytest.raises(StoreBusyError, match="busy_timeout"):
                await store.commit(commit)
        with pytest.raises(StoreBusyError):
            await store.forget(finished_before=5, limit=5)

    await store.commit(BOTH)
    assert await store.journal(2) == [entry(2)]


@pytest.mark.parametrize(
    ("word", "code", "error"),
    [
        ("BEGIN", sqlite3.SQLITE_IOERR, StoreBrokenError),
        ("INSERT", sqlite3.SQLITE_IOERR_FSYNC, StoreBrokenError),
        ("INSERT", sqlite3.SQLITE_CORRUPT, StoreCorruptError),
        ("INSERT", sqlite3.SQLITE_FULL, StoreFullError),
        ("COMMIT", sqlite3.SQLITE_FULL, StoreFullError),
        ("COMMIT", sqlite3.SQLITE_IOERR_FSYNC, StoreBrokenError),
        ("COMMIT", sqlite3.SQLITE_ERROR, StoreBrokenError),
    ],
)
async def test_error_is_named_by_what_it_leaves_known(
    store: SqliteStore,
    monkeypatch: pytest.MonkeyPatch,
    word: str,
    code: int,
    error: type[StoreError],
) -> None:
    await start(store, execution(1))
    before = await read_everything(store)
    with monkeypatch.context() as patched:
        patched.setattr(store, "_execute", FailingExecute(store, word, code))
        with pytest.raises(StoreError) as caught:
            await store.commit(BOTH)

    assert type(caught.value) is error
    await store.close()
    await store.open(node=True)
    assert await read_everything(store) == before


@pytest.mark.parametrize("word", ["INSERT INTO attributes", "WITH dropped", "COMMIT"])
async def test_attributes_are_written_with_their_commit_or_not_at_all(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    await store.commit(Commit(starts=[execution(1)], attributes=said(1, size="5")))
    before = await read_everything(store)
    with monkeypatch.context() as patched:
        patched.setattr(store, "_execute", FailingExecute(store, word, sqlite3.SQLITE_FULL))
        with pytest.raises(StoreFullError):
            await store.commit(SAID)

    assert await read_everything(store) == before
    await store.commit(SAID)
    assert await store.attributes(1) == {"colour": "red"}


@pytest.mark.parametrize(
    ("attributes", "statements"),
    [
        ([], 0),
        ([one for key in range(256) for one in said(key, colour="red")], 1),
        ([one for key in range(256) for one in said(key, colour="red", size=None)], 2),
    ],
    ids=["none", "set", "set and deleted"],
)
async def test_attributes_take_a_statement_for_what_is_set_and_one_for_what_is_deleted(
    store: SqliteStore,
    monkeypatch: pytest.MonkeyPatch,
    attributes: list[AttributeRow],
    statements: int,
) -> None:
    executed: list[str] = []
    execute = store._execute

    def record(text: str, values: list[str | int | bytes | None]) -> object:
        executed.append(text)
        return execute(text, values)

    monkeypatch.setattr(store, "_execute", record)
    await store.commit(Commit(journal=[entry(1)], attributes=attributes))

    assert len(executed) == (1 if not attributes else 3 + statements)
    assert sum("attributes" in text for text in executed) == statements


async def test_broken_store_refuses_everything_until_it_is_opened_again(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = FailingExecute(store, "INSERT", sqlite3.SQLITE_IOERR_WRITE, after=True)
    with monkeypatch.context() as patched:
        patched.setattr(store, "_execute", failing)
        with pytest.raises(StoreBrokenError):
            await store.commit(ALONE)
        patched.undo()
    store._execute = store._not_open

    for call in (store.commit(BOTH), store.execution("a"), store.executions(Query())):
        with pytest.raises(StoreBrokenError, match="open it again"):
            await call
    await store.close()
    await store.open(node=True)
    assert await store.journal(1) == list(ALONE.journal)  # it had been written after all


async def test_value_that_sqlite_cannot_hold_is_refused_with_its_commit(
    store: SqliteStore,
) -> None:
    for row in (
        execution(2)._replace(created_at=2**63),
        execution(2)._replace(id="half a \ud800 character"),
    ):
        with pytest.raises(StoreError, match="cannot hold"):
            await store.commit(Commit(starts=[row], journal=[entry(1)], mail=[letter("a")]))

    assert not any((await read_everything(store)).values())
    await store.commit(BOTH)


async def test_program_error_in_the_middle_of_a_commit_undoes_it(store: SqliteStore) -> None:
    wrong = cast("list[MailRow]", [letter("a"), None])
    with pytest.raises(TypeError):
        await store.commit(Commit(starts=[execution(1)], mail=wrong))

    assert not any((await read_everything(store)).values())
    await store.commit(BOTH)


async def test_status_that_does_not_exist_is_reported(store: SqliteStore, path: Path) -> None:
    await start(store, execution(1))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("UPDATE executions SET status = 'asleep'")

    with pytest.raises(StoreCorruptError, match=r"execution-1.*asleep"):
        await store.execution("execution-1")
