"""Executions as lines of JSON: what `counterpoint journal export` writes, one execution a line.

A line holds everything that a store has of one run: its row, its attributes and all of its records,
as they are in its journal. What belongs to the store and not to the run is left out or replaced:
keys are written as id and run, the node that owns it as nothing. Requests that wait for a node are
no part of a run, and not written.

The format has a number. Fields may be added to it; what is taken away or changed makes a new one.
All that were ever written are read.
"""

import binascii
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import msgspec

from counterpoint.errors import PayloadError
from counterpoint.kernel.replay import fold
from counterpoint.model import records as r
from counterpoint.model.ids import check_execution_id
from counterpoint.model.rows import ExecutionRow, Query
from counterpoint.model.states import Status
from counterpoint.ports.codec import Codec
from counterpoint.ports.store import ReadableStore
from counterpoint.runtime.journals import journal_records

FORMAT = 1
"""The number of the format that is written."""
PAGE = 100
_READS_MAX = 5
"""How often a journal is read that its node goes on writing."""
_NAMES_MAX = 1_000


class RunName(msgspec.Struct, frozen=True):
    """Another run, as an exported one names it."""

    id: str
    run: int


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """One run of an execution, on its own: the names of the fields are those of the line."""

    format: int = FORMAT
    id: str
    run: int
    kind: str
    service: str
    name: str
    version: int
    status: Status
    fingerprint: str
    """Hexadecimal."""
    created_at: int
    """Times are microseconds UTC, as in the records."""
    wake_at: int | None
    finished_at: int | None
    deadline_at: int | None
    parent: RunName | None
    root: RunName | None
    correlation_id: str | None
    causation_id: str | None
    traceparent: str | None
    attributes: dict[str, str]
    commits: list[int]
    """How many records were written together, from the first commit to the last."""
    records: list[r.Record]


class _Format(msgspec.Struct, frozen=True):
    format: int


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Export)
_format_decoder = msgspec.json.Decoder(_Format)


def encode_export(export: Export) -> bytes:
    """Return the line of an execution, without its line end."""
    # Values are recorded as they came, and JSON may hold line ends between its parts.
    return _encoder.encode(export).replace(b"\n", b" ").replace(b"\r", b" ")


def decode_export(line: bytes | str) -> Export:
    """Return the execution of a line.

    Raises:
        PayloadError: it is no such line, it is damaged, or a newer Counterpoint wrote it.
    """
    try:
        number = _format_decoder.decode(line).format
        if number > FORMAT:
            raise PayloadError(
                f"a newer Counterpoint wrote it: its format is {number}, not at most {FORMAT}"
            )
        export = _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise PayloadError(f"it is no exported execution: {error}") from error
    wrong = _wrong(export)
    if wrong is not None:
        raise PayloadError(f"it is damaged: {wrong}")
    return export


def _wrong(export: Export) -> str | None:
    """Return what does not fit together in an execution, or None."""
    first = export.records[0] if export.records else None
    if not isinstance(first, r.Started):
        return "its first record is not `started`"
    if first.workflow != export.name:
        return f"its name is {export.name}, its first record says {first.workflow}"
    if sum(export.commits) != len(export.records) or min(export.commits) < 1:
        return f"it has {len(export.records)} records, its commits say {sum(export.commits)}"
    if export.run < 1 or export.version < 1:
        return "its run and its version are at least 1"
    try:
        binascii.unhexlify(export.fingerprint)
        status = fold(export.records).status
    except binascii.Error as error:
        return f"its fingerprint is not hexadecimal: {error}"
    except (KeyError, IndexError, ValueError) as error:
        return f"its records do not follow each other ({type(error).__name__}: {error})"
    if status.live != export.status.live:
        return f"its status is {export.status}, its records say {status}"
    return check_execution_id(export.id)


