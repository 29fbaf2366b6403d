"""What a turn does with each kind of input: `handle(node, now, ...)`, in a plain callback.

What people and other executions ask for is in `runtime.acts`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from counterpoint.kernel import attempts, incidents
from counterpoint.kernel.execution import Execution
from counterpoint.kernel.program import Program
from counterpoint.model import records as r
from counterpoint.model.cluster import CallRow
from counterpoint.model.outcomes import Outcome, Returned
from counterpoint.model.policies import StepPolicy
from counterpoint.model.rows import ExecutionRow
from counterpoint.model.states import Cause
from counterpoint.model.times import microseconds
from counterpoint.runtime.attempt import NEVER, Attempt
from counterpoint.runtime.event_rows import wait_rows
from counterpoint.runtime.host import Host, Loaded
from counterpoint.runtime.resident import Resident


def begin(node: Host, now: int, resident: Resident, started: r.Started, arguments: Any) -> None:
    """Start a new execution."""
    if resident.id in node.residents:
        node.committer.refuse(resident)
        return
    node.adopt(resident)
    resident.execution.start(started, arguments)
    node.committer.touch(resident)


def adopt(
    node: Host,
    now: int,
    row: ExecutionRow,
    records: list[r.Record],
    loaded: Loaded,
    calls: Sequence[CallRow] = (),
) -> None:
    """Bring an execution from the store into memory, and recover what a dead node left of it.

    *calls* are its attempts that other nodes look after.
    """
    if node.fault is not None:  # what it would record could not be written
        tell_loaded(loaded, None)
        return
    there = node.residents.get(row.id)
    if there is not None and there.started is not None and not loaded.done():
        # A second start of the id, about to be refused.
        there.started.add_done_callback(lambda _: node.push(adopt, row, records, loaded, calls))
        return
    if there is not None or loaded.done():
        tell_loaded(loaded, there)
        return
    program = node.registry.program(row.name)
    if program is None:
        tell_loaded(loaded, None)
        return
    resident = hold(node, row, records, program)
    resident.waits = {wait.wait: wait for wait in wait_rows(row, records)}
    revive(resident, records, now)
    resident.take_back_attributes(records)
    execution = resident.execution
    node.remote.recall(resident, records, calls, now)
    if execution.divergence is None:
        recover_attempts(node, resident, now)
    if any(isinstance(record, r.ResetFrom) for record in records):
        for wait in execution.state.event_waits.values():  # what it is about may be in the log
            node.messaging.awaited(resident, wait)
    node.arrived(resident)
    look(node, now, resident)
    tell_loaded(loaded, resident)


def recover_attempts(node: Host, resident: Resident, now: int) -> None:
    """Record the attempts of an execution that were cut off."""
    elsewhere = resident.elsewhere if node.remote.active else None
    attempts.recover_attempts(resident.execution, policies(node, resident), now, elsewhere)


def hold(node: Host, row: ExecutionRow, records: Sequence[r.Record], program: Program) -> Resident:
    """Keep an execution from the store in memory; its journal is not replayed yet."""
    resident = Resident(row, program, Execution(row.id, row.run, program))
    resident.seq = len(records)
    if node.rehearse:
        resident.history = list(records)
    node.adopt(resident)
    return resident


def revive(resident: Resident, records: list[r.Record], now: int) -> None:
    """Replay a journal into a resident's new execution; a divergence becomes an incident."""
    execution = resident.execution
    first = records[0]
    if isinstance(first, r.Started) and all(isinstance(one, r.PREAMBLE) for one in records):
        try:
            arguments = execution.program.decode_arguments(first.arguments)
        except Exception as error:  # noqa: BLE001 - whatever a user's type raises
            for record in records:
                execution.state.apply(record)
            execution.unreadable("its recorded arguments", error)
        else:
            execution.begin_stored(records, arguments)
    else:
        execution.now = now
        execution.replay(records)
    divergence = execution.divergence
    if divergence is None:
        incidents.review(execution, execution.stamp(now))
        return
    execution.evict()
    known = execution.state.incidents.values()
    if not any(incident.message == str(divergence) for incident in known):
        incidents.raise_incident(
            execution, Cause.NON_DETERMINISM, str(divergence), None, execution.stamp(now)
        )


def rehearse(node: Host, now: int, resident: Resident) -> None:
    """Replace an execution by its replay and check that both agree (tests).

    What is decided while a commit is under way is checked after its own commit.
    """
    old = resident.execution
    if old.pending or old.divergence is not None or resident.reload or old.replaying:
        return
    if resident.transaction is not None:  # what it has decided is being written apart
        return
    if all(isinstance(record, r.PREAMBLE) for record in resident.history):
        return
    new = Execution(resident.id, resident.row.run, resident.program)
    new.replay(resident.history)
    if new.divergence is not None:
        raise new.divergence
    if new.state != old.state:
        raise AssertionError(f"{resident.id}: replay gives {new.state}, live was {old.state}")
    if node.residents.get(resident.id) is resident:
        old.evict()
        resident.execution = new
    else:
        new.evict()


