"""What the attempts of a step do to its execution: how they end, are lost, and begin again."""

from collections.abc import Callable

from counterpoint.kernel.execution import Execution
from counterpoint.kernel.retry import (
    CANCELLED,
    after_failed_attempt,
    after_failed_compensation,
    after_lost_attempt,
)
from counterpoint.kernel.state import Step
from counterpoint.model import records as r
from counterpoint.model.outcomes import Outcome, Raised, Returned
from counterpoint.model.policies import Retry
from counterpoint.model.states import Status


def end_attempt(
    execution: Execution, number: int, outcome: Outcome, policy: Retry, now: int, share: float
) -> None:
    """Record how the current attempt of step *number* ended, and let the execution react.

    An outcome of a step that has settled meanwhile (or of an execution that has ended) is dropped:
    it was not recorded, so nothing may depend on it.
    """
    step = execution.state.open_steps.get(number)
    if step is None:
        return
    at = execution.stamp(now)
    if number < 0:
        _end_compensation(execution, number, step, outcome, policy, at, share)
    elif isinstance(outcome, Returned):
        execution.deliver(r.CallCompleted(at, number, outcome.result), outcome.value)
    elif execution.state.calls[number].cancelled:
        settle_cancelled(execution, number, outcome, at)
    else:
        record = after_failed_attempt(number, step, outcome, policy, at, share)
        if isinstance(record, r.CallFailed):
            execution.deliver(record)
        else:
            execution.note(record)


def settle_cancelled(execution: Execution, number: int, outcome: Raised | None, now: int) -> None:
    """Settle a call that the code no longer waits for; no *outcome*: no attempt was running."""
    step = execution.state.open_steps.get(number)
    if step is None:
        return
    began = outcome is not None and outcome.may_have_happened
    error = outcome.error if outcome is not None else CANCELLED
    execution.deliver(
        r.CallFailed(
            execution.stamp(now), number, error, step.attempts, step.may_have_happened or began
        )
    )


def recover_attempts(
    execution: Execution, policy_of: Callable[[int], Retry | None], now: int
) -> None:
    """Record the attempts that were under way when the execution's node died.

    *policy_of* returns a step's retry policy, or None where nobody here hosts it (it never began).
    """
    state = execution.state
    new = _decided_now(execution)  # by an execution that was only stored so far: nothing is lost
    for number, step in list(state.open_steps.items()):
        if number not in state.open_steps or number in new:
            continue
        at = execution.stamp(now)
        waits = step.retry_at is not None or step.stuck
        if number > 0 and state.calls[number].cancelled:
            step.may_have_happened = step.may_have_happened or not waits
            settle_cancelled(execution, number, None, at)
            continue
        if waits:
            continue
        policy = policy_of(number)
        if policy is None:
            continue
        record = after_lost_attempt(number, step, policy, at)
        if isinstance(record, r.CallFailed):
            execution.deliver(record)
            continue
        execution.note(record)
        if record.retry_at is None and state.incident is None:
            execution.note(
                r.IncidentRaised(
                    at,
                    "lost-attempts",
                    f"the node died {step.lost_in_a_row} times in a row "
                    f"during {name_of(execution, number)}",
                    number,
                )
            )


def begin_due_attempts(execution: Execution, now: int) -> None:
    """Record the start of every attempt that is due; the owner runs them after the commit."""
    at = execution.stamp(now)  # what is due in the execution's own time is due, also if a node's
    for number, step in execution.state.open_steps.items():  # clock was set back between two runs
        if step.retry_at is not None and step.retry_at <= at:
            execution.note(r.AttemptStarted(at, number, step.attempts + 1))


def _decided_now(execution: Execution) -> set[int]:
    """Return the steps whose own record is not written yet: no attempt of them has begun."""
    steps: set[int] = set()
    for record in execution.pending:
        if isinstance(record, r.CallScheduled):
            steps.add(record.call)
        elif isinstance(record, r.CompensationScheduled):
            steps.add(-record.call)
    return steps


def name_of(execution: Execution, number: int) -> str:
    """Return the recorded name of what step *number* runs."""
    call = execution.state.calls[abs(number)]
    return call.name if number > 0 else call.undo_name or call.name


def _end_compensation(
    execution: Execution,
    number: int,
    step: Step,
    outcome: Outcome,
    policy: Retry,
    at: int,
    share: float,
) -> None:
    state = execution.state
    incident = state.incident
    if isinstance(outcome, Returned):
        if incident is not None and incident.step == number:
            execution.note(r.IncidentResolved(at))
        execution.note(r.CompensationCompleted(at, -number))
        return
    execution.note(after_failed_compensation(number, step, outcome, policy, at, share))
    if step.attempts >= policy.max_attempts and state.status is Status.COMPENSATING:
        execution.note(
            r.IncidentRaised(
                at,
                "patience",
                f"{name_of(execution, number)} failed {step.attempts} times and is tried on: "
                f"{outcome.error.message}",
                number,
            )
        )
