"""A power cut: what a disk may have kept of what was written to a store's files, and nothing more.

The shim writes down every write, truncation, deletion and sync of all processes, in order. After a
cut the disk holds of each file:

* everything that was written before a sync which succeeded began;
* of what was written later, anything: each sector of each write, and each truncation, or not;
* of what was written before a sync that *failed*, anything, whatever succeeded later: the system
  may have dropped those pages, and says so only once;
* a new file, or a deletion, certainly only after a sync of the folder.
"""

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.disk import Kind

SECTOR = 512
SUFFIXES = {Kind.DATABASE: "", Kind.LOG: "-wal", Kind.JOURNAL: "-journal"}
MODES = ("nothing", "a prefix", "some writes", "some sectors", "everything")
_HEAD = struct.Struct("<qqqii")


@dataclass(frozen=True)
class Operation:
    """An entry of the history."""

    what: str
    """`w` write, `t` truncate, `u` unlink; a sync `b` begins, `e` ended or `f` failed."""
    kind: Kind
    ticket: int
    offset: int
    """Of a write; the length of a truncation."""
    data: bytes


@dataclass
class File:
    """A file from its making until it was deleted."""

    kind: Kind
    made: int
    """The number of the operation that made it; the files of before a history have -1."""
    content: bytearray
    changes: list[int] = field(default_factory=list[int])
    """The numbers of the writes and truncations."""
    synced: int = -1
    """The number of the last operation before a sync that succeeded."""
    doubtful: set[int] = field(default_factory=set[int])
    """What was there to be synced when a sync failed."""


@dataclass
class Kept:
    """What a cut came to."""

    unsynced: int = 0
    """Writes that no sync had made durable."""
    lost: int = 0
    """Of these, those of which nothing or not everything was kept."""


class PowerCut:
    """Cuts the power of a store whose history is written down; all its processes are dead then."""

    def __init__(self, store: Path, history: Path) -> None:
        self.store = store
        self.history = history
        self._before: dict[Kind, bytes] = {}
        """The files when the history began."""

    def cut(self, dice: random.Random, mode: str | None = None) -> Kept:
        """Put the files as a disk may hold them now, and begin a new history."""
        operations = list(read_history(self.history))
        mode = mode or dice.choice(MODES)
        self._before, kept = after_cut(self._before, operations, dice, mode)
        for kind, suffix in SUFFIXES.items():
            path = self._path(suffix)
            path.unlink(missing_ok=True)
            if kind in self._before:
                path.write_bytes(self._before[kind])
        self._path("-shm").unlink(missing_ok=True)
        self.history.unlink(missing_ok=True)
        return kept

    def _path(self, suffix: str) -> Path:
        return self.store.with_name(self.store.name + suffix)


def read_history(path: Path) -> Iterator[Operation]:
    """Return the operations of a history, oldest first."""
    content = path.read_bytes() if path.exists() else b""
    place = 0
    while place < len(content):
        ticket, offset, length, what, kind = _HEAD.unpack_from(content, place)
        place += _HEAD.size
        size = length if chr(what) == "w" else 0
        yield Operation(chr(what), Kind(kind), ticket, offset, content[place : place + size])
        place += size


def after_cut(
    before: dict[Kind, bytes], operations: list[Operation], dice: random.Random, mode: str
) -> tuple[dict[Kind, bytes], Kept]:
    """Return files that a disk may hold after operations, and how much of these they miss."""
    kept = Kept()
    found: dict[Kind, bytes] = {}
    prefix = dice.randrange(len(operations) + 1)
    for kind in SUFFIXES:
        states, settled = _files(kind, before, operations)
        durable = [n for n, (number, _) in enumerate(states) if number <= settled][-1]
        newest = durable if mode == "nothing" else len(states) - 1
        _, file = states[dice.randint(durable, newest) if mode != "everything" else -1]
        if file is not None:
            found[kind] = _content(file, operations, dice, mode, prefix, kept)
    return found, kept


def _files(
    kind: Kind, before: dict[Kind, bytes], operations: list[Operation]
) -> tuple[list[tuple[int, File | None]], int]:
    """Return what a name has meant since which operation, and how far the folder was synced."""
    file = File(kind, -1, bytearray(before[kind])) if kind in before else None
    states: list[tuple[int, File | None]] = [(-1, file)]
    began: dict[int, int] = {}
    settled = -1
    for number, operation in enumerate(operations):
        if operation.kind is Kind.FOLDER:
            if operation.what == "b":
                began[operation.ticket] = number
            elif operation.what == "e":
                settled = max(settled, began[operation.ticket])
        elif operation.kind is kind:
            if operation.what == "u":
                file = None
                states.append((number, file))
                continue
            if file is None:
                file = File(kind, number, bytearray())
                states.append((number, file))
            _note(file, number, operation, began)
    return states, settled


def _note(file: File, number: int, operation: Operation, began: dict[int, int]) -> None:
    match operation.what:
        case "w" | "t":
            file.changes.append(number)
        case "b":
            began[operation.ticket] = number
        case "e":
            file.synced = max(file.synced, began[operation.ticket])
        case _:
            file.doubtful.update(n for n in file.changes if n > file.synced)


def _content(
    file: File,
    operations: list[Operation],
    dice: random.Random,
    mode: str,
    prefix: int,
    kept: Kept,
) -> bytes:
    for number in file.changes:
        operation = operations[number]
        if number <= file.synced and number not in file.doubtful:
            _apply(file.content, operation)
            continue
        kept.unsynced += 1
        whole = mode == "everything" or (mode == "a prefix" and number < prefix)
        if whole or (mode == "some writes" and dice.random() < 1 / 2):
            _apply(file.content, operation)
            continue
        kept.lost += 1
        if mode == "some sectors" or (mode == "a prefix" and number == prefix):
            _apply_torn(file.content, operation, dice)
    return bytes(file.content)


def _apply(content: bytearray, operation: Operation) -> None:
    offset, data = operation.offset, operation.data
    if operation.what == "t":
        del content[offset:]
        content.extend(bytes(offset - len(content)))
        return
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data


def _apply_torn(content: bytearray, operation: Operation, dice: random.Random) -> None:
    """Apply some of the sectors of a write; a truncation perhaps."""
    if operation.what == "t":
        if dice.random() < 1 / 2:
            _apply(content, operation)
        return
    end = operation.offset + len(operation.data)
    place = operation.offset
    while place < end:
        beyond = min(end, (place // SECTOR + 1) * SECTOR)
        if dice.random() < 1 / 2:
            part = operation.data[place - operation.offset : beyond - operation.offset]
            _apply(content, Operation("w", operation.kind, 0, place, part))
        place = beyond
