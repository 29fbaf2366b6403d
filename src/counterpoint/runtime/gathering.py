"""What a commit writes of an execution: the row of its records, and all that goes with them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from counterpoint.model.messages import EventWaitRow
from counterpoint.model.records import Record
from counterpoint.model.rows import AttributeRow, ExecutionRow, ExecutionUpdate, JournalRow
from counterpoint.model.states import Status
from counterpoint.ports.codec import Codec
from counterpoint.runtime.batch import Batch
from counterpoint.runtime.call_changes import CallChanges
from counterpoint.runtime.event_rows import event_waits, published_by
from counterpoint.runtime.letters import letters
from counterpoint.runtime.resident import Resident

CallsOf: TypeAlias = Callable[[Resident, Sequence[Record], int, int], CallChanges | None]


class Gathering:
    """Turns what executions have pending into rows."""

    def __init__(self, codec: Codec, settle: int) -> None:
        self.codec = codec
        self._settle = settle
        """Microseconds after which a call that does not end is told to a person."""

    def add(
        self,
        batch: Batch,
        resident: Resident,
        records: list[Record],
        journal: JournalRow,
        now: int,
        calls_of: CallsOf | None,
    ) -> None:
        """Add to *batch* what an execution recorded, and what goes with it."""
        execution = resident.execution
        batch.journal.append(journal)
        if resident.taken:
            batch.taken_of[resident.key] = resident.taken
            resident.taken = []
        if calls_of is not None and (changes := calls_of(resident, records, resident.seq + 1, now)):
            batch.calls_of[resident.key] = changes
        resident.seq += len(records)
        state = execution.state
        status = state.status
        if state.children or state.parent is not None or status is Status.CONTINUED:
            sent = letters(resident.row, state, records, now, self.codec)
            if sent:
                batch.mail_of[resident.key] = sent
        if state.attributed or resident.attributes:
            batch.attributes_of[resident.key] = resident.take_attributes(records)
        if execution.events.used or resident.outbox or resident.waits:
            self._add_events(batch, resident, records, now)
        self._add_row(batch, resident, status, now)
        batch.performed.append((resident, records))

    def _add_row(self, batch: Batch, resident: Resident, status: Status, now: int) -> None:
        """Write the execution's row where it begins, or where one of these columns changed."""
        finished_at = None if status.live else resident.execution.state.updated_at
        wake_at = resident.next_wake(now, self._settle)
        if resident.started is not None:
            row = resident.row
            if status is not row.status or wake_at != row.wake_at:
                row = row._replace(status=status, wake_at=wake_at, finished_at=finished_at)
            batch.starts.append(row)
        elif (
            status is not resident.status
            or wake_at != resident.wake_at
            or resident.version != resident.written_version
        ):
            batch.updates.append(
                ExecutionUpdate(resident.key, status, resident.version, wake_at, finished_at)
            )
        resident.status = status
        resident.wake_at = wake_at
        resident.written_version = resident.version

    def _add_events(
        self, batch: Batch, resident: Resident, records: Sequence[Record], now: int
    ) -> None:
        events, letters_sent = published_by(resident, records, now, self.codec)
        if events:
            batch.events_of[resident.key] = events
        if letters_sent:
            batch.mail_of.setdefault(resident.key, []).extend(letters_sent)
        waits = event_waits(resident)
        new = [row for wait, row in waits.items() if resident.waits.get(wait) != row]
        over = [(resident.key, wait) for wait in resident.waits if wait not in waits]
        resident.waits = waits
        if new:
            batch.waits_of[resident.key] = new
        if over:
            batch.waits_over_of[resident.key] = over


Stored: TypeAlias = tuple[
    ExecutionRow,
    JournalRow,
    int | None,
    Mapping[str, str],
    list[EventWaitRow],
    asyncio.Future[None],
]
"""An execution that nobody holds in memory yet, with its journal so far, and who waits for it."""


def add_stored(
    batch: Batch,
    row: ExecutionRow,
    journal: JournalRow,
    taken: int | None,
    attributes: Mapping[str, str],
    waits: list[EventWaitRow],
    future: "asyncio.Future[None]",
) -> None:
    """Add to *batch* an execution that is only stored; the parts are those of `Stored`."""
    batch.starts.append(row)
    batch.journal.append(journal)
    batch.stored[row.key] = future
    if attributes:
        batch.attributes_of[row.key] = [
            AttributeRow(row.key, name, value) for name, value in attributes.items()
        ]
    if waits:
        batch.waits_of[row.key] = waits
    if taken is not None:
        batch.taken_of[row.key] = [taken]
