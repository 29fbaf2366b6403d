"""What a turn does with letters: what people, clients and other executions ask of one.

Each is taken over at most once per request id, and its letter is deleted in the commit that records
its effect (`Resident.taken`).
"""

from collections.abc import Sequence
from typing import Any

from counterpoint.authoring.failures import safe_str
from counterpoint.kernel import incidents
from counterpoint.kernel.execution import Execution
from counterpoint.kernel.program import NoProgram, Program
from counterpoint.kernel.replay import fold
from counterpoint.kernel.retry import CANCELLED
from counterpoint.kernel.settled import MISSING
from counterpoint.kernel.steps import Call, Step
from counterpoint.model import records as r
from counterpoint.model.policies import Retry, StepPolicy
from counterpoint.model.rows import ExecutionRow, MailRow
from counterpoint.model.states import Cause, Status
from counterpoint.runtime import inputs, remote_calls
from counterpoint.runtime.host import Host
from counterpoint.runtime.letters import is_step
from counterpoint.runtime.log import logger
from counterpoint.runtime.mail import (
    AttemptBeatMail,
    AttemptEndedMail,
    CancelMail,
    ChildEndedMail,
    ChildUndoneMail,
    Mail,
    ResolveMail,
    RetryMail,
    SignalMail,
    StartMail,
    TerminateMail,
    UndoMail,
)
from counterpoint.runtime.resident import Resident

TERMINATED = "counterpoint.Terminated"
UNDONE_WITH_PARENT = r.Failure("counterpoint.ParentUndone", "its parent is being undone")


def deliver_mail(node: Host, now: int, resident: Resident, row: MailRow, mail: Mail) -> None:
    """Take over what somebody asked of an execution in memory, at most once per request id."""
    execution = resident.execution
    if node.residents.get(resident.id) is not resident or not execution.state.status.live:
        node.read_again(row)
        return
    if isinstance(mail, UndoMail):
        undo_live(node, now, resident, row.request_id)
        return
    if isinstance(mail, (CancelMail, TerminateMail)) and not is_step(execution.state, mail.of):
        logger.info("a letter for %s was meant for a child that never had this id", resident.id)
    elif row.request_id not in execution.state.request_ids:
        _take(node, now, resident, row.request_id, mail)
    resident.taken.append(row.position)  # never before the record that it has led to
    node.committer.touch(resident)


def _take(node: Host, now: int, resident: Resident, request_id: str, mail: Mail) -> None:
    execution = resident.execution
    at = execution.stamp(now)
    match mail:
        case SignalMail():
            execution.deliver(r.SignalReceived(at, mail.name, mail.value, request_id))
        case CancelMail() if execution.state.pivoted:
            execution.note(r.CancelRefused(at, request_id, mail.actor, mail.reason))
            logger.warning("%s is not cancelled: it has passed its pivot", resident.id)
        case CancelMail():
            execution.deliver(r.CancelRequested(at, request_id, mail.actor, mail.reason))
        case RetryMail():
            retry(node, now, resident, r.RetryRequested(at, request_id, mail.actor, mail.reason))
        case TerminateMail():
            terminate(execution, r.TerminateRequested(at, request_id, mail.actor, mail.reason))
        case ResolveMail():
            resolve(node, now, resident, request_id, mail)
        case ChildEndedMail() | ChildUndoneMail():
            child_answered(execution, mail, at)
        case AttemptEndedMail() | AttemptBeatMail():
            remote_calls.take_letter(node, now, resident, mail)
        case StartMail() if mail.child is not None:  # the parent tries again what still runs
            execution.note(mail.child.of)
        case _:
            logger.warning("a letter for %s was not taken: it runs", resident.id)


def retry(node: Host, now: int, resident: Resident, request: r.RetryRequested) -> None:
    """Try again what stopped an execution; its code is replayed if that is what stopped it."""
    execution = resident.execution
    state = execution.state
    replay = execution.divergence is not None or state.code_over
    if execution.divergence is None:
        for number, incident in list(state.incidents.items()):
            if incident.cause == Cause.SETTLE and number in resident.attempts:
                node.activities.cancel(resident.attempts[number])
            step = None if number is None else state.open_steps.get(number)
            unknown = incident.cause == Cause.UNKNOWN_ACTIVITY  # only a deployment brings it back
            if step is None or not (step.asks or unknown):
                execution.note(r.IncidentResolved(request.at, number))
    execution.note(request)
    if replay:  # an incident of non-determinism is over when code that agrees has run
        node.committer.touch(resident)
        resident.reload = True
        node.push(inputs.reload, resident)
        return
    inputs.look(node, now, resident)


