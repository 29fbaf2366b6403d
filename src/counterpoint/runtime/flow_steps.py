"""The steps of a flow, each from its rows and its journal."""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeAlias

from counterpoint.kernel.replay import fold
from counterpoint.model import records as r
from counterpoint.model.ids import event_execution_id
from counterpoint.model.messages import EventRow, ReactionRow, ReactionStatus
from counterpoint.model.rows import ExecutionRow
from counterpoint.ports.codec import Codec
from counterpoint.runtime.describing import describe
from counterpoint.runtime.description import (
    AttemptDescription,
    Description,
    journal_entries,
    plain,
    time_of,
)
from counterpoint.runtime.flow import (
    AwaitedEvent,
    FlowEvent,
    FlowExecution,
    FlowReaction,
    FlowStep,
    ReceivedEvent,
)
from counterpoint.runtime.flow_rows import FlowRows, Place

Node: TypeAlias = tuple[str, int, int]
"""`event`, position, 0; `execution`, key, 0; `reaction`, subscription, position."""
Ended: TypeAlias = list[tuple[datetime, int]]
"""Moments, and the calls that ended then."""


class Steps:
    """Makes the steps of a flow, whatever led to them."""

    def __init__(
        self,
        rows: FlowRows,
        codec: Codec,
        run_of: Callable[[EventRow], ExecutionRow | None],
    ) -> None:
        self.rows = rows
        self.codec = codec
        self.run_of = run_of
        self.events = {event.position: event for event in rows.events}
        self.executions = {row.key: row for row in rows.executions}
        self._ended: dict[int, dict[str, Ended]] = {}
        statuses = {row.id: row.status for row in rows.executions}
        self.descriptions = {
            row.key: describe(row, rows.records[row.key], statuses) for row in rows.executions
        }

    def step(self, node: Node, led_to: tuple[FlowStep, ...]) -> FlowStep:
        kind, first, second = node
        if kind == "event":
            return self._event(first, led_to)
        if kind == "reaction":
            return self._reaction((first, second), led_to)
        return self._execution(first, led_to)

    def _event(self, position: int, led_to: tuple[FlowStep, ...]) -> FlowEvent:
        event = self.events[position]
        run = self.run_of(event)
        return FlowEvent(
            event.source,
            event.id,
            event.type,
            event.version,
            event.key,
            time_of(event.recorded_at),
            event.position,
            event.publisher,
            None if run is None else self._call_of(event, run.key),
            plain(r.Payload(self.codec.decode(event.data))),
            led_to,
        )

    def _call_of(self, event: EventRow, key: int) -> int | None:
        """Return the call whose activity published an event: the last of its name that had ended.

        Its result and its events are of one commit, which is not earlier than the result.
        """
        if key not in self._ended:
            self._ended[key] = _ended_calls(self.descriptions[key])
        moments = self._ended[key].get(event.publisher or "", [])
        at = bisect_right(moments, time_of(event.recorded_at), key=lambda one: one[0])
        return moments[at - 1][1] if at else None

    def _reaction(self, place: Place, led_to: tuple[FlowStep, ...]) -> FlowReaction:
        event = self.events[place[1]]
        row = self.rows.reactions.get(place)
        one = self.rows.subscriptions.get(place[0])
        name, service = ("?", "?") if one is None else (one.name, one.service)
        replay = 0 if one is None else one.replay
        its_id = event_execution_id(name, event.source, event.id, replay)
        if row is None:
            return FlowReaction(
                its_id,
                name,
                service,
                "waiting",
                event.id,
                replay,
                None,
                None,
                0,
                waits_for=self.rows.waiting[place],
            )
        records = [] if row.key is None else self.rows.records.get(row.key, [])
        failed = _failed(records)
        over = row.status is ReactionStatus.COMPLETED
        return FlowReaction(
            its_id,
            name,
            service,
            row.status.value,
            event.id,
            replay,
            time_of(row.created_at),
            None if row.finished_at is None else time_of(row.finished_at),
            row.attempts,
            failed,
            None if row.due_at is None or not row.status.live else time_of(row.due_at),
            None if over or not failed else failed[-1].error,
            _waits(row),
            journal_entries(records),
            led_to,
        )

    def _execution(self, key: int, led_to: tuple[FlowStep, ...]) -> FlowExecution:
        description = self.descriptions[key]
        row = self.executions[key]
        records = self.rows.records[key]
        received = [
            ReceivedEvent(one.event_type, one.source, one.id, time_of(one.at))
            for one in records
            if isinstance(one, r.EventReceived)
        ]
        awaits: list[AwaitedEvent] = []
        if description.status.live:
            waits = fold(records).event_waits.values()
            awaits = [AwaitedEvent(one.event_type, one.key) for one in waits]
        entries = journal_entries(records)
        by_event = [one.id for one in records if isinstance(one, r.CausedBy) and one.event_type]
        event = by_event[0] if by_event else None
        return FlowExecution(description, row.service, event, received, awaits, entries, led_to)

    def end(self, node: Node) -> int | None:
        """Return when a step ended; None for one that goes on."""
        kind, first, second = node
        if kind == "event":
            return self.events[first].recorded_at
        if kind == "execution":
            description = self.descriptions[first]
            row = self.executions[first]
            if description.status.live:
                return None
            return row.finished_at or row.created_at
        row_of = self.rows.reactions.get((first, second))
        if row_of is None or not row_of.status.over:
            return None
        return row_of.finished_at or row_of.created_at


def _ended_calls(description: Description) -> dict[str, Ended]:
    """Return when the calls of each name ended, in order; a compensation has a minus."""
    ended: dict[str, Ended] = {}
    for call in description.calls:
        if call.settled_at is not None:
            ended.setdefault(call.name, []).append((call.settled_at, call.call))
        if call.compensation is not None and call.compensated_at is not None:
            ended.setdefault(call.compensation, []).append((call.compensated_at, -call.call))
    for moments in ended.values():
        moments.sort()
    return ended


def _failed(records: Iterable[r.Record]) -> list[AttemptDescription]:
    failed: list[AttemptDescription] = []
    for one in records:
        match one:
            case r.AttemptFailed(at=at, attempt=attempt, error=error):
                failed.append(AttemptDescription(attempt, time_of(at), _words(error), lost=False))
            case r.AttemptLost(at=at, attempt=attempt):
                failed.append(AttemptDescription(attempt, time_of(at), None, lost=True))
            case r.Died(at=at, attempts=attempt, error=error):
                failed.append(AttemptDescription(attempt, time_of(at), _words(error), lost=False))
            case _:
                pass
    return failed


def _words(error: r.Failure) -> str:
    return f"{error.type}: {error.message}" if error.message else error.type


def _waits(row: ReactionRow) -> str | None:
    match row.status:
        case ReactionStatus.DEAD:
            return "a person to redrive or discard the dead letter"
        case ReactionStatus.RETRYING:
            at = "soon" if row.due_at is None else f"at {time_of(row.due_at).isoformat()}"
            return f"attempt {row.attempts + 1} {at}"
        case ReactionStatus.RUNNING:
            return f"attempt {row.attempts}, under way"
        case _:
            return None
