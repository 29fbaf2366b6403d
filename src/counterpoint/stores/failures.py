"""What an error of SQLite means for the promise that a store gives."""

import sqlite3

from counterpoint.errors import (
    StoreBrokenError,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
)

BINDING_ERRORS = (ValueError, OverflowError)
"""What sqlite3 raises beside its own errors for values that SQLite cannot hold."""

_PRIMARY = 0xFF
_FULL = (StoreFullError, "the disk or the quota is full: free space")
_MEANINGS: dict[int, tuple[type[StoreError], str]] = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: (
        StoreReadOnlyError,
        "the file or its directory cannot be written to: change the permissions",
    ),
    sqlite3.SQLITE_PERM: (StoreReadOnlyError, "access was denied: change the permissions"),
    sqlite3.SQLITE_CANTOPEN: (
        StoreReadOnlyError,
        "the file cannot be opened: check that its directory exists and can be written to",
    ),
    sqlite3.SQLITE_BUSY: (
        StoreBusyError,
        "another process held the file for longer than busy_timeout: try again, or find out which "
        "program keeps a transaction open",
    ),
    sqlite3.SQLITE_LOCKED: (StoreBusyError, "another connection holds a table: try again"),
    sqlite3.SQLITE_CORRUPT: (StoreCorruptError, "the file is damaged: restore it from a backup"),
    sqlite3.SQLITE_NOTADB: (
        StoreCorruptError,
        "not a Counterpoint store, not even an SQLite file: check the path",
    ),
    sqlite3.SQLITE_IOERR: (
        StoreBrokenError,
        "the disk reported an error: look at the system's log, then open the store again",
    ),
}

_WRITE_REFUSED = (
    "the disk could not be written to: it is failing, or a limit on the size of files is reached "
    "(ulimit -f); look at the system's log, then open it again"
)
_UNCONFIRMED = (
    "the disk could not confirm what was written: look at the system's log, check the disk, and "
    "start a new process; what this one reads may never reach the disk"
)
_SYNC_ERRORS = frozenset(
    {
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_DIR_FSYNC,
        sqlite3.SQLITE_IOERR_CLOSE,
        sqlite3.SQLITE_IOERR_DIR_CLOSE,
    }
)
"""After these the system may have dropped written pages, and says so only once."""

_CERTAIN = (StoreFullError, StoreBusyError, StoreReadOnlyError, StoreCorruptError)


def error_code(error: BaseException) -> int | None:
    """Return SQLite's extended result code of an error, or None if SQLite did not raise it."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return code


def translate(error: BaseException, path: str) -> StoreError:
    """Return the error that says what *error* means to a caller; the transaction is over."""
    code = error_code(error)
    if code is None:
        return StoreError(f"{path}: SQLite cannot hold one of the values: {error}")
    if is_unconfirmed(error):
        return unconfirmed(path, error)
    if code == sqlite3.SQLITE_IOERR_WRITE:
        return StoreBrokenError(f"{path}: {_WRITE_REFUSED} ({error})")
    if code & _PRIMARY in _MEANINGS:
        # Without room for its shared memory SQLite speaks of the disk, before it writes anything.
        room = code != sqlite3.SQLITE_IOERR_SHMSIZE
        kind, advice = _MEANINGS[code & _PRIMARY] if room else _FULL
        return kind(f"{path}: {advice} ({error})")
    return StoreError(f"{path}: {error}")


def translate_commit(error: BaseException, path: str) -> StoreError:
    """Return what *error* means if the statement that raised it was the one that commits.

    A full disk and a lock are found before the commit's last page is written; after any other error
    that page may have been written, and be found by whoever opens the file next.
    """
    known = translate(error, path)
    code = error_code(error)
    if code is None or isinstance(known, (*_CERTAIN, StoreBrokenError)):
        return known
    return StoreBrokenError(f"{path}: the commit's outcome is unknown: {error}; open it again")


def is_unconfirmed(error: BaseException) -> bool:
    """Whether a sync failed: what was written before may be lost, and no later sync will say so."""
    return error_code(error) in _SYNC_ERRORS


def unconfirmed(path: str, error: BaseException) -> StoreBrokenError:
    """Return the error that ends a process: the disk could not confirm what was written."""
    fatal = StoreBrokenError(f"{path}: {_UNCONFIRMED} ({error})")
    fatal.fatal = True
    return fatal
