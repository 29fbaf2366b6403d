"""The right of one process to host a store: an operating system lock on a file beside it.

The lock belongs to the open file, not to the file's existence, so a node that is killed leaves
none. The file holds the holder's process id, for the error message of others; it stays when the
lock is given back, because a process that deleted it could delete the lock of the next one. A
process that was forked from the node without `exec` shares the lock until it ends.
"""

import contextlib
import errno
import os
import sys
from pathlib import Path

from counterpoint.errors import StoreError, StoreFullError, StoreLockedError, StoreReadOnlyError

if sys.platform == "win32":
    import msvcrt

    _BYTE = 1 << 20  # beyond the text: Windows forbids others to read locked bytes

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, _BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


UNKNOWN_PROCESS = 0


def hosting_pid(store: Path) -> int | None:
    """Return the process that hosts *store*, or None where none does; take no lock to find out.

    `UNKNOWN_PROCESS` says that one may: the lock file cannot be read, or somebody holds the lock
    whose process is not in it. A process id that another process has by now counts as a node. What
    cannot be seen is a node whose processes this one cannot see: in another container.
    """
    path = lock_path(store)
    try:
        inode = path.stat().st_ino
        text = path.read_text().strip()
        pid = int(text) if text else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return UNKNOWN_PROCESS
    if pid is not None and _lives(pid):
        return pid
    return UNKNOWN_PROCESS if _is_locked(inode) else None


def lock_path(store: Path) -> Path:
    """Return the lock file beside a store, the same one for every path that leads to it."""
    with contextlib.suppress(OSError, RuntimeError):  # links in a circle lead to no store
        store = store.resolve()
    return store.with_name(store.name + ".lock")


def _lives(pid: int) -> bool:
    if sys.platform == "win32":
        return True  # there, asking by a signal would interrupt the process
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True  # it lives, and belongs to somebody else
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (OSError, ValueError):
        return True
    return status.rpartition(")")[2].split()[:1] != [
        "Z"
    ]  # has ended, and its parent has not looked


def _is_locked(inode: int) -> bool:
    """Whether any process holds a lock on a file of that number, where the system lists locks."""
    try:
        locks = Path("/proc/locks").read_text()
    except (OSError, ValueError):
        return False
    fields = (line.split() for line in locks.splitlines())
    return any("FLOCK" in held and held[-3].endswith(f":{inode}") for held in fields)


class NodeLock:
    """One process at a time holds it; taken and given back by the store that it belongs to."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._path = lock_path(store)
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock or raise at once.

        Raises:
            StoreLockedError: it is taken, by this process or by another one.
            StoreReadOnlyError, StoreFullError: the lock file cannot be written.
        """
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            _lock(descriptor)
        except OSError:
            os.close(descriptor)
            raise StoreLockedError(str(self._store), self._holder()) from None
        try:
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
        except OSError as error:
            os.close(descriptor)
            raise self._unwritable(error) from error
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; without it, do nothing."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def _holder(self) -> int | None:
        try:
            return int(self._path.read_text())
        except (OSError, ValueError):
            return None

    def _unwritable(self, error: OSError) -> StoreError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return StoreFullError(f"{self._path} cannot be written, the disk is full: free space")
        return StoreReadOnlyError(
            f"{self._path} cannot be written ({error.strerror}): a node needs to create files in "
            "the directory of its store; change its permissions or choose another directory"
        )
