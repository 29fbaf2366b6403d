"""What a delivery writes: its success, its failures, its death, and the end of all that.

Safety argument (P3, P4, P5): everything that a reaction's success means, its mark, its events, its
starts, is one `Note`, and a note is written in one transaction. The mark is keyed by subscription
and position, so a second delivery of the event finds it and does nothing.
"""

import zlib
from collections.abc import Callable, Sequence

from counterpoint.authoring.workflow import Workflow
from counterpoint.model import records as r
from counterpoint.model.messages import DeadLetterRow, EventRow, HoldRow, ReactionStatus
from counterpoint.model.outcomes import Outgoing, Publication
from counterpoint.model.records import encode_records
from counterpoint.model.rows import JournalRow
from counterpoint.ports.codec import Codec
from counterpoint.runtime.batch import Note
from counterpoint.runtime.event_rows import event_row, start_letter
from counterpoint.runtime.messaging.queues import Delivery

Written = Callable[[Sequence[EventRow]], None]
Refused = Callable[[Exception], None]


def success(
    delivery: Delivery,
    outbox: Sequence[Outgoing],
    now: int,
    codec: Codec,
    written: Written,
    refused: Refused,
) -> Note:
    """Return what a delivery's success writes: its mark, what it publishes and what it starts.

    A replay publishes and starts nothing unless it was asked to; but a workflow that the events of
    the replay start is started: nothing else would come of it.
    """
    note = Note(written, refused)
    _finish(note, delivery, now)
    subscription = delivery.subscription
    if outbox and (subscription.row.publishes or isinstance(subscription.target, Workflow)):
        event = delivery.event
        events: list[EventRow] = []
        for one in outbox:
            if isinstance(one, Publication):
                events.append(
                    event_row(
                        one,
                        now,
                        codec,
                        event.correlation_id,
                        event.id,
                        event.hops + 1,
                        traceparent=event.traceparent,
                    )
                )
            else:
                letter = start_letter(one, now, codec, event.correlation_id, cause_of(event))
                note.mail = [*note.mail, letter]
        note.events = events
    return note


def cause_of(event: EventRow) -> r.CausedBy:
    """Return how an execution that an event starts says so."""
    return r.CausedBy(
        event.type, event.source, event.id, event.position, event.recorded_at, event.hops
    )


def under_way(delivery: Delivery, written: Written, refused: Refused) -> Note:
    """Return what says, before an attempt begins, that it may be under way."""
    note = Note(written, refused)
    note.changed = delivery.row(ReactionStatus.RUNNING)
    delivery.status = ReactionStatus.RUNNING
    return note


def postponed(delivery: Delivery, now: int) -> Note:
    """Return what takes back that an attempt began: the node stopped before it did."""
    note = Note()
    note.changed = delivery.row(ReactionStatus.RETRYING, due_at=now)
    _hold(note, delivery)
    return note


def failure(
    delivery: Delivery,
    record: r.AttemptFailed | r.AttemptLost,
    retry_at: int,
    codec: Codec,
    written: Written,
    refused: Refused,
) -> Note:
    """Return what a failed attempt writes that another one follows; its key is held from now on."""
    note = Note(written, refused)
    delivery.due_at = retry_at
    note.changed = delivery.row(ReactionStatus.RETRYING, due_at=retry_at)
    note.journal = _journal(delivery, [record], codec)
    _hold(note, delivery)
    delivery.status = ReactionStatus.RETRYING
    return note


def death(
    delivery: Delivery,
    records: list[r.Record],
    error: r.Failure,
    now: int,
    codec: Codec,
    written: Written,
    refused: Refused,
    *,
    parks: bool,
) -> Note:
    """Return what a delivery writes that is given up; with *parks* its key is held."""
    note = Note(written, refused)
    row, event = delivery.subscription.row, delivery.event
    delivery.due_at = None
    note.changed = delivery.row(ReactionStatus.DEAD)
    note.journal = _journal(delivery, [*records, r.Died(now, delivery.attempts, error)], codec)
    note.dead = DeadLetterRow(
        row.number,
        event.position,
        row.service,
        row.lane,
        row.name,
        event.type,
        event.key,
        event.correlation_id,
        delivery.attempts,
        now,
        error.type,
        codec.tag,
        codec.encode(encode_failure(error)),
    )
    if parks:
        _hold(note, delivery)
    elif delivery.queue.next_is_last:
        _release(note, delivery)
    delivery.status = ReactionStatus.DEAD
    return note


def encode_failure(error: r.Failure) -> bytes:
    """Return an error as it is kept with a dead letter: a record of its own."""
    return encode_records([r.Died(0, 0, error)])


def _finish(note: Note, delivery: Delivery, now: int) -> None:
    row = delivery.row(ReactionStatus.COMPLETED, finished_at=now)
    if delivery.status is None:
        note.done = row
    else:
        note.changed = row
    delivery.status = ReactionStatus.COMPLETED
    if delivery.queue.next_is_last:
        _release(note, delivery)


def _hold(note: Note, delivery: Delivery) -> None:
    queue = delivery.queue
    if queue.hold is None:
        lane = queue.lane
        note.held = HoldRow(lane.service, lane.name, queue.key, queue.first_position)


def _release(note: Note, delivery: Delivery) -> None:
    queue = delivery.queue
    if queue.hold is not None:
        queue.hold = None  # from now on it covers nothing
        if queue.lane.keeps_holds:
            return
        note.released = (queue.lane.service, queue.lane.name, queue.key)


def _journal(delivery: Delivery, records: list[r.Record], codec: Codec) -> JournalRow:
    assert delivery.key is not None  # noqa: S101 - reserved before anything fails
    body = codec.encode(encode_records(records))
    first = delivery.seq + 1
    delivery.seq += len(records)
    return JournalRow(delivery.key, first, len(records), codec.tag, body, zlib.crc32(body))


def release(
    service: str, lane: str, key: str, over: Callable[[object], None] = lambda _: None
) -> Note:
    """Return what deletes the hold of a key behind which nothing waits; *over* is called then."""
    note = Note(over, over)
    note.released = (service, lane, key)
    return note
