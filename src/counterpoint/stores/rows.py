"""Rows to SQL parameters and back.

*Many rows, few statements.* Writing 100 rows one by one costs 100 steps of SQLite, each of which
gives Python's lock away; `executemany` does just that. One statement with 100 value groups is one
step, but every number of groups is a statement of its own to compile. So rows go in chunks of a
few sizes, whose statements stay compiled in the connection's cache.
"""

import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from operator import itemgetter
from typing import TypeAlias

from counterpoint.errors import StoreCorruptError
from counterpoint.model.rows import AttributeRow, Commit, ExecutionRow, JournalRow
from counterpoint.model.states import Status
from counterpoint.stores.message_rows import message_parts

Value: TypeAlias = str | int | bytes | None
Execute: TypeAlias = Callable[[str, list[Value]], object]

CHUNK_SIZES = (256, 64, 16, 4, 1)
_GROUP = re.compile(r"VALUES\s*(\([^()]*\?[^()]*\))")

_PLAIN_COLUMNS = 11
_plain = itemgetter(*range(_PLAIN_COLUMNS))
_tail = itemgetter(*range(_PLAIN_COLUMNS, len(ExecutionRow._fields)))
_NO_TAIL = (None,) * (len(ExecutionRow._fields) - _PLAIN_COLUMNS)


class ManyRows:
    """A statement with one group of values, made ready to be executed for many rows.

    ManyRows("INSERT INTO pairs VALUES (?, ?)").write(cursor.execute, [(1, 2), (3, 4)])
    """

    def __init__(self, sql: str) -> None:
        found = _GROUP.search(sql)
        if found is None:
            raise ValueError(f"no group of values in {sql!r}")
        head, group, tail = sql[: found.start(1)], found[1], sql[found.end(1) :]
        self._texts = {size: head + ", ".join([group] * size) + tail for size in CHUNK_SIZES}

    def write(self, execute: Execute, rows: Sequence[Iterable[Value]]) -> None:
        """Execute the statement for all *rows*, in order, in as few steps as there are chunks."""
        left = len(rows)
        text = self._texts.get(left)
        if text is not None:
            execute(text, list(chain.from_iterable(rows)))
            return
        begin = 0
        for size in CHUNK_SIZES:
            while left >= size:
                end = begin + size
                execute(self._texts[size], list(chain.from_iterable(rows[begin:end])))
                begin, left = end, left - size


def one_chunk(rows: Sequence[object]) -> bool:
    """Whether `ManyRows.write` needs one step for these rows."""
    return len(rows) in CHUNK_SIZES


def plain_starts(starts: Sequence[ExecutionRow]) -> list[tuple[Value, ...]] | None:
    """Return the columns that every start has if no row has others, else None."""
    for row in starts:
        if _tail(row) != _NO_TAIL:
            return None
    return list(map(_plain, starts))


def last_attributes(
    rows: Iterable[AttributeRow],
) -> tuple[list[tuple[int, str, str]], list[tuple[int, str]]]:
    """Return the attributes that are set in the end, and those that are dropped, each once."""
    last = {(key, name): value for key, name, value in rows}
    kept = [(*place, value) for place, value in last.items() if value is not None]
    return kept, [place for place, value in last.items() if value is None]


def only_node_writes(commit: Commit) -> bool:
    """Whether a commit holds more than mail."""
    return bool(
        commit.starts
        or commit.journal
        or commit.updates
        or commit.taken
        or commit.attributes
        or any(message_parts(commit.messages))
    )


def execution_row(row: Sequence[object]) -> ExecutionRow:
    """Return a row of the executions table as what the port speaks in."""
    read = ExecutionRow._make(row)
    try:
        return read._replace(status=Status(read.status))
    except ValueError:
        raise StoreCorruptError(
            f"execution {read.id!r} has the status {read.status!r}, which does not exist: "
            "restore the store from a backup, or correct the row"
        ) from None


def check_digests(rows: Iterable[JournalRow]) -> None:
    """Raise `StoreCorruptError` naming the first row whose body does not match its digest."""
    for row in rows:
        if zlib.crc32(row.body) != row.digest:
            raise StoreCorruptError(
                f"the journal of the execution with key {row.execution_key} is damaged at record "
                f"{row.first_seq}: its digest does not match; restore the store from a backup"
            )
