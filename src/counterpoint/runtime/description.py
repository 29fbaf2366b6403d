"""What can be said of an execution without its code: `describe()`, `counterpoint show`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from counterpoint.kernel.replay import fold
from counterpoint.kernel.retry import LOST
from counterpoint.kernel.state import Call, ExecutionState, Step
from counterpoint.model import records as r
from counterpoint.model.ids import idempotency_key
from counterpoint.model.rows import ExecutionRow
from counterpoint.model.states import Status

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class AttemptDescription:
    """One attempt of a call, or of its compensation, that ended without a result."""

    attempt: int
    at: datetime
    error: str | None
    """None for a lost attempt, of which nobody knows more."""
    lost: bool
    """Its node ended while it was under way."""


@dataclass(frozen=True, slots=True)
class CallDescription:
    """One call of an activity, or its compensation."""

    call: int
    name: str
    state: str
    """`running`, `being cancelled`, `waiting for a retry`, `stuck`, `completed`, `failed`,
    `cancelled`, `being undone` or `undone`."""
    arguments: Any
    idempotency_key: str
    result: Any = None
    error: str | None = None
    outcome_unknown: bool = False
    attempts: int = 0
    next_attempt_at: datetime | None = None
    heartbeat: Any = None
    scheduled_at: datetime | None = None
    """When the code made the call."""
    settled_at: datetime | None = None
    """When its outcome was recorded."""
    compensation: str | None = None
    compensation_attempts: int = 0
    compensation_error: str | None = None
    """The error of its last failed attempt; None once it has succeeded."""
    compensation_key: str | None = None
    """Its own idempotency key; None while nothing has to be undone."""
    compensation_scheduled_at: datetime | None = None
    compensated_at: datetime | None = None
    traceback: str | None = None
    """Where its error was raised, as far as it was recorded."""
    failed_attempts: Sequence[AttemptDescription] = ()
    """Oldest first; the last one too, if it failed the call."""
    compensation_failed_attempts: Sequence[AttemptDescription] = ()


@dataclass(frozen=True, slots=True)
class Description:
    """Everything that the journal tells about one execution; JSON-able by `to_json`."""

    id: str
    run: int
    workflow: str
    version: int
    kind: str
    status: Status
    correlation_id: str
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    records: int
    arguments: Any
    result: Any
    error: str | None
    error_type: str | None
    incident: str | None
    incident_at: datetime | None
    """Since when a person is needed; None while nobody is."""
    calls: Sequence[CallDescription]
    timers: Sequence[datetime]
    """When the timers that it waits for are due, earliest first."""
    awaited_signals: Sequence[str]
    unread_signals: Sequence[str]
    waits_for: Sequence[str]
    """In words: everything that has to happen before it goes on."""
    traceback: str | None = None
    """Where the error was raised, as far as it was recorded."""
    cancel_requested_at: datetime | None = None
    """None unless somebody asked it to stop."""
    cancel_requested_by: str | None = None
    cancel_reason: str | None = None
    deadline_at: datetime | None = None
    """When the workflow's own `deadline=` passes; None if it has none."""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; times in ISO 8601."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One record of a journal, for people and tools."""

    seq: int
    type: str
    """The record's tag, such as `scheduled` or `attempt-failed`."""
    at: datetime | None
    data: dict[str, Any]


def time_of(microseconds: int) -> datetime:
    """Return recorded microseconds as a UTC datetime."""
    return _EPOCH + timedelta(microseconds=microseconds)


def plain(payload: r.Payload | None) -> Any:
    """Return a recorded value as plain JSON values."""
    return None if payload is None else json.loads(bytes(payload))


