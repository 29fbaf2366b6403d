"""What SQLite's errors mean for a commit."""

import sqlite3

import pytest

from counterpoint.errors import StoreBrokenError, StoreCorruptError, StoreFullError
from counterpoint.stores.failures import translate_commit


def failure(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("injected")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    "code",
    [
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_DIR_FSYNC,
        sqlite3.SQLITE_IOERR_CLOSE,
        sqlite3.SQLITE_IOERR_DIR_CLOSE,
    ],
)
def test_what_the_disk_could_not_confirm_is_fatal(code: int) -> None:
    error = translate_commit(failure(code), "shop.db")

    assert isinstance(error, StoreBrokenError)
    assert error.fatal
    assert "start a new process" in str(error)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR])
def test_other_errors_of_the_disk_leave_the_outcome_unknown_until_it_is_opened_again(
    code: int,
) -> None:
    error = translate_commit(failure(code), "shop.db")

    assert isinstance(error, StoreBrokenError)
    assert not error.fatal
    assert "again" in str(error)


def test_refused_write_names_the_limit_on_file_sizes() -> None:
    error = translate_commit(failure(sqlite3.SQLITE_IOERR_WRITE), "shop.db")

    assert "a limit on the size of files is reached (ulimit -f)" in str(error)


@pytest.mark.parametrize(
    ("code", "kind"),
    [(sqlite3.SQLITE_FULL, StoreFullError), (sqlite3.SQLITE_CORRUPT, StoreCorruptError)],
)
def test_full_and_damaged_files_are_certain_not_to_hold_the_commit(
    code: int, kind: type[Exception]
) -> None:
    assert type(translate_commit(failure(code), "shop.db")) is kind