def terminate(execution: Execution, request: r.TerminateRequested) -> None:
    """End an execution at once; nothing of it is undone."""
    who = f" by {request.actor}" if request.actor else ""
    why = f": {request.reason}" if request.reason else ""
    error = r.Failure(TERMINATED, f"terminated{who}{why}")
    execution.record(request)
    execution.end_at_once(
        r.Ended(request.at, Status.TERMINATED.value, r.NULL, error),
    )


# ---- the outcome of a step, stated by a person ---------------------------------------------------


def resolve(node: Host, now: int, resident: Resident, request_id: str, mail: ResolveMail) -> None:
    """Take a person's word for how a call or a compensation ended."""
    execution = resident.execution
    call = execution.state.calls.get(mail.call)
    number = None if call is None else open_step(call)
    if call is None or number is None:
        logger.warning("%s: call %d is not resolved: it has settled", resident.id, mail.call)
        return
    value = MISSING
    if mail.returned and number > 0:
        try:
            value = _result(node, call, mail)
        except Exception as error:  # noqa: BLE001 - a user's validator may raise anything
            logger.warning(
                "%s: call %d is not resolved: its result does not fit: %s",
                resident.id,
                mail.call,
                safe_str(error),
            )
            return
    _forget(node, resident, number)
    at = execution.stamp(now)
    execution.record(r.StepResolved(at, number, request_id, mail.actor, mail.reason))
    incidents.close(execution, number, at)
    _state_outcome(execution, call, number, mail, value, at)
    inputs.look(node, now, resident)


def _forget(node: Host, resident: Resident, number: int) -> None:
    """Let nobody hear how the current attempt of a step ends."""
    attempt = resident.attempts.pop(number, None)
    if attempt is not None:
        node.activities.forget(attempt)
    there = resident.elsewhere.pop(number, None)
    if there is not None:
        resident.change_calls().cancelled.append((resident.key, number, there.began))


def _state_outcome(
    execution: Execution, call: Call, number: int, mail: ResolveMail, value: Any, at: int
) -> None:
    step = execution.state.open_steps[number]
    if mail.not_done and number > 0 and call.cancelled:  # nobody waits for it: not called again
        error = step.last_error or CANCELLED
        execution.deliver(r.CallFailed(at, number, error, step.attempts, False))
    elif mail.not_done:
        error = step.last_error or r.Failure("counterpoint.NotDone", "it did not happen")
        execution.note(r.AttemptFailed(at, number, step.attempts, error, False, at))
    elif number < 0:
        execution.note(r.CompensationCompleted(at, call.number))
    elif mail.error is not None:
        execution.deliver(r.CallFailed(at, number, mail.error, step.attempts, False))
    else:
        execution.deliver(r.CallCompleted(at, number, mail.result), value)


def _result(node: Host, call: Call, mail: ResolveMail) -> Any:
    activity = node.registry.activity(call.name)
    return MISSING if activity is None else activity.signature.result.decode(mail.result)


def open_step(call: Call) -> int | None:
    """Return the number of the step of *call* that a person may resolve, or None."""
    if call.undo is not None:
        return None if call.undo.remote else -call.number
    step: Step | None = call.step
    return None if step is None or step.remote else call.number


# ---- children ------------------------------------------------------------------------------------


def child_answered(execution: Execution, mail: ChildEndedMail | ChildUndoneMail, at: int) -> None:
    """A child has ended, or has undone itself."""
    if isinstance(mail, ChildEndedMail):
        child_ended(execution, mail, at)
    else:
        child_undone(execution, mail, at)


def child_ended(execution: Execution, mail: ChildEndedMail, at: int) -> None:
    """A child has ended: its call settles; past the pivot a failed one waits for a person."""
    state = execution.state
    number = mail.of.call
    call = state.calls.get(number)
    step = None if call is None else call.step
    if call is None or step is None or not step.remote or not _is_for(execution, mail.of, step):
        return
    if mail.status == Status.COMPLETED:
        incidents.close(execution, number, at)
        execution.deliver(r.ChildCompleted(at, number, mail.result, mail.pivoted))
        return
    error = mail.error or r.Failure("counterpoint.ExecutionFailed", mail.status)
    if mail.stale and not call.cancelled:
        execution.note(r.AttemptFailed(at, number, step.attempts, error, False, at))
        return
    if state.pivoted and not error.business and not call.cancelled:
        execution.note(
            r.AttemptFailed(at, number, step.attempts, error, mail.outcome_unknown, None)
        )
        incidents.open_for_stuck(execution, number, StepPolicy(Retry()), at)
        return
    incidents.close(execution, number, at)
    execution.deliver(r.ChildFailed(at, number, error, mail.status, mail.outcome_unknown))


