"""What a turn does with each kind of input: `handle(node, now, ...)`, in a plain callback."""

from collections.abc import Sequence
from typing import Any

from counterpoint.kernel import attempts
from counterpoint.kernel.execution import Execution
from counterpoint.model import records as r
from counterpoint.model.outcomes import Outcome
from counterpoint.model.rows import ExecutionRow, MailRow
from counterpoint.runtime.attempt import NEVER, Attempt
from counterpoint.runtime.host import Host, Loaded
from counterpoint.runtime.mail import CancelMail, Mail, RetryMail, SignalMail
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
) -> None:
    """Bring an execution from the store into memory, and recover what a dead node left of it."""
    if node.fault is not None:  # what it would record could not be written
        _set(loaded, None)
        return
    there = node.residents.get(row.id)
    if there is not None and there.started is not None and not loaded.done():
        node.push(adopt, row, records, loaded)  # a second start of the id, about to be refused
        return
    if there is not None or loaded.done():
        _set(loaded, there)
        return
    program = node.registry.program(row.name)
    if program is None:
        _set(loaded, None)
        return
    resident = Resident(row, program, Execution(row.id, row.run, program))
    resident.seq = len(records)
    if node.rehearse:
        resident.history = list(records)
    node.adopt(resident)
    revive(resident, records, now)
    execution = resident.execution
    if execution.divergence is None:
        attempts.recover_attempts(execution, _policies(node, resident), now)
    look(node, now, resident)
    _set(loaded, resident)


def revive(resident: Resident, records: list[r.Record], now: int) -> None:
    """Replay a journal into a resident's new execution; a divergence becomes an incident."""
    execution = resident.execution
    first = records[0]
    if len(records) == 1 and isinstance(first, r.Started):
        try:
            arguments = execution.program.decode_arguments(first.arguments)
        except Exception as error:  # noqa: BLE001 - whatever a user's type raises
            execution.state.apply(first)
            execution.unreadable("its recorded arguments", error)
        else:
            execution.begin_stored(first, arguments)
    else:
        execution.replay(records)
    divergence = execution.divergence
    if divergence is None:
        return
    execution.evict()
    incident = execution.state.incident
    if incident is None or incident.message != str(divergence):
        at = execution.stamp(now)
        execution.note(r.IncidentRaised(at, "non-determinism", str(divergence)))


def rehearse(node: Host, now: int, resident: Resident) -> None:
    """Replace an execution by its replay and check that both agree (tests).

    What is decided while a commit is under way is checked after its own commit.
    """
    old = resident.execution
    if old.pending or old.divergence is not None or len(resident.history) == 1:
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
    if execution.divergence is None:
        for timer in execution.due_timers(now):
            execution.fire_timer(timer, now)
        attempts.begin_due_attempts(execution, now)
    if execution.pending:
        node.committer.touch(resident)
    wake = execution.state.next_wake()
    if wake is not None and execution.divergence is None:
        node.set_alarm(resident, wake)
    node.settle(resident)


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
    attempts.end_attempt(
        execution, attempt.step, outcome, attempt.work.retry, now, node.dice.random()
    )
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


def deliver_mail(node: Host, now: int, resident: Resident, row: MailRow, mail: Mail) -> None:
    """Take over what somebody asked of an execution, at most once per request id."""
    execution = resident.execution
    if node.residents.get(resident.id) is not resident or not execution.state.status.live:
        node.read_again(row)
        return
    if row.request_id in execution.state.request_ids:
        resident.taken.append(row.position)  # never before the record that it has led to
        node.committer.touch(resident)
        return
    at = execution.stamp(now)
    match mail:
        case SignalMail():
            execution.deliver(r.SignalReceived(at, mail.name, mail.value, row.request_id))
        case CancelMail():
            execution.deliver(r.CancelRequested(at, row.request_id, mail.actor, mail.reason))
        case RetryMail():
            retry(
                node, now, resident, r.RetryRequested(at, row.request_id, mail.actor, mail.reason)
            )
        case _:
            node.committer.take(row.position)
            return
    resident.taken.append(row.position)
    node.committer.touch(resident)


def retry(node: Host, now: int, resident: Resident, request: r.RetryRequested) -> None:
    """Try again what stopped an execution; its code is replayed if that is what stopped it."""
    execution = resident.execution
    incident = execution.state.incident
    if incident is not None and execution.divergence is None:
        execution.note(r.IncidentResolved(request.at))
    execution.note(request)
    if execution.divergence is not None:  # the incident is over when code that agrees has run
        node.committer.touch(resident)
        node.push(reload, resident)
        return
    look(node, now, resident)


def reload(node: Host, now: int, resident: Resident) -> None:
    """Bring an execution back with today's code, after the commit of the request."""
    node.reload(resident)


def retry_failed(
    node: Host,
    now: int,
    row: ExecutionRow,
    records: Sequence[r.Record],
    request: r.RetryRequested,
    position: int,
) -> None:
    """Take back the failure with which a workflow ended, and go on."""
    program = node.registry.program(row.name)
    if node.fault is not None:
        return
    if program is None or program.workflow.version < row.version or row.id in node.residents:
        node.committer.take(position)
        return
    resident = Resident(row, program, Execution(row.id, row.run, program))
    resident.seq = len(records)
    if node.rehearse:
        resident.history = list(records)
    node.adopt(resident)
    execution = resident.execution
    execution.replay(records, request)
    if execution.divergence is not None:
        message = str(execution.divergence)
        execution.evict()
        execution.note(r.IncidentRaised(execution.now, "non-determinism", message))
    else:  # a call that was cancelled when the end came has to settle
        attempts.recover_attempts(execution, _policies(node, resident), now)
    resident.taken.append(position)
    node.committer.touch(resident)
    look(node, now, resident)


def postpone(node: Host, now: int, attempt: Attempt) -> None:
    """Record that a stopping node never began an attempt."""
    resident: Resident = attempt.owner
    execution = resident.execution
    step = execution.state.open_steps.get(attempt.step)
    if step is None:
        return
    execution.note(r.AttemptPostponed(execution.stamp(now), attempt.step, attempt.number))
    node.committer.touch(resident)


def _policies(node: Host, resident: Resident) -> Any:
    def policy_of(number: int) -> Any:
        call = resident.execution.state.calls[abs(number)]
        if number > 0:
            activity = node.registry.activity(call.name)
            return activity.retry if activity is not None else None
        compensation = node.registry.compensation(call.name)
        return compensation.retry if compensation is not None else None

    return policy_of


def _set(future: Loaded, value: Resident | None) -> None:
    if not future.done():
        future.set_result(value)
