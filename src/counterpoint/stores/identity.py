"""Which file a path means, and whether it still means it.

Two names of one file would be two stores to the lock beside it, and two write-ahead logs to SQLite,
which damages the file. So symbolic links are followed before anything is opened, and a file with
several hard links is refused. Nothing here opens the file: closing it again would give back the
locks that SQLite holds on it in this process.

While SQLite has a file open its number is not given to another one, so a path that leads to another
number, or nowhere, leads to another file.
"""

import os
from pathlib import Path

from counterpoint.errors import StoreBrokenError, StoreError, StoreReadOnlyError


def real_path(path: Path) -> Path:
    """Return the absolute path without symbolic links; the file need not exist.

    Raises:
        StoreReadOnlyError: the links lead in a circle, or cannot be followed.
    """
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        raise StoreReadOnlyError(
            f"{path} cannot be found: check the symbolic links in it ({error})"
        ) from error


class Identity:
    """The file at a path, as it was when this was made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._text = str(path)
        self._found = self._look()

    def holds(self) -> bool:
        """Whether the path leads to the same file still; costs 2 µs."""
        try:
            now = os.stat(self._text)  # noqa: PTH116 - Path.stat takes half as long again
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True  # it cannot be seen, which says nothing about what it is
        return (now.st_dev, now.st_ino) == self._found[:2]

    def check(self) -> None:
        """Raise the fatal error of `lost` unless the path leads to the same file."""
        if not self.holds():
            raise self.lost()

    def lost(self) -> StoreBrokenError:
        """Return the error that says that the file is gone."""
        error = StoreBrokenError(
            f"{self._path}: the store file was deleted or replaced while it was in use; what was "
            "written last may be lost: restore the file (without the -wal and -shm files of "
            "another one beside it) and start a new process"
        )
        error.fatal = True
        return error

    def check_single_name(self) -> None:
        """Refuse a file that has other names.

        Raises:
            StoreError: it has hard links.
        """
        names = self._found[2]
        if names > 1:
            raise StoreError(
                f"{self._path} has {names} names (hard links): SQLite would keep a log beside each "
                "of them and damage the file; delete the other names, or give each its own copy"
            )

    def _look(self) -> tuple[int, int, int]:
        """Return the device, the file's number on it and the count of its names; 0 if unknown."""
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0, 0)
        return (found.st_dev, found.st_ino, found.st_nlink)