def undo_live(node: Host, now: int, resident: Resident, request_id: str) -> None:
    """Cancel a child that was reset since it completed: its letter is read again at its end.

    One that has passed its pivot meanwhile goes forward, and stays.
    """
    execution = resident.execution
    if request_id in execution.state.request_ids or execution.state.pivoted:
        return
    at = execution.stamp(now)
    execution.deliver(r.CancelRequested(at, request_id, None, "its parent is being undone"))
    node.committer.touch(resident)


def child_undone(execution: Execution, mail: ChildUndoneMail, at: int) -> None:
    """A child saga has undone itself for this one, or cannot."""
    call = execution.state.calls.get(mail.of.call)
    if call is None or call.undo is None or not call.undo.remote:
        return
    if mail.of.run != execution.run:
        return
    if mail.stays is None:
        execution.note(r.CompensationCompleted(at, call.number))
    else:
        execution.record(r.CompensationSkipped(call.number, mail.stays))
        execution.advance_saga()


def _is_for(execution: Execution, of: r.ChildOf, step: Step) -> bool:
    """Whether a letter is about the attempt that is under way, in this run."""
    return of.run == execution.run and of.attempt == step.attempts and step.retry_at is None


# ---- executions that are not in memory -----------------------------------------------------------


def retry_failed(
    node: Host,
    now: int,
    row: ExecutionRow,
    records: Sequence[r.Record],
    request: r.RetryRequested,
    letter: MailRow,
    child_of: r.ChildOf | None = None,
) -> None:
    """Take back the failure with which a workflow ended, and go on."""
    if _must_wait(node, row, letter):
        return
    resident = _bring_back(node, row, records)
    execution = resident.execution
    execution.replay(records, request)
    resident.take_back_attributes([*records, request])
    if child_of is not None:
        execution.note(child_of)
    if execution.divergence is not None:
        incidents.raise_incident(
            execution, Cause.NON_DETERMINISM, str(execution.divergence), None, execution.now
        )
    else:  # a call that was cancelled when the end came has to settle
        inputs.recover_attempts(node, resident, now)
    resident.taken.append(letter.position)
    node.committer.touch(resident)
    inputs.look(node, now, resident)


def undo_child(
    node: Host,
    now: int,
    row: ExecutionRow,
    records: Sequence[r.Record],
    request: r.UndoRequested,
    child_of: r.ChildOf,
    letter: MailRow,
) -> None:
    """Undo a completed child saga, because its parent is being undone."""
    if _must_wait(node, row, letter):
        return
    resident = _bring_back(node, row, records)
    execution = resident.execution
    execution.replay(records)
    execution.note(child_of)
    execution.note(request)
    execution.record(r.CompensationStarted(execution.now, UNDONE_WITH_PARENT))
    execution.advance_saga()
    resident.taken.append(letter.position)
    node.committer.touch(resident)
    inputs.look(node, now, resident)


def terminate_unhosted(
    node: Host,
    _: int,
    row: ExecutionRow,
    records: Sequence[r.Record],
    request: r.TerminateRequested,
    letter: MailRow,
    of: r.ChildOf | None,
) -> None:
    """Terminate an execution whose workflow no service of this app has; that needs no code."""
    if _must_wait(node, row, letter):
        return
    state = fold(records)
    if not is_step(state, of):
        node.committer.take(letter.position)
        return
    resident = _bring_back(node, row, records, NoProgram())
    resident.execution.state = state
    terminate(resident.execution, request)
    resident.taken.append(letter.position)
    node.committer.touch(resident)


def _must_wait(node: Host, row: ExecutionRow, letter: MailRow) -> bool:
    """Whether a letter is read again later: another one has brought the execution back."""
    if node.fault is None and row.id in node.residents:
        node.read_again(letter)
        return True
    return node.fault is not None


def _bring_back(
    node: Host, row: ExecutionRow, records: Sequence[r.Record], program: Program | None = None
) -> Resident:
    program = program or node.registry.program(row.name) or NoProgram()
    return inputs.hold(node, row, records, program)
