"""How the description of an execution is read out of its journal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType

from counterpoint.kernel.replay import fold
from counterpoint.kernel.retry import LOST
from counterpoint.kernel.state import ExecutionState
from counterpoint.kernel.steps import Call, Step
from counterpoint.model import records as r
from counterpoint.model.ids import idempotency_key
from counterpoint.model.rows import ExecutionRow
from counterpoint.model.states import Status
from counterpoint.runtime.description import (
    AttemptDescription,
    AwaitedEvent,
    CallDescription,
    CauseDescription,
    Description,
    IncidentDescription,
    plain,
    time_of,
)

CHILDREN_LOOKED_AT = 100
"""Open children whose status a description asks for."""
NO_CHILDREN: Mapping[str, Status] = MappingProxyType({})


def open_children(records: Sequence[r.Record]) -> list[str]:
    """Return the ids of the children that an execution waits for."""
    if not any(isinstance(record, r.ChildScheduled) for record in records):
        return []
    waiting = [
        call.child
        for call in fold(records).calls.values()
        if call.child is not None and (call.step is not None or call.undo is not None)
    ]
    return waiting[:CHILDREN_LOOKED_AT]


def describe(
    row: ExecutionRow,
    records: Sequence[r.Record],
    children: Mapping[str, Status] = NO_CHILDREN,
) -> Description:
    """Return the description of an execution from its row and its whole journal.

    *children* says how those stand that it waits for.
    """
    state = fold(records)
    history: dict[int, _Past] = {}
    now = 0
    for record in records:
        _remember(history, now, record)
        _remember_attempt(history, record)
        now = getattr(record, "at", now)
    cancel = next((one for one in records if isinstance(one, r.CancelRequested)), None)
    deadline = _time(row.deadline_at)
    failed = state.error if state.status is not Status.COMPLETED else None
    return Description(
        id=row.id,
        run=row.run,
        workflow=row.name,
        version=row.version,
        kind=row.kind,
        status=state.status,
        correlation_id=row.correlation_id or row.id,
        created_at=time_of(row.created_at),
        updated_at=time_of(state.updated_at),
        finished_at=None if row.finished_at is None else time_of(row.finished_at),
        records=state.count,
        arguments=plain(state.arguments),
        result=plain(state.result),
        error=None if failed is None else failed.message,
        error_type=None if failed is None else failed.type,
        incident=None if state.incident is None else state.incident.message,
        incident_at=None if state.incident is None else time_of(state.incident.at),
        calls=[_call(row, call, history, state.status, children) for call in state.calls.values()],
        timers=sorted(time_of(at) for at in state.timers.values()),
        awaited_signals=sorted(state.waits.values()),
        unread_signals=sorted(name for name, kept in state.unread.items() for _ in kept),
        waits_for=_waits(state, deadline) if state.status.live else [],
        traceback=None if failed is None else failed.traceback,
        cancel_requested_at=None if cancel is None else time_of(cancel.at),
        cancel_requested_by=None if cancel is None else cancel.actor,
        cancel_reason=None if cancel is None else cancel.reason,
        deadline_at=deadline,
        incidents=[_incident(incident) for incident in state.incidents.values()],
        attributes=dict(state.attributes),
        parent=None if state.parent is None else state.parent.id,
        parent_call=None if state.parent is None else state.parent.call,
        begins_at=_time(state.begins_at),
        pivot_passed=state.pivoted,
        undone=sorted(n for n, call in state.calls.items() if call.undone),
        to_undo=_to_undo(state) if state.undoing and state.status.live else [],
        stay=_stay(state) if state.undoing or _saga_failed(row, state) else [],
        left=_left(state) if state.status is Status.TERMINATED else [],
        awaited_events=[AwaitedEvent(*place) for place in _awaited(state)],
        caused_by=_cause(state.caused_by),
    )


def _awaited(state: ExecutionState) -> list[tuple[str, str]]:
    """Return types and keys of the events that it waits for, each once."""
    return sorted({(wait.event_type, wait.key) for wait in state.event_waits.values()})


def _cause(cause: r.CausedBy | None) -> CauseDescription | None:
    if cause is None:
        return None
    return CauseDescription(cause.event_type or None, cause.source, cause.id)


def _incident(incident: r.IncidentRaised) -> IncidentDescription:
    step = incident.step
    return IncidentDescription(
        incident.cause,
        incident.message,
        time_of(incident.at),
        None if step is None else abs(step),
        step is not None and step < 0,
    )


def _has_undo(call: Call) -> bool:
    """Whether something was to undo the call, as far as its record says."""
    return call.compensable or (call.saga and not call.pivoted and not _undid_itself(call))


def _undid_itself(call: Call) -> bool:
    return call.child_status is not None and not call.may_have_happened


def _to_undo(state: ExecutionState) -> list[int]:
    return sorted(
        (
            number
            for number, call in state.calls.items()
            if call.may_have_happened
            and not call.undone
            and call.stays is None
            and (_has_undo(call) or call.undo is not None)
        ),
        reverse=True,
    )


def _left(state: ExecutionState) -> list[int]:
    """Return what somebody has to look at: to be undone, or of unknown outcome when it ended."""
    unknown = {n for n, call in state.calls.items() if call.step is not None}
    return sorted(unknown.union(_to_undo(state)), reverse=True)


def _saga_failed(row: ExecutionRow, state: ExecutionState) -> bool:
    """Whether a saga ended that had nothing to undo."""
    return row.kind == "saga" and state.status in (Status.FAILED, Status.CANCELLED)


def _stay(state: ExecutionState) -> list[int]:
    return sorted(
        number
        for number, call in state.calls.items()
        if call.may_have_happened
        and not call.undone
        and (call.stays is not None or not (_has_undo(call) or call.undo is not None))
    )


def is_deadline(timer: datetime, deadline: datetime | None) -> bool:
    """Whether a timer is that of the workflow's own deadline; both are rounded differently."""
    return deadline is not None and abs(timer - deadline) <= timedelta(microseconds=1)