class Exporter:
    """Reads executions out of a store that a node may go on writing to."""

    def __init__(self, store: ReadableStore, codec: Codec) -> None:
        self.store = store
        self.codec = codec
        self._names: OrderedDict[int, RunName | None] = OrderedDict()

    async def read(self, row: ExecutionRow) -> Export | None:
        """Return an execution with its journal; None if it has been forgotten meanwhile."""
        for _ in range(_READS_MAX):
            export = await self._read(row)
            now = await self.row(row.key) if row.status.live else row
            if export is None or now is None:
                return None
            if now == row:
                return export
            row = now  # the journal is newer than the row that was read: read both again
        return await self._read(row)

    async def _read(self, row: ExecutionRow) -> Export | None:
        rows = await self.store.journal(row.key)
        if not rows:
            return None
        return Export(
            id=row.id,
            run=row.run,
            kind=row.kind,
            service=row.service,
            name=row.name,
            version=row.version,
            status=row.status,
            fingerprint=row.fingerprint.hex(),
            created_at=row.created_at,
            wake_at=row.wake_at,
            finished_at=row.finished_at,
            deadline_at=row.deadline_at,
            parent=await self._name(row.parent_key),
            root=await self._name(row.root_key),
            correlation_id=row.correlation_id,
            causation_id=row.causation_id,
            traceparent=row.traceparent,
            attributes=await self.store.attributes(row.key),
            commits=[one.records for one in rows],
            records=journal_records(rows, self.codec),
        )

    async def row(self, key: int) -> ExecutionRow | None:
        """Return the row of a key."""
        rows = await self.store.executions(Query(before=key + 1, limit=1))
        return rows[0] if rows and rows[0].key == key else None

    async def run(self, execution_id: str, run: int) -> ExecutionRow | None:
        """Return one run of an execution."""
        newest = await self.store.execution(execution_id)
        if newest is None or newest.run <= run:
            return newest if newest is not None and newest.run == run else None
        return next((row for row in await self.runs(execution_id) if row.run == run), None)

    async def runs(self, execution_id: str) -> list[ExecutionRow]:
        """Return the runs of an execution, oldest first; none if there is no such execution."""
        newest = await self.store.execution(execution_id)
        if newest is None or newest.run == 1:
            return [] if newest is None else [newest]
        runs: list[ExecutionRow] = []
        query = Query(correlation_id=newest.correlation_id or newest.id)
        while True:
            rows = await self.store.executions(query)
            runs += [row for row in rows if row.id == execution_id]
            if len(rows) < query.limit:
                return sorted(runs, key=lambda row: row.run)
            query = replace(query, before=rows[-1].key)

    async def _name(self, key: int | None) -> RunName | None:
        if key is None:
            return None
        if key not in self._names:
            row = await self.row(key)
            self._names[key] = None if row is None else RunName(row.id, row.run)
            if len(self._names) > _NAMES_MAX:
                self._names.popitem(last=False)
        return self._names[key]


class Found:
    """The executions that match a query, oldest first, so that parents come before children.

    A store lists the newest first: their keys are read once, of which every hundredth is kept, and
    the pages are read again from the last to the first. What begins meanwhile is not found.
    """

    def __init__(self, store: ReadableStore, query: Query) -> None:
        self.store = store
        self.query = replace(query, limit=PAGE)
        self.total = 0
        """How many there are, once they are counted."""
        self._bounds: list[int] = []
        """The highest key of each page plus one, and the lowest of the last page."""

    async def count(self) -> int:
        """Find them; return how many there are."""
        query = self.query
        while rows := await self.store.executions(query):
            if not self._bounds:
                self._bounds.append(rows[0].key + 1)
            self._bounds.append(rows[-1].key)
            self.total += len(rows)
            query = replace(query, before=rows[-1].key)
        return self.total

    async def rows(self) -> AsyncIterator[ExecutionRow]:
        """Iterate over them, oldest first."""
        for before, first in reversed(list(pairwise(self._bounds))):
            for row in reversed(await self._between(first, before)):
                yield row

    async def _between(self, first: int, before: int) -> list[ExecutionRow]:
        found: list[ExecutionRow] = []
        query = replace(self.query, before=before)
        while True:
            rows = await self.store.executions(query)
            found += [row for row in rows if row.key >= first]
            if len(rows) < PAGE or rows[-1].key <= first:
                return found
            query = replace(query, before=rows[-1].key)


def same_execution(one: Export, other: Export) -> bool:
    """Whether two exports say the same; who its parent is counts where both know it."""
    if one.parent is None or other.parent is None:
        one, other = (msgspec.structs.replace(each, parent=None) for each in (one, other))
    if one.root is None or other.root is None:
        one, other = (msgspec.structs.replace(each, root=None) for each in (one, other))
    return encode_export(one) == encode_export(other)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file of exported executions."""

    file: Path
    number: int
    """From 1."""
    text: bytes
    end: int
    """How many bytes of the file end with it."""

    def export(self) -> Export:
        """Return its execution.

        Raises:
            PayloadError: it is damaged; says which line of which file.
        """
        try:
            return decode_export(self.text)
        except PayloadError as error:
            raise PayloadError(f"{self.file}, line {self.number}: {error}") from error


def read_lines(file: Path) -> Iterator[Line]:
    """Iterate over the lines of a file, one in memory at a time; empty ones are left out.

    Raises:
        PayloadError: the file cannot be read.
    """
    end = 0
    try:
        with file.open("rb") as lines:
            for number, text in enumerate(lines, 1):
                end += len(text)
                if not text.isspace():
                    yield Line(file, number, text, end)
    except OSError as error:
        raise PayloadError(f"{file} cannot be read: {error.strerror or error}") from error