def describe(row: ExecutionRow, records: Sequence[r.Record]) -> Description:
    """Return the description of an execution from its row and its whole journal."""
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
        calls=[_call(row, call, history, state.status) for call in state.calls.values()],
        timers=sorted(time_of(at) for at in state.timers.values()),
        awaited_signals=sorted(state.waits.values()),
        unread_signals=sorted(state.unread),
        waits_for=_waits(state, deadline) if state.status.live else [],
        traceback=None if failed is None else failed.traceback,
        cancel_requested_at=None if cancel is None else time_of(cancel.at),
        cancel_requested_by=None if cancel is None else cancel.actor,
        cancel_reason=None if cancel is None else cancel.reason,
        deadline_at=deadline,
    )


def is_deadline(timer: datetime, deadline: datetime | None) -> bool:
    """Whether a timer is that of the workflow's own deadline; both are rounded differently."""
    return deadline is not None and abs(timer - deadline) <= timedelta(microseconds=1)


def journal_entries(records: Sequence[r.Record]) -> list[JournalEntry]:
    """Return records numbered and as plain values."""
    entries: list[JournalEntry] = []
    for seq, record in enumerate(records, 1):
        data = {
            name: msgspec.to_builtins(_readable(name, getattr(record, name)))
            for name in record.__struct_fields__
            if name != "at"
        }
        at = getattr(record, "at", None)
        tag = str(record.__struct_config__.tag)
        entries.append(JournalEntry(seq, tag, None if at is None else time_of(at), data))
    return entries


def _readable(name: str, value: Any) -> Any:
    if name in ("due_at", "retry_at") and value is not None:
        return time_of(value)
    if isinstance(value, msgspec.Raw):
        return plain(value)
    if isinstance(value, r.Failure):
        return {
            "type": value.type,
            "message": value.message,
            "facts": plain(value.facts),
            "traceback": value.traceback,
        }
    return value


@dataclass(slots=True)
class _Past:
    """What the folded state does not keep of one step."""

    scheduled_at: int
    ended_at: int | None = None
    attempts: int = 1
    cancelled: bool = False
    failed: list[AttemptDescription] = field(default_factory=list[AttemptDescription])


def _remember(history: dict[int, _Past], now: int, record: r.Record) -> None:
    match record:
        case r.CallScheduled(call=call):
            history[call] = _Past(now)
        case r.CallCancelled(call=call):
            history[call].cancelled = True
        case r.CallCompleted(call=call, at=at) | r.CallFailed(call=call, at=at):
            history[call].ended_at = at
        case r.CompensationScheduled(call=call):
            history[-call] = _Past(now)
        case r.CompensationCompleted(call=call, at=at):
            history[-call].ended_at = at
        case r.AttemptStarted(step=step, attempt=attempt):
            history[step].attempts = attempt
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
    lost = error is None or error.type == LOST.type
    past.failed.append(AttemptDescription(attempt, time_of(at), _words(error), lost))


def _call(
    row: ExecutionRow, call: Call, history: dict[int, _Past], status: Status
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
        idempotency_key=idempotency_key(row.id, row.run, number),
        result=plain(call.result),
        error=_words(error),
        outcome_unknown=call.outcome_unknown,
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
        compensation_failed_attempts=() if undo is None else undo.failed,
    )


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
    step = call.undo or call.step
    if step is None:
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
    if state.incident is not None:
        words.append(f"a person: {state.incident.message}")
    for call in state.calls.values():
        for step, name in ((call.step, call.name), (call.undo, call.undo_name)):
            if step is not None:
                words.append(_wait(step, f"{name} (call {call.number})"))
    words += [f"the signal {name!r}" for name in sorted(state.waits.values())]
    for at in map(time_of, sorted(state.timers.values())):
        what = "the deadline" if is_deadline(at, deadline) else "a timer"
        words.append(f"{what} at {at.isoformat()}")
    return words


def _wait(step: Step, what: str) -> str:
    if step.stuck:
        return f"a person to retry {what}"
    if step.retry_at is not None:
        at = time_of(step.retry_at).isoformat()
        return f"attempt {step.attempts + 1} of {what} at {at}"
    return f"attempt {step.attempts} of {what}, under way"
