"""What is in the files while no node runs: read with sqlite3, and nothing of the runtime."""

import sqlite3
from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from examples.shop.app import STORE
from examples.shop.own_file import SERVICES, read

from counterpoint.kernel.state import ExecutionState
from counterpoint.model import records as r
from counterpoint.model.ids import idempotency_key
from counterpoint.model.states import LIVE


@dataclass(frozen=True)
class Stored:
    """What a store's file holds."""

    statuses: Mapping[str, str]
    """By execution id."""
    posted: frozenset[str]
    """Ids whose start is in the mailbox."""
    recorded: frozenset[str]
    """The idempotency keys of all steps whose outcome is recorded."""
    under_way: frozenset[str]
    """The keys of steps with an attempt that had begun or could have."""
    lost_attempts: int
    records: int
    announced: frozenset[str] = frozenset()
    """The keys of all steps that were decided: no other may reach a service."""

    @property
    def live(self) -> list[str]:
        """Ids of executions that have not ended."""
        return [id for id, status in self.statuses.items() if status in LIVE]

    def missing(self, acknowledged: Collection[str]) -> list[str]:
        """Return the acknowledged starts that the file knows nothing of."""
        return sorted(set(acknowledged) - self.statuses.keys() - self.posted)


NOTHING = Stored({}, frozenset(), frozenset(), frozenset(), 0, 0)


@dataclass(frozen=True)
class Snapshot:
    """What had been recorded when no node ran, and how far each service's call log went."""

    recorded: frozenset[str]
    marks: Mapping[str, int]


def read_store(directory: Path) -> Stored:
    """Return what the store's file holds; nothing if a node was killed before it made one.

    The file itself is read, not a copy: while a client has it open, SQLite's shared memory says
    where its log ends, and a commit that a killed node was writing is not part of it.
    """
    path = (directory / STORE).absolute()
    if not path.exists() or path.with_name(f"{STORE}-journal").exists():
        return NOTHING  # only a file that was about to become a store has a rollback journal
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
        (tables,) = db.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'acts'").fetchone()
        if not tables:
            return NOTHING
        rows = db.execute("SELECT key, id, run, status FROM executions").fetchall()
        posted = db.execute("SELECT execution_id FROM mailbox WHERE kind = 'start'").fetchall()
        bodies = db.execute("SELECT execution_key, body FROM journal ORDER BY 1, first_seq")
        journals: dict[int, list[r.Record]] = {}
        for key, body in bodies:
            journals.setdefault(key, []).extend(r.decode_records(body))
    recorded: set[str] = set()
    under_way: set[str] = set()
    announced: set[str] = set()
    for key, id, run, _ in rows:
        recorded |= {idempotency_key(id, run, step) for step in recorded_steps(journals[key])}
        under_way |= {idempotency_key(id, run, step) for step in steps_under_way(journals[key])}
        announced |= {idempotency_key(id, run, step) for step in decided_steps(journals[key])}
    return Stored(
        {id: status for _, id, _, status in rows},
        frozenset(id for (id,) in posted),
        frozenset(recorded),
        frozenset(under_way),
        sum(isinstance(record, r.AttemptLost) for j in journals.values() for record in j),
        sum(map(len, journals.values())),
        frozenset(announced),
    )


def recorded_steps(journal: list[r.Record]) -> set[int]:
    """Return the steps whose outcome a journal records; a compensation is minus its call."""
    steps: set[int] = set()
    for record in journal:
        if isinstance(record, r.CallCompleted | r.CallFailed):
            steps.add(record.call)
        elif isinstance(record, r.CompensationCompleted):
            steps.add(-record.call)
    return steps


def decided_steps(journal: list[r.Record]) -> set[int]:
    """Return the steps that a journal decides on; a compensation is minus its call."""
    steps: set[int] = set()
    for record in journal:
        if isinstance(record, r.CallScheduled):
            steps.add(record.call)
        elif isinstance(record, r.CompensationScheduled):
            steps.add(-record.call)
    return steps


def steps_under_way(journal: list[r.Record]) -> list[int]:
    """Return the steps whose attempt was not recorded as ended."""
    state = ExecutionState()
    for record in journal:
        state.apply(record)
    return [number for number, step in state.open_steps.items() if step.retry_at is None]


def take_snapshot(directory: Path, stored: Stored) -> Snapshot:
    """Note where the call logs end; to be taken before the next node starts."""
    marks = {
        service: read(directory, service, "SELECT coalesce(max(id), 0) FROM calls")[0][0]
        for service in SERVICES
    }
    return Snapshot(stored.recorded, marks)


def repeated(snapshot: Snapshot, directory: Path) -> list[str]:
    """Return the calls that services saw after a snapshot though their outcome was in it."""
    found: list[str] = []
    for service in SERVICES:
        for number, key, name in read(directory, service, "SELECT id, key, name FROM calls"):
            if number > snapshot.marks[service] and key in snapshot.recorded:
                found.append(f"{name} {key} was called again, in line {number} of {service}")
    return found


def unannounced(directory: Path, stored: Stored) -> list[str]:
    """Return the calls that services saw though nothing in the store decides on them."""
    found: list[str] = []
    for service in SERVICES:
        for number, key, name in read(directory, service, "SELECT id, key, name FROM calls"):
            if key not in stored.announced:
                found.append(f"{name} {key} was called in line {number} of {service}")
    return found
