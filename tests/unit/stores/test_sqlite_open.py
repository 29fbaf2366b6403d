"""Which files are opened, and what is said about the others."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from counterpoint.errors import (
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
    StoreVersionError,
)
from counterpoint.stores.migrate import APPLICATION_ID, MIGRATIONS
from counterpoint.stores.sqlite import SqliteStore
from counterpoint.testing.conformance.store_case import execution, post, start

pytestmark = pytest.mark.parametrize("node", [True, False], ids=["node", "client"])

TABLES = {
    "executions",
    "journal",
    "mailbox",
    "events",
    "subscriptions",
    "reactions",
    "holds",
    "event_waits",
    "dead_letters",
    "attributes",
    "contracts",
    "nodes",
    "acts",
}


PHOTOGRAPHS = b"these are my holiday photographs" * 100


def content(path: Path) -> bytes:
    return path.read_bytes()


def fill(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def protect(path: Path, mode: int) -> None:
    path.chmod(mode)


async def create(path: Path) -> None:
    store = SqliteStore(path)
    await store.open(node=True)
    await start(store, execution(1))
    await store.close()


def pragma(path: Path, text: str) -> object:
    with closing(sqlite3.connect(path)) as connection:
        row: tuple[object] | None = connection.execute(f"PRAGMA {text}").fetchone()
        return row and row[0]


async def test_new_file_has_every_table_and_both_marks(path: Path, node: bool) -> None:
    store = SqliteStore(path)
    await store.open(node=node)
    await store.close()

    with closing(sqlite3.connect(path)) as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    assert names >= TABLES
    assert pragma(path, "application_id") == APPLICATION_ID
    assert pragma(path, "user_version") == len(MIGRATIONS)
    assert pragma(path, "journal_mode") == "wal"


async def test_file_named_by_a_string_is_opened(path: Path, node: bool) -> None:
    await create(path)

    store = SqliteStore(str(path))
    await store.open(node=node)

    assert await store.execution("execution-1") == execution(1)
    await store.close()


@pytest.mark.parametrize("name", ["", ":memory:"])
async def test_nameless_file_is_refused_with_what_to_write(name: str, node: bool) -> None:
    with pytest.raises(StoreError, match="MemoryStore"):
        SqliteStore(name)


async def test_file_of_something_else_is_refused_and_left_alone(path: Path, node: bool) -> None:
    fill(path, PHOTOGRAPHS)
    store = SqliteStore(path)

    with pytest.raises(StoreCorruptError, match="not a Counterpoint store"):
        await store.open(node=node)

    assert content(path) == PHOTOGRAPHS


@pytest.mark.parametrize(
    "script",
    ["CREATE TABLE photographs (name)", "PRAGMA application_id = 7", "PRAGMA user_version = 3"],
)
async def test_database_of_another_program_is_refused_and_left_alone(
    path: Path, script: str, node: bool
) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    before = content(path)

    with pytest.raises(StoreCorruptError, match="another program"):
        await SqliteStore(path).open(node=node)

    assert content(path) == before


async def test_file_of_a_newer_version_is_refused_and_left_alone(path: Path, node: bool) -> None:
    await create(path)
    pragma(path, f"user_version = {len(MIGRATIONS) + 1}")
    before = content(path)

    with pytest.raises(StoreVersionError, match="upgrade"):
        await SqliteStore(path).open(node=node)

    assert content(path) == before


async def test_truncated_file_is_refused(path: Path, node: bool) -> None:
    await create(path)
    fill(path, content(path)[: 3 * 4096])

    with pytest.raises(StoreCorruptError, match="backup"):
        await SqliteStore(path).open(node=node)


async def test_directory_that_is_missing_is_named(tmp_path: Path, node: bool) -> None:
    with pytest.raises(StoreReadOnlyError, match="missing does not exist"):
        await SqliteStore(tmp_path / "missing" / "counterpoint.db").open(node=node)


async def test_path_of_a_directory_is_refused(tmp_path: Path, node: bool) -> None:
    with pytest.raises(StoreReadOnlyError, match="is a directory"):
        await SqliteStore(tmp_path).open(node=node)


async def test_directory_that_cannot_be_written_is_refused(
    directory: Path, node: bool, request: pytest.FixtureRequest
) -> None:
    protect(directory, 0o555)
    request.getfixturevalue("ordinary_user")

    with pytest.raises(StoreReadOnlyError, match="written"):
        await SqliteStore(directory / "counterpoint.db").open(node=node)


async def test_file_that_cannot_be_written_is_refused_to_nodes_and_mail(
    directory: Path, node: bool, request: pytest.FixtureRequest
) -> None:
    path = directory / "counterpoint.db"
    await create(path)
    protect(path, 0o444)
    protect(directory, 0o777)
    protect(path.with_name(path.name + ".lock"), 0o666)
    request.getfixturevalue("ordinary_user")
    store = SqliteStore(path)

    async def open_and_post() -> None:
        await store.open(node=node)
        await post(store, "a")

    with pytest.raises(StoreReadOnlyError, match="permissions"):
        await open_and_post()

    await store.close()


async def test_disk_that_is_full_at_the_first_opening_is_reported(path: Path, node: bool) -> None:
    with pytest.raises(StoreFullError, match="free space"):
        await SqliteStore(path, max_pages=5).open(node=node)


async def test_opening_that_failed_can_be_tried_again(path: Path, node: bool) -> None:
    store = SqliteStore(path)
    fill(path, PHOTOGRAPHS)
    with pytest.raises(StoreCorruptError):
        await store.open(node=node)
    fill(path, b"")

    await store.open(node=node)

    assert await store.execution("a") is None
    await store.close()


async def test_open_client_is_not_opened_again(path: Path, node: bool) -> None:
    store = SqliteStore(path)
    await store.open(node=False)

    with pytest.raises(StoreError):
        await store.open(node=node)
    assert await store.execution("a") is None
    await store.close()
