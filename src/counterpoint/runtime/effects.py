"""Performs what a commit has made durable: attempts begin or end, alarms are set, waiters told."""

import logging
from collections.abc import Callable
from typing import Any

from counterpoint.authoring.failures import in_words
from counterpoint.kernel.attempts import name_of
from counterpoint.kernel.steps import Call
from counterpoint.model import records as r
from counterpoint.model.outcomes import Outcome
from counterpoint.model.records import decode_records, encode_records
from counterpoint.model.times import microseconds
from counterpoint.runtime import in_transaction, inputs
from counterpoint.runtime.attempt import (
    Attempt,
    CallAttempt,
    CompensationAttempt,
    RegisteredAttempt,
)
from counterpoint.runtime.host import Host
from counterpoint.runtime.log import logger
from counterpoint.runtime.resident import Finished, Resident

HEARTBEAT_INTERVAL = 1_000_000
"""Microseconds between two recorded heartbeats of one attempt."""


class Effects:
    """The hands of a node."""

    def __init__(self, node: Host) -> None:
        self.node = node

    # ---- after a commit -----------------------------------------------------------------------

    def perform(self, resident: Resident, records: list[r.Record]) -> None:
        """Perform what *records*, now durable, decided."""
        for record in records:
            effect = _EFFECTS.get(type(record))
            if effect is not None:
                effect(self, resident, record)
        node = self.node
        node.settle(resident)
        if node.rehearse:
            resident.history += decode_records(encode_records(records))
            node.turns.push_first(inputs.rehearse, resident)

    def call_scheduled(self, resident: Resident, record: r.CallScheduled) -> None:
        call = resident.execution.state.calls.get(record.call)
        if self._is_elsewhere(resident, record.call):
            return
        if call is not None and call.step is not None and not call.cancelled:
            self._start_call(resident, record.call, 1)

    def call_cancelled(self, resident: Resident, record: r.CallCancelled) -> None:
        attempt = resident.attempts.get(record.call)
        step = resident.execution.state.open_steps.get(record.call)
        there = resident.elsewhere.get(record.call)
        if attempt is not None:
            self.node.activities.cancel(attempt)
        elif there is not None:
            self.node.remote.withdraw(resident, record.call, there)
        elif step is not None and not step.remote:
            self.node.push(inputs.cancel_unstarted, resident, record.call)

    def compensation_scheduled(self, resident: Resident, record: r.CompensationScheduled) -> None:
        if self._is_elsewhere(resident, -record.call):
            return
        if -record.call in resident.execution.state.open_steps:
            self._start_compensation(resident, record.call, 1)

    def attempt_started(self, resident: Resident, record: r.AttemptStarted) -> None:
        state = resident.execution.state
        step = state.open_steps.get(record.step)
        if step is None or step.remote or record.step in resident.attempts:
            return
        if self._is_elsewhere(resident, record.step):
            return
        if record.step > 0:
            if not state.calls[record.step].cancelled:
                self._start_call(resident, record.step, record.attempt)
        else:
            self._start_compensation(resident, -record.step, record.attempt)

    def attempt_failed(self, resident: Resident, record: r.AttemptFailed) -> None:
        if record.retry_at is not None:
            logger.warning(
                "%s: attempt %d of %s failed, the next one in %.3g s: %s",
                resident.id,
                record.attempt,
                name_of(resident.execution, record.step),
                max(0, record.retry_at - record.at) / 1e6,
                in_words(record.error),
            )
            self.set_alarm(resident, record.retry_at)

    def attempt_lost(self, resident: Resident, record: r.AttemptLost) -> None:
        if record.retry_at is not None:
            self.set_alarm(resident, record.retry_at)

    def event_awaited(self, resident: Resident, record: r.EventAwaited) -> None:
        if record.wait in resident.execution.state.event_waits:
            self.node.messaging.awaited(resident, record)

    def retry_requested(self, resident: Resident, _: r.RetryRequested) -> None:
        """What ended the waits for events may have been taken back: some may be in the log."""
        for wait in resident.execution.state.event_waits.values():
            self.node.messaging.awaited(resident, wait)

    def timer_set(self, resident: Resident, record: r.TimerSet) -> None:
        self.set_alarm(resident, record.due_at)

    def call_failed(self, resident: Resident, record: r.CallFailed) -> None:
        level = logging.INFO if record.error.business else logging.WARNING
        if logger.isEnabledFor(level):
            logger.log(
                level, "%s: call %d failed: %s", resident.id, record.call, in_words(record.error)
            )

    def compensation_started(self, resident: Resident, record: r.CompensationStarted) -> None:
        self._say_failed(resident, record.error, "is being undone")
        if resident.execution.state.unsettled:
            self.set_alarm(resident, record.at + microseconds(self.node.settings.settle))

    def stopped(self, resident: Resident, record: r.Stopped) -> None:
        self._say_failed(resident, record.error, "stands still past its pivot")

    def ended(self, resident: Resident, record: r.Ended) -> None:
        if record.error is not None:
            self._say_failed(resident, record.error, record.status)
        for attempt in list(resident.attempts.values()):
            self.node.activities.forget(attempt)
        resident.attempts.clear()
        resident.elsewhere.clear()
        state = resident.execution.state
        if not state.status.live:
            self.node.finish(resident, Finished(state.status, state.result, state.error))

    def _say_failed(self, resident: Resident, error: r.Failure, what: str) -> None:
        level = logging.INFO if error.business or error.traceback is None else logging.ERROR
        if logger.isEnabledFor(level):
            where = f"\n{error.traceback}" if error.traceback and not error.business else ""
            logger.log(level, "%s %s: %s%s", resident.id, what, in_words(error), where)

    def incident_raised(self, resident: Resident, record: r.IncidentRaised) -> None:
        logger.error("incident in %s (%s): %s", resident.id, record.cause, record.message)

    def set_alarm(self, resident: Resident, at: int) -> None:
        """Look at an execution's timers and retries at that moment."""
        if at >= resident.alarm_at:
            return
        node = self.node
        now = node.clock.now()
        if at <= now:
            node.push(inputs.look, resident)
            return
        if resident.alarm is not None:
            resident.alarm.cancel()
        resident.alarm_at = at
        resident.alarm = node.clock.call_at(at, lambda: node.push(inputs.alarm, resident, at))

    # ---- attempts -----------------------------------------------------------------------------

    def _is_elsewhere(self, resident: Resident, step: int) -> bool:
        """Whether the attempt of a step was offered to other nodes, in the commit just written."""
        there = resident.elsewhere.get(step)
        if there is None:
            return False
        self.node.remote.offered(there)
        return True

    def _start_call(self, resident: Resident, number: int, attempt: int) -> None:
        call = resident.execution.state.calls[number]
        activity = self.node.registry.activities.get(call.name)
        if activity is None:
            self._miss(resident, call.name)
            return
        limit = self.node.settings.payload_bytes_max
        self._start(resident, CallAttempt(resident, call, attempt, activity, limit, self.heartbeat))

    def _start_compensation(self, resident: Resident, number: int, attempt: int) -> None:
        call = resident.execution.state.calls[number]
        if call.registered:
            self._start_registered(resident, call, attempt)
            return
        compensation = self.node.registry.compensation(call.name)
        if compensation is None:
            self._miss(resident, call.undo_name or f"a compensation of {call.name}")
            return
        limit = self.node.settings.payload_bytes_max
        self._start(
            resident,
            CompensationAttempt(resident, call, attempt, compensation, limit, self.heartbeat),
        )

    def _start_registered(self, resident: Resident, call: Call, attempt: int) -> None:
        activity = self.node.registry.activities.get(call.name)
        if activity is None:
            self._miss(resident, call.name)
            return
        limit = self.node.settings.payload_bytes_max
        self._start(
            resident, RegisteredAttempt(resident, call, attempt, activity, limit, self.heartbeat)
        )

    def _miss(self, resident: Resident, name: str) -> None:
        logger.warning("%s: no service of this app has %s: the call waits", resident.id, name)
        self.node.unhosted.add(name)

    def _start(self, resident: Resident, attempt: Attempt) -> None:
        attempt.registry = self.node.registry
        resident.attempts[attempt.step] = attempt
        self.node.activities.start(attempt)

    def attempt_ended(self, attempt: Attempt, outcome: Outcome) -> None:
        """Hand an attempt's outcome to its execution in the next turn, or to who asked for it."""
        if not isinstance(attempt.owner, Resident):
            self.node.remote.attempt_ended(attempt, outcome)
            return
        module = inputs if attempt.transaction is None else in_transaction
        self.node.push(module.attempt_ended, attempt.owner, attempt, outcome)

    def heartbeat(self, attempt: Attempt, detail: r.Payload) -> None:
        """Keep the newest detail; it is recorded at most once a second. From any thread."""
        self.node.activities.prolong(attempt)
        self.node.call_threadsafe(self._beat, attempt, detail)

    def _beat(self, attempt: Attempt, detail: r.Payload) -> None:
        resident: Resident = attempt.owner
        waiting = attempt.step in resident.beats
        resident.beats[attempt.step] = detail
        if waiting:
            return
        node = self.node
        at = max(node.clock.now(), attempt.last_beat_at + HEARTBEAT_INTERVAL)
        attempt.last_beat_at = at
        node.clock.call_at(at, lambda: node.push(inputs.heartbeat, resident, attempt.step))


_EFFECTS: dict[type, Callable[[Effects, Resident, Any], None]] = {
    r.CallScheduled: Effects.call_scheduled,
    r.CallCancelled: Effects.call_cancelled,
    r.CompensationScheduled: Effects.compensation_scheduled,
    r.CallFailed: Effects.call_failed,
    r.CompensationStarted: Effects.compensation_started,
    r.Stopped: Effects.stopped,
    r.AttemptStarted: Effects.attempt_started,
    r.AttemptFailed: Effects.attempt_failed,
    r.AttemptLost: Effects.attempt_lost,
    r.TimerSet: Effects.timer_set,
    r.EventAwaited: Effects.event_awaited,
    r.RetryRequested: Effects.retry_requested,
    r.Ended: Effects.ended,
    r.IncidentRaised: Effects.incident_raised,
}
