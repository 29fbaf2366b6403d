"""What SQLite does not see to in its write-ahead log: that what it reads there is durable, and that
somebody hears when a checkpoint fails.

*What an earlier process left.* SQLite believes every whole frame that it reads in the log. A frame
may be there that only the page cache holds: its process was killed before it synced it, or the
sync failed, after which Linux takes the page for clean and never writes it again. Whoever believes
such a frame and appends acknowledged commits behind it loses them with it at a power cut, since the
log is read up to its first gap. So who opens a store writes the log's bytes again, in place, and
syncs them, before anything is read from it: the pages are dirty then, and a sync is about them.

*Checkpoints.* SQLite moves the log into the file by itself after some commit, and tells nobody when
that fails: on a disk that cannot sync, the log grows for ever in silence. So a node's connection
does it here. It is due after as many rows as filled about `PAGES` pages of the log last time, or
when the log's file has grown by as much. A sync that fails is an error that ends the process (see
`failures`); whatever else fails leaves the log as it is, which loses nothing, and is tried again.
"""

import errno
import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from counterpoint.errors import StoreError, StoreFullError
from counterpoint.stores.failures import is_unconfirmed, translate, unconfirmed

PAGES = 1_000
"""Pages of the log after which it is moved into the file; SQLite's own default."""
BYTES = PAGES * 4_096
PAGES_A_ROW_MIN, PAGES_A_ROW_MAX = 0.05, 5.0
_CHUNK = 1 << 20


def log_path(store: Path) -> Path:
    """Return the write-ahead log of a store."""
    return store.with_name(store.name + "-wal")


def make_durable(store: Path) -> None:
    """Write a store's log again and sync it; the caller keeps others from writing to it.

    Raises:
        StoreFullError: there is no room for it.
        StoreBrokenError: the disk does not confirm it; fatal for this process.
    """
    try:
        log = log_path(store).open("r+b", buffering=0)
    except OSError:
        return  # there is none, or SQLite says what keeps it from being written
    with log:
        try:
            offset = 0
            while chunk := log.read(_CHUNK):
                log.seek(offset)
                offset += log.write(chunk)
                log.seek(offset)
            os.fsync(log.fileno())
        except OSError as error:
            raise _unwritten(store, error) from error


def _unwritten(store: Path, error: OSError) -> StoreError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFullError(f"{store}: the disk or the quota is full: free space ({error})")
    return unconfirmed(str(store), error)


class Checkpoints:
    """Moves the log into the file, now and then, on the connection of a node."""

    def __init__(self, store: Path, connection: sqlite3.Connection, name: str) -> None:
        self._log = log_path(store)
        self._connection = connection
        self._name = name
        self._rows = connection.total_changes
        self._rows_due = float(PAGES)
        self._bytes = 0
        connection.execute("PRAGMA wal_autocheckpoint = 0")

    def after_commit(self) -> None:
        """Do what is due after a commit.

        Raises:
            StoreBrokenError: the file cannot be synced; fatal for this process.
        """
        rows = self._connection.total_changes - self._rows
        if rows >= self._rows_due or self._size() > self._bytes + BYTES:
            self._run(rows)

    def _run(self, rows: int) -> None:
        try:
            _, pages, _ = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            if is_unconfirmed(error):
                raise translate(error, self._name) from error
        else:
            a_row = max(PAGES_A_ROW_MIN, min(pages / max(1, rows), PAGES_A_ROW_MAX))
            self._rows_due = PAGES / a_row
        self._rows = self._connection.total_changes
        self._bytes = self._size()

    def _size(self) -> int:
        with suppress(OSError):
            return self._log.stat().st_size
        return 0
