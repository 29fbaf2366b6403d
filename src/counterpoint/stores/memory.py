"""The reference store: dictionaries. What it does is what every store does."""

import os
from collections.abc import Iterable
from heapq import nsmallest
from itertools import islice

from counterpoint.errors import (
    ConflictError,
    StoreBrokenError,
    StoreError,
    StoreLockedError,
    StoreReadOnlyError,
)
from counterpoint.model.findings import Examination, Finding, Severity, WorkflowLoad
from counterpoint.model.rows import (
    AttributeRow,
    Commit,
    DueRow,
    ExecutionRow,
    ExecutionUpdate,
    JournalRow,
    MailRow,
    Query,
)
from counterpoint.model.states import Status
from counterpoint.ports.cluster import Transaction
from counterpoint.ports.store import StoreFeatures
from counterpoint.stores.memory_messages import MemoryMessages
from counterpoint.stores.message_rows import twice_or_there
from counterpoint.stores.rows import check_digests, only_node_writes


class MemoryStore(MemoryMessages):
    """A store in this process's memory; closing and opening the same object keeps what it holds.

    App("shop", services=[orders], store=MemoryStore())
    """

    features = StoreFeatures(durable=False, shared=False)

    def __init__(self) -> None:
        super().__init__()
        self._open = False
        self._node = False
        self._posted = False
        self._next_key = 1
        self._next_position = 1
        self._executions: dict[int, ExecutionRow] = {}
        self._keys: dict[str, dict[int, int]] = {}  # id -> run -> key
        self._wake_at: dict[int, int] = {}
        self._journal: dict[int, dict[int, JournalRow]] = {}
        self._mail: dict[int, MailRow] = {}
        self._requests: set[str] = set()
        self._attributes: dict[int, dict[str, str]] = {}

    async def open(self, *, node: bool) -> None:
        if node and self._node:
            raise StoreLockedError("this MemoryStore", os.getpid())
        self._open = True
        self._node = self._node or node

    async def close(self) -> None:
        self._open = self._node = False

    async def reserve_keys(self, count: int) -> range:
        self._check(hosting=True)
        first = self._next_key
        self._next_key += count
        return range(first, self._next_key)

    async def commit(self, commit: Commit) -> int:
        self._check(hosting=only_node_writes(commit))
        self._check_conflicts(commit)
        self._check_journal(commit.journal)
        self._check_messages(commit.messages)
        for start in commit.starts:
            self._keys.setdefault(start.id, {})[start.run] = start.key
            self._put(start)
        for record in commit.journal:
            self._journal.setdefault(record.execution_key, {})[record.first_seq] = record
        for update in commit.updates:
            self._update(update)
        for position in commit.taken:
            if (taken := self._mail.pop(position, None)) is not None:
                self._requests.discard(taken.request_id)
        for mail in commit.mail:
            self._post(mail)
        for attribute in commit.attributes:
            self._set(attribute)
        return 0 if commit.messages is None else self._write_messages(commit.messages)

    async def execution(self, execution_id: str) -> ExecutionRow | None:
        self._check()
        runs = self._keys.get(execution_id)
        return self._executions[runs[max(runs)]] if runs else None

    async def executions(self, query: Query) -> list[ExecutionRow]:
        self._check()
        wanted = query.attributes.items()
        newest_first = (self._executions[key] for key in sorted(self._executions, reverse=True))
        found = (
            row
            for row in newest_first
            if _matches(row, query)
            and wanted <= self._attributes.get(row.key, {}).items()
            and not (query.newest_runs and row.run < max(self._keys[row.id]))
        )
        return list(islice(found, query.limit))

    async def journal(self, key: int, *, after_seq: int = 0) -> list[JournalRow]:
        self._check()
        rows = self._journal.get(key, {})
        found = [rows[seq] for seq in sorted(rows) if seq > after_seq]
        check_digests(found)
        return found

    async def attributes(self, key: int) -> dict[str, str]:
        self._check()
        return dict(sorted(self._attributes.get(key, {}).items()))

    async def due(self, *, after: tuple[int, int], until: int, limit: int) -> list[DueRow]:
        self._check()
        moments = ((wake_at, key) for key, wake_at in self._wake_at.items() if wake_at <= until)
        found = nsmallest(limit, (moment for moment in moments if moment > after))
        return [DueRow(wake_at, key, self._executions[key].id) for wake_at, key in found]

    async def mail(
        self, *, after: int, limit: int, execution_id: str | None = None
    ) -> list[MailRow]:
        self._check()
        wanted = (
            row
            for row in self._mail.values()
            if row.position > after and execution_id in (None, row.execution_id)
        )
        return list(islice(wanted, limit))

    async def changed(self) -> bool:
        self._check()
        posted, self._posted = self._posted, False
        return posted

    async def counts(self) -> dict[Status, int]:
        self._check()
        counts: dict[Status, int] = {}
        for row in self._executions.values():
            counts[row.status] = counts.get(row.status, 0) + 1
        return counts

    async def examine(self) -> Examination:
        self._check()
        gone = Finding(
            Severity.NOTE,
            "durability",
            "the store is in memory: what it holds goes with its process",
            "this MemoryStore",
            "use a file or a server for what has to last: store='sqlite:///shop.db'",
        )
        return Examination({"store": "memory"}, [gone])

    async def workflow_loads(self) -> list[WorkflowLoad]:
        self._check()
        loads: dict[tuple[str, int], WorkflowLoad] = {}
        for row in self._executions.values():
            if row.status.live:
                place = (row.name, row.version)
                load = loads.get(place, WorkflowLoad(*place, 0, row.created_at))
                since = min(load.since, row.created_at)
                loads[place] = WorkflowLoad(*place, load.executions + 1, since)
        return [loads[place] for place in sorted(loads)]

    async def hosted_by(self) -> int | None:
        return os.getpid() if self._node else None

    async def begin(self) -> Transaction:
        raise StoreError("this store has no transactions for users: StoreFeatures.transactions")

    async def forget(self, *, finished_before: int, limit: int) -> int:
        self._check(hosting=True)
        finished = (
            (row.finished_at, key)
            for key, row in self._executions.items()
            if row.finished_at is not None
            and row.finished_at < finished_before
            and not self._has_live_root(row)
        )
        oldest = nsmallest(limit, finished)
        for _, key in oldest:
            row = self._executions.pop(key)
            self._wake_at.pop(key, None)
            self._journal.pop(key, None)
            self._attributes.pop(key, None)
            self._forget_waits(key)
            del self._keys[row.id][row.run]
        return len(oldest)

    def _check(self, *, hosting: bool = False) -> None:
        if not self._open:
            raise StoreError("the store is not open: await open() first")
        if hosting and not self._node:
            raise StoreReadOnlyError("a client of a store can only post mail to it")

    def _check_conflicts(self, commit: Commit) -> None:
        there = [
            (row.id, row.run) for row in commit.starts if row.run in self._keys.get(row.id, ())
        ]
        taken = twice_or_there(((row.id, row.run) for row in commit.starts), there)
        events = self._conflicting_events(commit.messages)
        if taken or events:
            raise ConflictError(list(dict.fromkeys(id_ for id_, _ in taken)), events)
        for row in commit.starts:
            if row.key in self._executions:
                raise StoreBrokenError(
                    f"an execution has the key {row.key} already; nothing was written: reserve "
                    "keys before you use them"
                )

    def _forget_journal(self, key: int) -> None:
        self._journal.pop(key, None)

    def _check_journal(self, rows: Iterable[JournalRow]) -> None:
        seen: set[tuple[int, int]] = set()
        for row in rows:
            place = (row.execution_key, row.first_seq)
            if row.first_seq in self._journal.get(row.execution_key, ()) or place in seen:
                raise StoreBrokenError(
                    f"the execution with key {row.execution_key} has a record {row.first_seq} "
                    "already; nothing was written: open the store again"
                )
            seen.add(place)

    def _put(self, row: ExecutionRow) -> None:
        self._executions[row.key] = row
        if row.wake_at is not None and row.status.live:
            self._wake_at[row.key] = row.wake_at
        else:
            self._wake_at.pop(row.key, None)

    def _update(self, update: ExecutionUpdate) -> None:
        if (row := self._executions.get(update.key)) is not None:
            self._put(
                row._replace(
                    status=update.status,
                    version=update.version,
                    wake_at=update.wake_at,
                    finished_at=update.finished_at,
                )
            )

    def _set(self, row: AttributeRow) -> None:
        attributes = self._attributes.setdefault(row.execution_key, {})
        if row.value is None:
            attributes.pop(row.name, None)
        else:
            attributes[row.name] = row.value

    def _has_live_root(self, row: ExecutionRow) -> bool:
        root = None if row.root_key is None else self._executions.get(row.root_key)
        return root is not None and root.finished_at is None

    def _post(self, mail: MailRow) -> None:
        if mail.request_id not in self._requests:
            self._requests.add(mail.request_id)
            self._mail[self._next_position] = mail._replace(position=self._next_position)
            self._next_position += 1
            self._posted = True


def _matches(row: ExecutionRow, query: Query) -> bool:
    wanted = (
        (query.workflow, row.name),
        (query.service, row.service),
        (query.correlation_id, row.correlation_id or row.id),
        (query.parent_key, row.parent_key),
    )
    return (
        all(value is None or value == found for value, found in wanted)
        and (not query.statuses or row.status in query.statuses)
        and (query.since is None or row.created_at >= query.since)
        and (query.until is None or row.created_at < query.until)
        and (query.before is None or row.key < query.before)
    )
