"""The write-ahead log of a store's file, read without SQLite, and cut where a round wants it cut.

The format is that of https://www.sqlite.org/fileformat2.html#the_write_ahead_log: a header of 32
bytes, then frames of 24 bytes and a page each; the last frame of a commit says how many pages the
file has then. A frame belongs to the log if it has the salts of the header.
"""

import shutil
import sqlite3
import struct
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24
_PAGE_SIZE_AT = 8
_SALTS = slice(16, 24)
_FRAME_SALTS = slice(8, 16)
_MOVED_AT = 96
"""Where the shared memory has the number of frames that were moved into the file."""


@dataclass
class Log:
    """What a log holds."""

    size: int
    """Of the file, in bytes."""
    commits: tuple[int, ...]
    """Where each commit ends, in bytes."""
    moved: int
    """Where that ends which was moved into the file already (a checkpoint), in bytes."""
    salts: bytes
    """What the log has in common with none before it."""

    def commits_before(self, cut: int) -> int:
        """Return how many whole commits there are before an offset."""
        return sum(end <= cut for end in self.commits)


def log_of(store: Path) -> Path:
    """Return where the log of a store is."""
    return store.with_name(f"{store.name}-wal")


def shared_memory_of(store: Path) -> Path:
    """Return where the index of a store's log is."""
    return store.with_name(f"{store.name}-shm")


def read_log(store: Path) -> Log:
    """Return what the log of a store holds that nobody has open; nothing if there is none."""
    path = log_of(store)
    content = path.read_bytes() if path.exists() else b""
    if len(content) < HEADER_BYTES:
        return Log(len(content), (), 0, b"")
    (page_bytes,) = struct.unpack_from(">I", content, _PAGE_SIZE_AT)
    frame_bytes = FRAME_HEADER_BYTES + page_bytes
    salts = content[_SALTS]
    commits: list[int] = []
    for place in range(HEADER_BYTES, len(content) - frame_bytes + 1, frame_bytes):
        header = content[place : place + FRAME_HEADER_BYTES]
        if header[_FRAME_SALTS] != salts:
            break
        (pages,) = struct.unpack_from(">I", header, 4)
        if pages:
            commits.append(place + frame_bytes)
    return Log(len(content), tuple(commits), _moved(store, frame_bytes), salts)


def _moved(store: Path, frame_bytes: int) -> int:
    path = shared_memory_of(store)
    if not path.exists():
        return 0
    (frames,) = struct.unpack_from("=I", path.read_bytes(), _MOVED_AT)
    return HEADER_BYTES + int(frames) * frame_bytes if frames else 0


def cut_log(store: Path, cut: int | None) -> None:
    """Cut the log at an offset, or delete it; the index of it goes as after a restart."""
    shared_memory_of(store).unlink(missing_ok=True)
    if cut is None:
        log_of(store).unlink()
        return
    with log_of(store).open("r+b") as file:
        file.truncate(cut)


def copy_store(store: Path, directory: Path) -> Path:
    """Copy a store that nobody has open, with its log; return the copy."""
    directory.mkdir()
    for path in (store, log_of(store)):
        if path.exists():
            shutil.copy(path, directory)
    return directory / store.name


def digest(store: Path) -> str:
    """Return a digest of every row of a store, as SQLite finds it; it is changed by that."""
    found = blake2b(digest_size=16)
    with closing(sqlite3.connect(store)) as db:
        for line in db.iterdump():
            found.update(line.encode())
    return found.hexdigest()