def look(node: Host, now: int, resident: Resident) -> None:
    """Fire the timers and begin the retries that are due, and set the next alarm."""
    if node.residents.get(resident.id) is not resident:
        return
    execution = resident.execution
    state = execution.state
    if execution.divergence is None:
        if state.begins_at is not None and state.begins_at <= now:
            execution.begin_delayed(now)
        for timer in state.due_timers(now):
            execution.fire_timer(timer, now)
        attempts.begin_due_attempts(execution, now)
        if state.undoing and state.unsettled:
            _look_at_settling(node, now, resident)
    if execution.pending:
        node.committer.touch(resident)
    wake = state.next_wake()
    if wake is not None and execution.divergence is None:
        node.set_alarm(resident, wake)
    node.settle(resident)


def _look_at_settling(node: Host, now: int, resident: Resident) -> None:
    settle = microseconds(node.settings.settle)
    attempts.raise_overdue(resident.execution, settle, now)
    overdue_at = resident.execution.state.overdue_at(settle)
    if overdue_at is not None:
        node.set_alarm(resident, overdue_at)


def alarm(node: Host, now: int, resident: Resident, at: int) -> None:
    """An alarm rang."""
    if resident.alarm_at <= at:
        resident.alarm_at = NEVER
        resident.alarm = None
    look(node, now, resident)


def attempt_ended(
    node: Host, now: int, resident: Resident, attempt: Attempt, outcome: Outcome
) -> None:
    """An attempt reported how it ended."""
    if resident.attempts.get(attempt.step) is attempt:
        del resident.attempts[attempt.step]
    if node.residents.get(resident.id) is not resident:
        return
    execution = resident.execution
    flush_heartbeat(execution, resident, attempt.step, now)
    if isinstance(outcome, Returned) and attempt.step in execution.state.open_steps:
        resident.outbox += outcome.outbox  # written with the record of the result
    attempts.end_attempt(execution, attempt.step, outcome, attempt.policy, now, node.dice.random())
    if execution.pending:
        node.committer.touch(resident)
    else:
        node.settle(resident)


def cancel_unstarted(node: Host, now: int, resident: Resident, number: int) -> None:
    """A cancelled call has no attempt under way: it settles now."""
    if node.residents.get(resident.id) is resident and number not in resident.attempts:
        attempts.settle_cancelled(resident.execution, number, None, now)
        if resident.execution.pending:
            node.committer.touch(resident)


def flush_heartbeat(execution: Execution, resident: Resident, step: int, now: int) -> None:
    """Record the newest heartbeat of a step that was not recorded yet."""
    beat = resident.beats.pop(step, None)
    if beat is not None and step in execution.state.open_steps:
        execution.note(r.HeartbeatRecorded(execution.stamp(now), step, beat))


def heartbeat(node: Host, now: int, resident: Resident, step: int) -> None:
    """Record a heartbeat while its attempt goes on."""
    if node.residents.get(resident.id) is resident:
        flush_heartbeat(resident.execution, resident, step, now)
        if resident.execution.pending:
            node.committer.touch(resident)


def reload(node: Host, now: int, resident: Resident) -> None:
    """Bring an execution back with today's code, after the commit of the request."""
    node.reload(resident)


def postpone(node: Host, now: int, attempt: Attempt) -> None:
    """Record that a stopping node never began an attempt; a claim is given back by `remote`."""
    if not isinstance(attempt.owner, Resident):
        return
    resident = attempt.owner
    execution = resident.execution
    step = execution.state.open_steps.get(attempt.step)
    if step is None:
        return
    execution.note(r.AttemptPostponed(execution.stamp(now), attempt.step, attempt.number))
    node.committer.touch(resident)


def policies(node: Host, resident: Resident) -> Callable[[int], StepPolicy | None]:
    """Return what finds the policy of an execution's step, or None where nobody here hosts it."""

    def policy_of(number: int) -> StepPolicy | None:
        call = resident.execution.state.calls[abs(number)]
        if number > 0 or call.registered:
            activity = node.registry.activity(call.name)
            if activity is None:
                return None
            return activity.policy if number > 0 else StepPolicy(activity.retry)
        compensation = node.registry.compensation(call.name)
        return compensation.policy if compensation is not None else None

    return policy_of


def tell_loaded(future: Loaded, value: Resident | None) -> None:
    """Say what a load has come to; a failure of the store may have said so before."""
    if not future.done():
        future.set_result(value)
