"""What a journal says about its execution, without running any code.

`ExecutionState.apply` folds one record into the state. The live execution, a replay, `describe()`
and recovery all read the same fold, so they cannot disagree: the state is a function of the
journal. A whole journal is folded by `kernel.replay.fold`, which knows what a retry took back.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from counterpoint.kernel.facts import Facts
from counterpoint.kernel.steps import Call, Step
from counterpoint.kernel.timers import FAR_FUTURE
from counterpoint.model import records as r
from counterpoint.model.states import Cause, Status


@dataclass(slots=True)
class ExecutionState(Facts):
    """The fold of a journal."""

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
        self.under_way[number] = None
        self.unsettled += 1
        self.uncancelled += 1

    def child_scheduled(self, record: r.ChildScheduled) -> None:
        number = self.calls_made = record.call
        step = Step(scheduled_at=self.updated_at, remote=True)
        call = Call(number, record.name, record.arguments, step)
        call.compensable = record.compensable
        call.child = record.id
        call.saga = record.saga
        self.calls[number] = call
        self.open_steps[number] = step
        self.children = True
        self.unsettled += 1
        self.uncancelled += 1

    def undo_registered(self, record: r.UndoRegistered) -> None:
        number = self.calls_made = record.call
        call = self.calls[number] = Call(number, record.name, record.arguments, None)
        call.registered = call.compensable = True

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

    def child_completed(self, record: r.ChildCompleted) -> None:
        self.updated_at = record.at
        call = self._settle(record.call)
        call.child_status = Status.COMPLETED.value
        call.pivoted = record.pivoted
        if self.keep_calls:
            call.result = record.result
        else:
            del self.calls[record.call]

    def child_failed(self, record: r.ChildFailed) -> None:
        self.updated_at = record.at
        call = self._settle(record.call)
        call.error = record.error
        call.child_status = record.status
        call.outcome_unknown = record.outcome_unknown

    def _settle(self, number: int) -> Call:
        call = self.calls[number]
        if call.step is not None:
            call.attempts = call.step.attempts
            call.step = None
            self.unsettled -= 1
            if not call.cancelled:
                self.uncancelled -= 1
        self.open_steps.pop(number, None)
        self.under_way.pop(number, None)
        return call

    def call_cancelled(self, record: r.CallCancelled) -> None:
        call = self.calls[record.call]
        if call.step is not None and not call.cancelled:
            self.uncancelled -= 1
        call.cancelled = True

    def pivot_passed(self, _: r.PivotPassed) -> None:
        self.pivoted = True

    def patched(self, _: r.Patched) -> None:
        """Only the code asks for it, on replay."""

    def attributes_set(self, record: r.AttributesSet) -> None:
        self.attributed = True
        for name, value in record.values.items():
            if value is None:
                self.attributes.pop(name, None)
            else:
                self.attributes[name] = value

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
        unread = self.unread.setdefault(record.name, deque())
        unread.append(r.CarriedSignal(record.name, record.value))

    def signal_awaited(self, record: r.SignalAwaited) -> None:
        self.waits[record.wait] = record.name

    def signal_taken(self, record: r.SignalTaken) -> None:
        unread = self.unread[record.name]
        unread.popleft()
        if not unread:
            del self.unread[record.name]

    def signal_wait_ended(self, record: r.SignalWaitEnded) -> None:
        self.waits.pop(record.wait, None)

    def event_awaited(self, record: r.EventAwaited) -> None:
        self.event_waits[record.wait] = record

    def event_wait_ended(self, record: r.EventWaitEnded) -> None:
        self.event_waits.pop(record.wait, None)

    def event_received(self, record: r.EventReceived) -> None:
        self.updated_at = record.at
        self.event_waits.pop(record.wait, None)
        self.event_positions[record.event_type, record.key] = record.position

    def published(self, _: r.Published) -> None:
        """The event is in the log."""

    def started_by_event(self, record: r.CausedBy) -> None:
        self.caused_by = record
        self.hops = record.hops + 1

    def led_to_by_events(self, record: r.Hops) -> None:
        self.hops = record.count

    def cancel_asked(self, record: r.CancelRequested) -> None:
        self.updated_at = record.at
        self.request_ids.add(record.request_id)
        self.cancel_requested = True

    def compensation_started(self, record: r.CompensationStarted) -> None:
        self.updated_at = record.at
        self.status = Status.COMPENSATING
        self.undoing = True
        self.undoing_since = record.at
        self.error = record.error
        self.undoing_cancelled = record.cancelled
        self.timers.clear()
        self.waits.clear()
        self.event_waits.clear()

    def compensation_scheduled(self, record: r.CompensationScheduled) -> None:
        call = self.calls[record.call]
        call.undo_name = record.name
        self.undo_from = record.call
        call.undo = self.open_steps[-record.call] = Step(scheduled_at=self.updated_at)
        self.under_way[-record.call] = None

    def child_undo_scheduled(self, record: r.ChildUndoScheduled) -> None:
        call = self.calls[record.call]
        call.undo_name = call.name
        self.undo_from = record.call
        call.undo = Step(scheduled_at=self.updated_at, remote=True)
        self.open_steps[-record.call] = call.undo

    def compensation_skipped(self, record: r.CompensationSkipped) -> None:
        call = self.calls[record.call]
        call.stays = record.why
        call.undo = None
        self.open_steps.pop(-record.call, None)

    def compensation_completed(self, record: r.CompensationCompleted) -> None:
        self.updated_at = record.at
        call = self.calls[record.call]
        call.undo = None
        call.undone = True
        self.open_steps.pop(-record.call, None)
        self.under_way.pop(-record.call, None)

    def ended(self, record: r.Ended) -> None:
        self.updated_at = record.at
        self.status = Status(record.status)
        if self.status is Status.COMPLETED:
            self.result = record.result
        self.error = record.error or self.error
        self.failed_call = record.failed_call
        self.timers.clear()
        self.waits.clear()
        self.event_waits.clear()
        self.open_steps.clear()
        self.under_way.clear()
        self.incidents.clear()

    def stopped(self, record: r.Stopped) -> None:
        self.updated_at = record.at
        self.code_over = True
        self.error = record.error
        self.timers.clear()
        self.waits.clear()
        self.event_waits.clear()
        message = f"failed past its pivot: {record.error.message or record.error.type}"
        self._incident(r.IncidentRaised(record.at, Cause.PAST_PIVOT, message))

    def child_of(self, record: r.ChildOf) -> None:
        self.parent = record
        self.cancel_is_stale = self.cancel_requested

    def delayed(self, record: r.Delayed) -> None:
        self.begins_at = self.delayed_until = record.until

    def begun(self, record: r.Begun) -> None:
        self.started_at = self.updated_at = record.at
        self.begins_at = None

    def continued(self, record: r.Continued) -> None:
        self.carried = record
        self.attributes = dict(record.attributes)
        for signal in record.signals:
            self.unread.setdefault(signal.name, deque()).append(signal)
        for cursor in record.events:
            self.event_positions[cursor.event_type, cursor.key] = cursor.position
        self.caused_by = record.caused_by
        self.hops = record.hops

    def reset_from(self, record: r.ResetFrom) -> None:
        self.updated_at = max(self.updated_at, record.at)
        self.request_ids.add(record.request_id)
        if self.began_in_run is None:
            self.began_in_run = record.run
        for call in self.calls.values():
            if call.step is None and call.run is None:
                call.run = record.run

    def attempt_started(self, record: r.AttemptStarted) -> None:
        self.updated_at = record.at
        step = self.open_steps[record.step]
        step.attempts = record.attempt
        step.retry_at = None
        step.stuck = False
        if not step.remote:
            self.under_way[record.step] = None

    def attempt_failed(self, record: r.AttemptFailed) -> None:
        self.updated_at = record.at
        step = self.open_steps[record.step]
        step.last_error = record.error
        step.may_have_happened |= record.may_have_happened
        step.retry_at = record.retry_at
        step.stuck = record.retry_at is None
        step.lost_in_a_row = 0
        self.under_way.pop(record.step, None)

    def attempt_lost(self, record: r.AttemptLost) -> None:
        self.updated_at = record.at
        step = self.open_steps[record.step]
        step.may_have_happened = True
        step.retry_at = record.retry_at
        step.stuck = record.retry_at is None
        step.lost_in_a_row += 1
        self.under_way.pop(record.step, None)

    def attempt_postponed(self, record: r.AttemptPostponed) -> None:
        self.updated_at = record.at
        step = self.open_steps[record.step]
        step.attempts = record.attempt - 1
        step.retry_at = record.at
        self.under_way.pop(record.step, None)

    def heartbeat(self, record: r.HeartbeatRecorded) -> None:
        self.updated_at = record.at
        self.open_steps[record.step].heartbeat = record.detail

    def incident_raised(self, record: r.IncidentRaised) -> None:
        self.updated_at = record.at
        step = None if record.step is None else self.open_steps.get(record.step)
        if step is not None and record.cause == Cause.UNKNOWN_OUTCOME:
            step.asks = step.stuck = True
            step.retry_at = None
        self._incident(record)

    def _incident(self, record: r.IncidentRaised) -> None:
        self.status = Status.INCIDENT
        self.incidents[record.step] = record

    def incident_resolved(self, record: r.IncidentResolved) -> None:
        self.updated_at = record.at
        resolved = self.incidents.pop(record.step, None)
        if resolved is not None and resolved.cause == Cause.SETTLE:
            self.undoing_since = record.at  # another patience begins, if it has not ended
        if not self.incidents:
            self.status = Status.COMPENSATING if self.undoing else Status.RUNNING

    def retry_requested(self, record: r.RetryRequested) -> None:
        self.updated_at = record.at
        self.request_ids.add(record.request_id)
        for step in self.open_steps.values():
            if (step.stuck or step.retry_at is not None) and not step.asks:
                step.stuck = False
                step.lost_in_a_row = 0
                step.retry_at = record.at

    def cancel_refused(self, record: r.CancelRefused) -> None:
        self.updated_at = record.at
        self.request_ids.add(record.request_id)

    def terminate_asked(self, record: r.TerminateRequested) -> None:
        self.updated_at = record.at
        self.request_ids.add(record.request_id)

    def step_resolved(self, record: r.StepResolved) -> None:
        self.updated_at = record.at
        self.request_ids.add(record.request_id)
        step = self.open_steps.get(record.step)
        if step is not None:  # what is said now counts, not what was feared before
            step.asks = step.may_have_happened = False
            step.lost_in_a_row = 0

    def undo_requested(self, record: r.UndoRequested) -> None:
        self.updated_at = record.at
        self.request_ids.add(record.request_id)
        for call in self.calls.values():
            if call.step is not None:  # nobody waited for it when the code ended
                call.step, call.outcome_unknown = None, True
        self.unsettled = self.uncancelled = 0
        self.undo_asked = True

    def begin_again(self, record: r.RetryRequested | r.ResetFrom, ended_at: int | None) -> None:
        """Prepare for what takes back an end: what was under way was cut off.

        The time since the end does not count: what waits for a moment waits as long as it had to.
        """
        self.incidents.clear()
        self.status = Status.RUNNING
        late = max(0, record.at - (self.updated_at if ended_at is None else ended_at))
        for timer, due_at in self.timers.items():
            self.timers[timer] = min(due_at + late, FAR_FUTURE)
        for number, step in self.open_steps.items():
            if number > 0 and self.calls[number].cancelled:
                step.remote = False
                continue  # nobody waits for it: it settles, whatever became of it
            if step.under_way:
                step.may_have_happened = True
            if not step.remote:  # letters tell the attempts of a child apart by their numbers
                step.attempts = 0
            step.asks = step.stuck = False
            step.retry_at = record.at
            self.under_way.pop(number, None)


_FOLD: dict[type, Callable[[ExecutionState, Any], None]] = {
    r.Started: ExecutionState.started,
    r.CallScheduled: ExecutionState.call_scheduled,
    r.CallCompleted: ExecutionState.call_completed,
    r.CallFailed: ExecutionState.call_failed,
    r.Begun: ExecutionState.begun,
    r.ChildScheduled: ExecutionState.child_scheduled,
    r.ChildCompleted: ExecutionState.child_completed,
    r.ChildFailed: ExecutionState.child_failed,
    r.UndoRegistered: ExecutionState.undo_registered,
    r.PivotPassed: ExecutionState.pivot_passed,
    r.Patched: ExecutionState.patched,
    r.AttributesSet: ExecutionState.attributes_set,
    r.ChildUndoScheduled: ExecutionState.child_undo_scheduled,
    r.CompensationSkipped: ExecutionState.compensation_skipped,
    r.Stopped: ExecutionState.stopped,
    r.ChildOf: ExecutionState.child_of,
    r.Delayed: ExecutionState.delayed,
    r.Continued: ExecutionState.continued,
    r.ResetFrom: ExecutionState.reset_from,
    r.CancelRefused: ExecutionState.cancel_refused,
    r.TerminateRequested: ExecutionState.terminate_asked,
    r.StepResolved: ExecutionState.step_resolved,
    r.UndoRequested: ExecutionState.undo_requested,
    r.CallCancelled: ExecutionState.call_cancelled,
    r.TimerSet: ExecutionState.timer_set,
    r.TimerCancelled: ExecutionState.timer_cancelled,
    r.TimerFired: ExecutionState.timer_fired,
    r.SignalReceived: ExecutionState.signal_received,
    r.SignalAwaited: ExecutionState.signal_awaited,
    r.SignalTaken: ExecutionState.signal_taken,
    r.SignalWaitEnded: ExecutionState.signal_wait_ended,
    r.CancelRequested: ExecutionState.cancel_asked,
    r.EventAwaited: ExecutionState.event_awaited,
    r.EventWaitEnded: ExecutionState.event_wait_ended,
    r.EventReceived: ExecutionState.event_received,
    r.Published: ExecutionState.published,
    r.CausedBy: ExecutionState.started_by_event,
    r.Hops: ExecutionState.led_to_by_events,
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
