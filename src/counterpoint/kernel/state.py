"""What a journal says about its execution, without running any code.

`ExecutionState.apply` folds one record into the state. The live execution, a replay, `describe()`
and recovery all read the same fold, so they cannot disagree: the state is a function of the
journal. A whole journal is folded by `kernel.replay.fold`, which knows what a retry took back.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from counterpoint.model import records as r
from counterpoint.model.states import Status


@dataclass(slots=True)
class Step:
    """The attempts of one call or of one compensation."""

    attempts: int = 1
    """Attempts that began, the current one included."""
    retry_at: int | None = None
    """When the next attempt begins; None while one is under way."""
    scheduled_at: int = 0
    last_error: r.Failure | None = None
    may_have_happened: bool = False
    lost_in_a_row: int = 0
    heartbeat: r.Payload | None = None
    stuck: bool = False
    """No attempt will begin until a person asks for it."""


@dataclass(slots=True)
class Call:
    """One call of an activity."""

    number: int
    name: str
    arguments: r.Payload
    step: Step | None
    """None once the call has settled."""
    result: r.Payload | None = None
    error: r.Failure | None = None
    outcome_unknown: bool = False
    cancelled: bool = False
    compensable: bool = False
    attempts: int = 0
    """Attempts that began, once it has settled."""
    undo: Step | None = None
    """The compensation under way."""
    undo_name: str | None = None
    undone: bool = False


@dataclass(slots=True)
class ExecutionState:
    """The fold of a journal."""

    keep_calls: bool = True
    """Keep completed calls (a saga needs them to undo, `describe()` to show them)."""
    status: Status = Status.RUNNING
    workflow: str = ""
    version: int = 1
    arguments: r.Payload = field(default_factory=lambda: r.NULL)
    started_at: int = 0
    updated_at: int = 0
    count: int = 0
    """Records applied; the number of the last one."""
    calls_made: int = 0
    calls: dict[int, Call] = field(default_factory=dict[int, Call])
    open_steps: dict[int, Step] = field(default_factory=dict[int, Step])
    timers: dict[int, int] = field(default_factory=dict[int, int])
    """Due time by timer number."""
    waits: dict[int, str] = field(default_factory=dict[int, str])
    """Signal name by wait number."""
    unread: list[str] = field(default_factory=list[str])
    """Names of signals that came and were not taken."""
    request_ids: set[str] = field(default_factory=set[str])
    cancel_requested: bool = False
    undoing: bool = False
    """The code is over and what it did is being undone (or waits for a person while it is)."""
    undoing_cancelled: bool = False
    undo_from: int = 0
    """The newest call whose compensation began last; those above it are done with."""
    result: r.Payload | None = None
    error: r.Failure | None = None
    failed_call: int | None = None
    incident: r.IncidentRaised | None = None

    def apply(self, record: r.Record) -> None:
        """Fold the next record of the journal into the state."""
        self.count += 1
        _FOLD[type(record)](self, record)

    def started(self, record: r.Started) -> None:
        self.workflow = record.workflow
        self.version = record.version
        self.arguments = record.arguments
        self.started_at = self.updated_at = record.at

    def call_scheduled(self, record: r.CallScheduled) -> None:
        number = self.calls_made = record.call
        step = Step(scheduled_at=self.updated_at)
        call = Call(number, record.name, record.arguments, step)
        call.compensable = record.compensable
        self.calls[number] = call
        self.open_steps[number] = step

    def call_completed(self, record: r.CallCompleted) -> None:
        self.updated_at = record.at
        call = self._settle(record.call)
        if self.keep_calls:
            call.result = record.result
        else:
            del self.calls[record.call]

    def call_failed(self, record: r.CallFailed) -> None:
        self.updated_at = record.at
        call = self._settle(record.call)
        call.error = record.error
        call.outcome_unknown = record.outcome_unknown

    def _settle(self, number: int) -> Call:
        call = self.calls[number]
        if call.step is not None:
            call.attempts = call.step.attempts
            call.step = None
        self.open_steps.pop(number, None)
        return call

    def call_cancelled(self, record: r.CallCancelled) -> None:
        self.calls[record.call].cancelled = True

    def timer_set(self, record: r.TimerSet) -> None:
        self.timers[record.timer] = record.due_at

    def timer_cancelled(self, record: r.TimerCancelled) -> None:
        self.timers.pop(record.timer, None)

    def timer_fired(self, record: r.TimerFired) -> None:
        self.updated_at = record.at
        self.timers.pop(record.timer, None)

    def signal_received(self, record: r.SignalReceived) -> None:
        self.updated_at = record.at
        self.request_ids.add(record.request_id)
        for wait, name in self.waits.items():
            if name == record.name:
                del self.waits[wait]
                return
        self.unread.append(record.name)

    def signal_awaited(self, record: r.SignalAwaited) -> None:
        self.waits[record.wait] = record.name

    def signal_taken(self, record: r.SignalTaken) -> None:
        self.unread.remove(record.name)

    def signal_wait_ended(self, record: r.SignalWaitEnded) -> None:
        self.waits.pop(record.wait, None)

    def cancel_asked(self, record: r.CancelRequested) -> None:
        self.updated_at = record.at
        self.request_ids.add(record.request_id)
        self.cancel_requested = True

    def compensation_started(self, record: r.CompensationStarted) -> None:
        self.updated_at = record.at
        self.status = Status.COMPENSATING
        self.undoing = True
        self.error = record.error
        self.undoing_cancelled = record.cancelled
        self.timers.clear()
        self.waits.clear()

    def compensation_scheduled(self, record: r.CompensationScheduled) -> None:
        call = self.calls[record.call]
        call.undo_name = record.name
        self.undo_from = record.call
        call.undo = self.open_steps[-record.call] = Step(scheduled_at=self.updated_at)

    def compensation_completed(self, record: r.CompensationCompleted) -> None:
        self.updated_at = record.at
        call = self.calls[record.call]
        call.undo = None
        call.undone = True
        self.open_steps.pop(-record.call, None)

    def ended(self, record: r.Ended) -> None:
        self.updated_at = record.at
        self.status = Status(record.status)
        if self.status is Status.COMPLETED:
            self.result = record.result
        self.error = record.error or self.error
        self.failed_call = record.failed_call
        self.timers.clear()
        self.waits.clear()
        self.open_steps.clear()

    def attempt_started(self, record: r.AttemptStarted) -> None:
        self.updated_at = record.at
        step = self.open_steps[record.step]
        step.attempts = record.attempt
        step.retry_at = None
        step.stuck = False

    def attempt_failed(self, record: r.AttemptFailed) -> None:
        self.updated_at = record.at
        step = self.open_steps[record.step]
        step.last_error = record.error
        step.may_have_happened |= record.may_have_happened
        step.retry_at = record.retry_at
        step.lost_in_a_row = 0

    def attempt_lost(self, record: r.AttemptLost) -> None:
        self.updated_at = record.at
        step = self.open_steps[record.step]
        step.may_have_happened = True
        step.retry_at = record.retry_at
        step.stuck = record.retry_at is None
        step.lost_in_a_row += 1

    def attempt_postponed(self, record: r.AttemptPostponed) -> None:
        self.updated_at = record.at
        step = self.open_steps[record.step]
        step.attempts = record.attempt - 1
        step.retry_at = record.at

    def heartbeat(self, record: r.HeartbeatRecorded) -> None:
        self.updated_at = record.at
        self.open_steps[record.step].heartbeat = record.detail

    def incident_raised(self, record: r.IncidentRaised) -> None:
        self.updated_at = record.at
        self.status = Status.INCIDENT
        self.incident = record

    def incident_resolved(self, record: r.IncidentResolved) -> None:
        self.updated_at = record.at
        self.incident = None
        self.status = Status.COMPENSATING if self.undoing else Status.RUNNING

    def retry_requested(self, record: r.RetryRequested) -> None:
        self.updated_at = record.at
        self.request_ids.add(record.request_id)
        for step in self.open_steps.values():
            if step.stuck or step.retry_at is not None:
                step.stuck = False
                step.lost_in_a_row = 0
                step.retry_at = record.at

    def begin_again(self, record: r.Record) -> None:
        """Prepare for a `RetryRequested` that took back the end: what was under way was cut off."""
        at = record.at if isinstance(record, r.RetryRequested) else self.updated_at
        for number, step in self.open_steps.items():
            if number > 0 and self.calls[number].cancelled:
                continue  # nobody waits for it: it settles, whatever became of it
            if step.retry_at is None and not step.stuck:
                step.may_have_happened = True
            step.attempts = 0
            step.retry_at = at

    @property
    def busy(self) -> bool:
        """Whether an attempt is under way (or the node died while it was)."""
        return any(s.retry_at is None and not s.stuck for s in self.open_steps.values())

    def next_wake(self) -> int | None:
        """Return the earliest timer or retry, or None; meaningful while not `busy`."""
        times = list(self.timers.values())
        times += [s.retry_at for s in self.open_steps.values() if s.retry_at is not None]
        return min(times, default=None)


_FOLD: dict[type, Callable[[ExecutionState, Any], None]] = {
    r.Started: ExecutionState.started,
    r.CallScheduled: ExecutionState.call_scheduled,
    r.CallCompleted: ExecutionState.call_completed,
    r.CallFailed: ExecutionState.call_failed,
    r.CallCancelled: ExecutionState.call_cancelled,
    r.TimerSet: ExecutionState.timer_set,
    r.TimerCancelled: ExecutionState.timer_cancelled,
    r.TimerFired: ExecutionState.timer_fired,
    r.SignalReceived: ExecutionState.signal_received,
    r.SignalAwaited: ExecutionState.signal_awaited,
    r.SignalTaken: ExecutionState.signal_taken,
    r.SignalWaitEnded: ExecutionState.signal_wait_ended,
    r.CancelRequested: ExecutionState.cancel_asked,
    r.CompensationStarted: ExecutionState.compensation_started,
    r.CompensationScheduled: ExecutionState.compensation_scheduled,
    r.CompensationCompleted: ExecutionState.compensation_completed,
    r.Ended: ExecutionState.ended,
    r.AttemptStarted: ExecutionState.attempt_started,
    r.AttemptFailed: ExecutionState.attempt_failed,
    r.AttemptLost: ExecutionState.attempt_lost,
    r.AttemptPostponed: ExecutionState.attempt_postponed,
    r.HeartbeatRecorded: ExecutionState.heartbeat,
    r.IncidentRaised: ExecutionState.incident_raised,
    r.IncidentResolved: ExecutionState.incident_resolved,
    r.RetryRequested: ExecutionState.retry_requested,
}
