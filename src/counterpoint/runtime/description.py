"""What can be said of an execution without its code, as data: `describe()`, `counterpoint show`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from counterpoint.model import records as r
from counterpoint.model.states import Status

_TIMES = frozenset({"due_at", "retry_at", "until", "deadline_at", "recorded_at"})
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
    """One call of an activity or workflow, or what `compensate_with` named, and its undoing."""

    call: int
    name: str
    state: str
    """`running`, `being cancelled`, `waiting for a retry`, `stuck`, `completed`, `failed`,
    `cancelled`, `being undone`, `undone`, `stays`, or `registered` (by `compensate_with`)."""
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
    attempt_at: datetime | None = None
    """When the attempt began that is under way; None while none is."""
    child: str | None = None
    """The id of the child execution, for a call of a workflow."""
    child_status: str | None = None
    """How the child stands; None while nobody has begun it, or where it ended with its parent."""
    stays: str | None = None
    """Why it is not undone although it happened."""


@dataclass(frozen=True, slots=True)
class IncidentDescription:
    """Something that needs a person."""

    cause: str
    """See the reference of states: `lost-attempts`, `unknown-outcome`, `patience`, …"""
    message: str
    at: datetime
    call: int | None
    """The call that it is about; None for the execution as a whole."""
    compensation: bool
    """It is about undoing the call."""


@dataclass(frozen=True, slots=True)
class AwaitedEvent:
    """A type of event that an execution waits for."""

    type: str
    """The recorded name: `service.EventClass`."""
    key: str


@dataclass(frozen=True, slots=True)
class CauseDescription:
    """What started an execution that nobody started by hand."""

    event_type: str | None
    """The recorded name of the event; None if an activity of another execution did."""
    source: str
    """The service that published the event, or whose execution it was."""
    id: str
    """The id of the event, or of the execution."""


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
    incidents: Sequence[IncidentDescription] = ()
    """Everything that needs a person, oldest first."""
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    parent: str | None = None
    """The execution whose step this one is."""
    parent_call: int | None = None
    begins_at: datetime | None = None
    """When the code of a delayed execution begins; None once it has."""
    pivot_passed: bool = False
    undone: Sequence[int] = ()
    """Calls that are undone."""
    to_undo: Sequence[int] = ()
    """Calls that are undone next, in that order, while a saga compensates."""
    stay: Sequence[int] = ()
    """Calls that happened, or may have, and are not undone: nothing undoes them."""
    left: Sequence[int] = ()
    """Calls of a terminated execution that somebody has to look at: those that would have been
    undone, and those that were cut off, so that nobody knows whether they happened."""
    awaited_events: Sequence[AwaitedEvent] = ()
    caused_by: CauseDescription | None = None
    """The event that started it, or the execution whose activity did; None for any other start."""

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
    if name in _TIMES and value is not None:
        return time_of(value)
    if name == "since" and isinstance(value, int):
        return time_of(value) if value else None
    if isinstance(value, msgspec.Raw):
        return plain(value)
    if name == "signals" and value:
        carried: list[r.CarriedSignal] = value
        return [{"name": one.name, "value": plain(one.value)} for one in carried]
    if name == "events" and value:
        cursors: list[r.EventCursor] = value
        return [msgspec.structs.asdict(cursor) for cursor in cursors]
    if isinstance(value, r.CausedBy):
        return {**msgspec.structs.asdict(value), "recorded_at": time_of(value.recorded_at)}
    if isinstance(value, r.Failure):
        return {
            "type": value.type,
            "message": value.message,
            "facts": plain(value.facts),
            "traceback": value.traceback,
        }
    return value