@dataclass(slots=True)
class _Past:
    """What the folded state does not keep of one step."""

    scheduled_at: int
    ended_at: int | None = None
    attempts: int = 1
    cancelled: bool = False
    attempt_at: int | None = None
    """When its second or a later attempt began."""
    stated: bool = False
    """A person has said how it ended: what is recorded next of it is their word, no attempt."""
    failed: list[AttemptDescription] = field(default_factory=list)


def _remember(history: dict[int, _Past], now: int, record: r.Record) -> None:
    match record:
        case r.CallScheduled(call=call) | r.ChildScheduled(call=call):
            history[call] = _Past(now)
        case r.UndoRegistered(call=call):
            history[call] = _Past(now, now)
        case r.CallCancelled(call=call):
            history[call].cancelled = True
        case (
            r.CallCompleted(call=call, at=at)
            | r.CallFailed(call=call, at=at)
            | r.ChildCompleted(call=call, at=at)
            | r.ChildFailed(call=call, at=at)
        ):
            history[call].ended_at = at
        case r.CompensationScheduled(call=call) | r.ChildUndoScheduled(call=call):
            history[-call] = _Past(now)
        case r.CompensationCompleted(call=call, at=at):
            history[-call].ended_at = at
        case r.AttemptStarted(step=step, attempt=attempt, at=at):
            history[step].attempts = attempt
            history[step].attempt_at = at
            history[step].stated = False
        case r.StepResolved(step=step):
            history[step].stated = True
        case _:
            pass


def _remember_attempt(history: dict[int, _Past], record: r.Record) -> None:
    match record:
        case r.CallFailed(call=call, at=at, attempts=attempt):
            if not history[call].cancelled:
                _remember_failed(history[call], at, attempt, record.error)
        case r.AttemptFailed(step=step, at=at, attempt=attempt):
            _remember_failed(history[step], at, attempt, record.error)
        case r.AttemptLost(step=step, at=at, attempt=attempt):
            _remember_failed(history[step], at, attempt, None)
        case _:
            pass


def _remember_failed(past: _Past, at: int, attempt: int, error: r.Failure | None) -> None:
    if past.stated:
        return
    lost = error is None or error.type == LOST.type
    past.failed.append(AttemptDescription(attempt, time_of(at), _words(error), lost))


