"""The disk of a round: full, failing or remembering on request, beneath the files of one store.

A shim, `disk.c`, is compiled when it is needed and loaded before everything else (LD_PRELOAD); it
stands between SQLite and the system. It does nothing until a process arms it, and then only to the
files of one store. The processes of a round share a page of memory by which they, and the round,
tell it what to do.
"""

import ctypes
import functools
import mmap
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path

SOURCE = Path(__file__).with_name("disk.c")
SHIM = "disk.so"
VARIABLE = "LD_PRELOAD"
COMPILER = "cc"
COMPILED_WITHIN_SECONDS = 60.0


class Kind(IntEnum):
    """A file of a store."""

    DATABASE = 1
    LOG = 2
    JOURNAL = 3
    SHARED = 4
    LOCK = 5
    FOLDER = 6


class Control(ctypes.Structure):
    """What the shim is told and what it tells; `struct control` in disk.c says what each is."""

    _fields_ = [
        (name, ctypes.c_int64)
        for name in (
            "room",
            "refused",
            "fail_kinds",
            "fail_at",
            "fail_count",
            "syncs",
            "failed",
            "stop_at",
            "operations",
            "stopped",
        )
    ]
    room: int
    refused: int
    fail_kinds: int
    fail_at: int
    fail_count: int
    syncs: int
    failed: int
    stop_at: int
    operations: int
    stopped: int


class Disk:
    """Beneath one store's files, in all processes that arm it; made before they are forked."""

    def __init__(self, store: Path, *, history: Path | None = None) -> None:
        self.store = store.absolute()
        self.history = history
        """Where everything is written down that is written to the store, if anywhere."""
        self._page = mmap.mmap(-1, mmap.PAGESIZE)
        self.control = Control.from_buffer(self._page)
        self.control.room = -1

    def arm(self, *, fails: bool = True) -> None:
        """Have the store's files of this process on this disk; *fails*: also where syncs fail."""
        history = -1
        if self.history is not None:
            history = os.open(self.history, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        path = os.fsencode(self.store)
        shim = _shim()
        assert shim is not None, "run this with the shim: begin_again() or preloaded()"
        shim.disk_arm(path, ctypes.byref(self.control), ctypes.c_int(history), ctypes.c_int(fails))

    def fill(self, room: int) -> None:
        """Let the files grow by so many bytes and no more, until `free`."""
        self.control.refused = 0
        self.control.room = room

    def free(self) -> None:
        """Let the files grow as they like."""
        self.control.room = -1

    def fail_sync(self, number: int, kinds: Sequence[Kind], count: int = 1) -> None:
        """Have a sync of these files fail: the one with this number, from 1, and so many in all."""
        self.control.syncs = self.control.failed = 0
        self.control.fail_kinds = sum(1 << kind for kind in kinds)
        self.control.fail_count = count
        self.control.fail_at = number

    def stop_before(self, number: int) -> None:
        """Have the process stop itself (SIGSTOP) before an operation from now; 1 is the next."""
        self.control.stopped = 0
        self.control.stop_at = self.control.operations + number

    def stop_at_failure(self) -> None:
        """Have a process stop itself when one of its syncs has failed."""
        self.control.stopped = 0
        self.control.stop_at = -1

    def go_well(self) -> None:
        """Fail and stop no more."""
        self.free()
        self.control.fail_at = self.control.stop_at = 0


def why_not() -> str | None:
    """Return why this machine cannot have such disks, or None if it can."""
    if not sys.platform.startswith("linux") or platform.architecture()[0] != "64bit":
        return "the disk shim needs 64-bit Linux"
    if shutil.which(COMPILER) is None:
        return f"the disk shim needs a C compiler, and there is no {COMPILER!r}"
    return None


def build(directory: Path) -> Path:
    """Compile the shim into a directory; return where it is.

    Raises:
        subprocess.CalledProcessError: it cannot be compiled.
    """
    shim = directory / SHIM
    command = [COMPILER, "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC"]
    subprocess.run(
        [*command, "-o", str(shim), str(SOURCE)], check=True, timeout=COMPILED_WITHIN_SECONDS
    )
    return shim


def preloaded(shim: Path) -> dict[str, str]:
    """Return the variables of this process for a program that is to run with the shim."""
    earlier = os.environ.get(VARIABLE)
    return os.environ | {VARIABLE: f"{shim} {earlier}" if earlier else str(shim)}


def is_loaded() -> bool:
    """Whether this process has the shim."""
    return _shim() is not None


def begin_again(module: str, arguments: Sequence[str]) -> int:
    """Run a module of this program again, in a process with the shim; return its exit code."""
    with tempfile.TemporaryDirectory(prefix="disk-") as directory:
        shim = build(Path(directory))
        command = [sys.executable, "-m", module, *arguments]
        return subprocess.run(command, env=preloaded(shim), check=False).returncode


@functools.cache
def _shim() -> ctypes.CDLL | None:
    this_process = ctypes.CDLL(None)
    return this_process if hasattr(this_process, "disk_arm") else None
