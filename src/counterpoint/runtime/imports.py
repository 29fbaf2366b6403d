"""Exported executions into a store that no node hosts.

An import only adds: what is there already is compared and left as it is. It writes batches, each in
one transaction, and an execution never in parts. So an import that was stopped, by a damaged line
or by Ctrl-C, is run again: what it had written is skipped.
"""

from dataclasses import dataclass, field

from counterpoint.errors import ConflictError, PayloadError
from counterpoint.model.rows import AttributeRow, Commit, ExecutionRow, JournalRow
from counterpoint.ports.codec import Codec
from counterpoint.ports.store import Store
from counterpoint.runtime.exports import Export, Exporter, Line, RunName, same_execution
from counterpoint.runtime.journals import journal_row

BATCH = 100
BATCH_BYTES_MAX = 4 << 20
NAMED_MAX = 10


@dataclass(slots=True)
class ImportReport:
    """What became of the lines."""

    imported: int = 0
    skipped: int = 0
    """They were in the store already, with the same content."""
    live: int = 0
    """They are live, and were refused."""
    live_ids: list[str] = field(default_factory=list)
    """The first ones of these."""
    without_parent: int = 0
    """Children that were imported, and whose parent is not in the store."""


class Importer:
    """Writes executions into *store*, which it holds as its node; `flush` once all are added."""

    def __init__(self, store: Store, codec: Codec, *, live: bool) -> None:
        self.store = store
        self.codec = codec
        self.live = live
        """Take live executions too: the next node goes on with them."""
        self.report = ImportReport()
        self._there = Exporter(store, codec)
        self._pending: dict[tuple[str, int], tuple[Line, Export]] = {}
        self._pending_bytes = 0

    async def add(self, line: Line) -> None:
        """Import the execution of a line, at the latest when `flush` is called.

        Raises:
            PayloadError: the line is damaged, or its execution is there with other content; nothing
                of the line is written.
        """
        export = line.export()
        if export.status.live and not self.live:
            self.report.live += 1
            if len(self.report.live_ids) < NAMED_MAX:
                self.report.live_ids.append(export.id)
            return
        place = (export.id, export.run)
        if place in self._pending:
            await self.flush()
        if await self._is_there(line, export):
            self.report.skipped += 1
            return
        self._pending[place] = (line, export)
        self._pending_bytes += len(line.text)
        if len(self._pending) >= BATCH or self._pending_bytes >= BATCH_BYTES_MAX:
            await self.flush()

    async def flush(self) -> None:
        """Write what was added and is not written yet.

        Raises:
            PayloadError: an execution appeared in the store meanwhile.
            StoreError: it may not be written.
        """
        pending, self._pending, self._pending_bytes = self._pending, {}, 0
        if not pending:
            return
        keys = await self.store.reserve_keys(len(pending))
        places = dict(zip(pending, keys, strict=True))
        starts: list[ExecutionRow] = []
        journal: list[JournalRow] = []
        attributes: list[AttributeRow] = []
        for (_, export), key in zip(pending.values(), keys, strict=True):
            parent = await self._key_of(export.parent, places)
            root = await self._key_of(export.root, places)
            self.report.without_parent += export.parent is not None and parent is None
            starts.append(_row(export, key, parent, root))
            journal += self._journal(export, key)
            attributes += [AttributeRow(key, *one) for one in export.attributes.items()]
        try:
            await self.store.commit(Commit(starts=starts, journal=journal, attributes=attributes))
        except ConflictError as error:
            line, _ = next(one for place, one in pending.items() if place[0] in error.ids)
            raise _other_content(line) from error
        self.report.imported += len(starts)

    async def _is_there(self, line: Line, export: Export) -> bool:
        row = await self._there.run(export.id, export.run)
        there = None if row is None else await self._there.read(row)
        if there is not None and not same_execution(there, export):
            raise _other_content(line)
        return there is not None

    async def _key_of(self, name: RunName | None, places: dict[tuple[str, int], int]) -> int | None:
        if name is None:
            return None
        key = places.get((name.id, name.run))
        if key is not None:
            return key
        row = await self._there.run(name.id, name.run)
        return None if row is None else row.key

    def _journal(self, export: Export, key: int) -> list[JournalRow]:
        rows: list[JournalRow] = []
        seq = 1
        for count in export.commits:
            records = export.records[seq - 1 : seq - 1 + count]
            rows.append(journal_row(key, seq, records, self.codec))
            seq += count
        return rows


def _other_content(line: Line) -> PayloadError:
    export = line.export()
    return PayloadError(
        f"{line.file}, line {line.number}: the store has run {export.run} of {export.id} already, "
        "with other content: import it into another store"
    )


def _row(export: Export, key: int, parent: int | None, root: int | None) -> ExecutionRow:
    return ExecutionRow(
        key,
        export.id,
        export.run,
        export.kind,
        export.service,
        export.name,
        export.version,
        export.status,
        bytes.fromhex(export.fingerprint),
        export.created_at,
        export.wake_at,
        finished_at=export.finished_at,
        deadline_at=export.deadline_at,
        parent_key=parent,
        root_key=root,
        correlation_id=export.correlation_id,
        causation_id=export.causation_id,
        traceparent=export.traceparent,
    )