def _call(
    row: ExecutionRow,
    call: Call,
    history: dict[int, _Past],
    status: Status,
    children: Mapping[str, Status],
) -> CallDescription:
    step = call.step
    number = call.number
    undo = history.get(-number)
    error = call.error if step is None else step.last_error
    return CallDescription(
        call=number,
        name=call.name,
        state=_state(call, status),
        arguments=plain(call.arguments),
        idempotency_key=idempotency_key(row.id, call.run or row.run, number),
        result=plain(call.result),
        error=_words(error),
        outcome_unknown=call.outcome_unknown or (_left_open(call) and not status.live),
        attempts=call.attempts if step is None else step.attempts,
        next_attempt_at=_retry_time(step or call.undo) if status.live else None,
        heartbeat=plain(step.heartbeat) if step is not None else None,
        scheduled_at=time_of(history[number].scheduled_at),
        settled_at=_time(history[number].ended_at) if step is None else None,
        compensation=call.undo_name,
        compensation_attempts=0 if undo is None else undo.attempts,
        compensation_error=None if call.undo is None else _words(call.undo.last_error),
        compensation_key=None if undo is None else idempotency_key(row.id, row.run, -number),
        compensation_scheduled_at=None if undo is None else time_of(undo.scheduled_at),
        compensated_at=None if undo is None else _time(undo.ended_at),
        traceback=None if error is None else error.traceback,
        failed_attempts=history[number].failed,
        attempt_at=_attempt_time(call, history, status),
        child=call.child,
        child_status=_child_status(call, children),
        stays=call.stays,
        compensation_failed_attempts=() if undo is None else undo.failed,
    )


def _left_open(call: Call) -> bool:
    """Whether the call had not settled, and an attempt of it may have done something."""
    step = call.step
    return step is not None and (step.under_way or step.remote or step.may_have_happened)


def _child_status(call: Call, children: Mapping[str, Status]) -> str | None:
    if call.child is None:
        return None
    if call.undone and call.undo_name == call.name:
        return Status.COMPENSATED.value
    standing = children.get(call.child)
    return call.child_status if standing is None else standing.value


def _attempt_time(call: Call, history: dict[int, _Past], status: Status) -> datetime | None:
    """Return when the attempt began that is under way, of the call or of its undoing."""
    for step, number in ((call.undo, -call.number), (call.step, call.number)):
        if status.live and step is not None and step.under_way:
            past = history[number]
            return time_of(past.attempt_at or past.scheduled_at)
    return None


def _time(at: int | None) -> datetime | None:
    return None if at is None else time_of(at)


def _retry_time(step: Step | None) -> datetime | None:
    return None if step is None or step.retry_at is None else time_of(step.retry_at)


def _words(failure: r.Failure | None) -> str | None:
    if failure is None:
        return None
    return f"{failure.type}: {failure.message}" if failure.message else failure.type


def _state(call: Call, status: Status) -> str:
    if call.undone:
        return "undone"
    if call.stays is not None:
        return "stays"
    step = call.undo or call.step
    if step is None:
        if call.registered:
            return "registered"
        if call.error is None:
            return "completed"
        return "cancelled" if call.cancelled else "failed"
    if not status.live:
        return "cancelled"  # nobody waited for it any more when the code ended
    if step.stuck:
        return "stuck"
    if call.undo is not None:
        return "being undone"
    if step.retry_at is not None:
        return "waiting for a retry"
    return "being cancelled" if call.cancelled else "running"


def _waits(state: ExecutionState, deadline: datetime | None) -> list[str]:
    words: list[str] = []
    words += [f"a person: {incident.message}" for incident in state.incidents.values()]
    if state.begins_at is not None:
        words.append(f"its beginning at {time_of(state.begins_at).isoformat()}")
    for call in state.calls.values():
        for step, number in ((call.step, call.number), (call.undo, -call.number)):
            if step is None or (step.stuck and number in state.incidents):
                continue  # its incident has said what a person is to do
            if step.remote and not step.stuck:
                undo = "to undo itself" if step is call.undo else "to end"
                words.append(f"the child {call.child} (call {call.number}) {undo}")
            else:
                name = call.name if number > 0 else call.undo_name
                words.append(_wait(step, f"{name} (call {call.number})"))
    words += [f"the signal {name!r}" for name in sorted(state.waits.values())]
    words += [f"the event {event_type} of {key!r}" for event_type, key in _awaited(state)]
    for at in map(time_of, sorted(state.timers.values())):
        what = "the deadline" if is_deadline(at, deadline) else "a timer"
        words.append(f"{what} at {at.isoformat()}")
    return words


def _wait(step: Step, what: str) -> str:
    if step.asks:
        return f"a person to state the outcome of {what}"
    if step.stuck:
        return f"a person to retry {what}"
    if step.retry_at is not None:
        at = time_of(step.retry_at).isoformat()
        return f"attempt {step.attempts + 1} of {what} at {at}"
    return f"attempt {step.attempts} of {what}, under way"
