"""The log of an SQLite store: made durable before it is believed, moved before it grows."""

import errno
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from counterpoint.errors import StoreBrokenError, StoreFullError
from counterpoint.model.rows import Commit, MailRow
from counterpoint.stores import wal
from counterpoint.stores.sqlite import SqliteStore

ROWS = 200


def mail(number: int) -> MailRow:
    return MailRow(0, f"r{number}", "start", f"e{number}", 1, "json", b"x" * 2_000)


async def write(store: SqliteStore, commits: int) -> None:
    for number in range(commits):
        first = number * ROWS
        await store.commit(Commit(mail=[mail(n) for n in range(first, first + ROWS)]))


def unsynced(error: int) -> sqlite3.OperationalError:
    failed = sqlite3.OperationalError("disk I/O error")
    failed.sqlite_errorcode = error
    return failed


class Connection:
    """A connection whose checkpoints end as they are told to."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.total_changes = 0
        self.error = error
        self.checkpoints = 0

    def execute(self, text: str) -> "Connection":
        if "wal_checkpoint" in text:
            self.checkpoints += 1
            if self.error is not None:
                raise self.error
        return self

    def fetchone(self) -> tuple[int, int, int]:
        return 0, 2 * self.total_changes, 0


def checkpoints(path: Path, connection: Any) -> wal.Checkpoints:
    return wal.Checkpoints(path / "shop.db", connection, "shop.db")


async def test_log_of_a_node_is_moved_into_the_file_before_it_grows_for_ever(
    tmp_path: Path,
) -> None:
    store = SqliteStore(tmp_path / "shop.db")
    await store.open(node=True)

    await write(store, 60)

    log, file = (tmp_path / name for name in ("shop.db-wal", "shop.db"))
    assert file.stat().st_size > 4 * wal.BYTES
    assert log.stat().st_size < 3 * wal.BYTES
    await store.close()


async def test_sync_that_fails_in_a_checkpoint_ends_the_store_for_good(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "shop.db")
    await store.open(node=True)
    failing: Any = Connection(unsynced(sqlite3.SQLITE_IOERR_FSYNC))
    store._checkpoints = checkpoints(tmp_path, failing)
    failing.total_changes = wal.PAGES

    with pytest.raises(StoreBrokenError, match="start a new process") as failed:
        await write(store, 1)

    assert failed.value.fatal
    with pytest.raises(StoreBrokenError, match="start a new process"):
        await write(store, 1)


def test_checkpoint_that_fails_otherwise_is_tried_again(tmp_path: Path) -> None:
    connection = Connection(unsynced(sqlite3.SQLITE_FULL))
    made = checkpoints(tmp_path, connection)

    for _ in range(3):
        connection.total_changes += wal.PAGES
        made.after_commit()

    assert connection.checkpoints == 3


def test_checkpoints_are_as_far_apart_as_rows_fill_the_log(tmp_path: Path) -> None:
    connection = Connection()
    made = checkpoints(tmp_path, connection)
    at: list[int] = []

    for row in range(1, 3 * wal.PAGES):
        connection.total_changes = row
        before = connection.checkpoints
        made.after_commit()
        if connection.checkpoints > before:
            at.append(row)

    assert at[:2] == [wal.PAGES, wal.PAGES * 3 // 2]


async def test_store_believes_no_log_that_it_could_not_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, store = (SqliteStore(tmp_path / "shop.db") for _ in range(2))
    await writer.open(node=False)
    await write(writer, 1)

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        for node in (True, False):
            with pytest.raises(StoreBrokenError, match="could not confirm") as failed:
                await store.open(node=node)
            assert failed.value.fatal

    await store.open(node=True)
    assert len(await store.mail(after=0, limit=1_000)) == ROWS
    await store.close()
    await writer.close()


async def test_store_that_has_no_room_to_sync_its_log_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, store = (SqliteStore(tmp_path / "shop.db") for _ in range(2))
    await writer.open(node=False)
    await write(writer, 1)

    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StoreFullError, match="free space"):
        await store.open(node=True)
    await writer.close()


def test_log_keeps_its_bytes_when_it_is_made_durable(tmp_path: Path) -> None:
    log = tmp_path / "shop.db-wal"
    content = os.urandom(wal._CHUNK + 17)
    log.write_bytes(content)

    wal.make_durable(tmp_path / "shop.db")

    assert log.read_bytes() == content
