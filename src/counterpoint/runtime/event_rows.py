"""The rows that an execution's records write about events: those it publishes, those it waits for.

Safety argument (P4): an event row is written in the transaction of the record that publishes it, or
of the result of the activity that does. If that is not committed, neither is the event; if it is,
the event is in the log, from where every subscription takes it.
"""

from collections.abc import Sequence

from counterpoint.kernel.replay import fold
from counterpoint.model import records as r
from counterpoint.model.ids import generate_id
from counterpoint.model.messages import EventRow, EventWaitRow, slot_of
from counterpoint.model.outcomes import Publication, StartRequest
from counterpoint.model.rows import ExecutionRow, MailRow
from counterpoint.ports.codec import Codec
from counterpoint.runtime.mail import StartMail, mail_row
from counterpoint.runtime.resident import Resident


def published_by(
    resident: Resident, records: Sequence[r.Record], now: int, codec: Codec
) -> tuple[list[EventRow], list[MailRow]]:
    """Return the events that *records* publish, and the letters that start what activities start.

    What completed activities have left in the resident's outbox is among them.
    """
    row = resident.row
    service, name = row.service, row.name
    correlation_id = resident.correlation_id
    hops = resident.execution.state.hops
    publications: list[tuple[Publication, str | None]] = [
        (
            Publication(
                record.event_type, record.version, record.key, bytes(record.data), name, service
            ),
            record.id,
        )
        for record in records
        if isinstance(record, r.Published)
    ]
    outbox, resident.outbox = resident.outbox, []
    starts: list[MailRow] = []
    for one in outbox:
        if isinstance(one, Publication):
            publications.append((one, None))
        else:
            begun_by = r.CausedBy("", service, row.id, 0, now, hops - 1)
            starts.append(start_letter(one, now, codec, correlation_id, begun_by))
    events = [
        event_row(
            one,
            now,
            codec,
            correlation_id,
            row.id,
            hops,
            event_id=event_id,
            traceparent=row.traceparent,
        )
        for one, event_id in publications
    ]
    return events, starts


def event_row(
    publication: Publication,
    now: int,
    codec: Codec,
    correlation_id: str | None,
    causation_id: str | None,
    hops: int,
    *,
    event_id: str | None = None,
    traceparent: str | None = None,
) -> EventRow:
    """Return the row of an event that is published now; a flow of its own has its id."""
    event_id = event_id or generate_id()
    return EventRow(
        0,
        publication.source,
        event_id,
        publication.type,
        publication.version,
        publication.key,
        slot_of(publication.key),
        correlation_id or event_id,
        causation_id,
        publication.publisher or None,
        hops,
        traceparent,
        now,
        now,
        codec.tag,
        codec.encode(publication.data),
    )


def start_letter(
    start: StartRequest,
    now: int,
    codec: Codec,
    correlation_id: str,
    cause: r.CausedBy | None,
) -> MailRow:
    """Return the letter that starts a workflow."""
    mail = StartMail(start.workflow, start.arguments, correlation_id, caused_by=cause)
    return mail_row(start.execution_id, mail, now, codec)


def event_waits(resident: Resident) -> dict[int, EventWaitRow]:
    """Return what an execution waits for now, by the number of the wait."""
    state = resident.execution.state
    if not state.status.live:
        return {}
    return {number: wait_row(resident.row, wait) for number, wait in state.event_waits.items()}


def wait_rows(row: ExecutionRow, records: Sequence[r.Record]) -> list[EventWaitRow]:
    """Return what an execution waits for according to its journal."""
    if not any(isinstance(record, r.EventAwaited) for record in records):
        return []
    return [wait_row(row, wait) for wait in fold(records).event_waits.values()]


def wait_row(row: ExecutionRow, wait: r.EventAwaited) -> EventWaitRow:
    """Return how the store knows a wait."""
    return EventWaitRow(
        row.key, wait.wait, row.id, wait.event_type, wait.key, wait.position, wait.since
    )
