"""What the attempts of a step do to its execution: how they end, are lost, and begin again."""

from collections.abc import Callable, Collection

from counterpoint.kernel.execution import Execution
from counterpoint.kernel.incidents import (
    ask_before_again,
    close,
    close_unknown,
    open_for_stuck,
    open_for_unknown,
    raise_incident,
)
from counterpoint.kernel.retry import (
    CANCELLED,
    LOST,
    after_failed_attempt,
    after_failed_compensation,
    after_lost_attempt,
)
from counterpoint.kernel.steps import Step
from counterpoint.model import records as r
from counterpoint.model.outcomes import Outcome, Raised, Returned
from counterpoint.model.policies import StepPolicy
from counterpoint.model.states import Cause


def end_attempt(
    execution: Execution, number: int, outcome: Outcome, policy: StepPolicy, now: int, share: float
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
        close(execution, number, at)
        execution.deliver(r.CallCompleted(at, number, outcome.result), outcome.value)
    elif execution.state.calls[number].cancelled:
        settle_cancelled(execution, number, outcome, at)
    else:
        pivoted = execution.state.pivoted
        record = after_failed_attempt(number, step, outcome, policy, at, share, pivoted=pivoted)
        if isinstance(record, r.CallFailed):
            execution.deliver(record)
        else:
            execution.note(record)
            open_for_stuck(execution, number, policy, at)


def settle_cancelled(execution: Execution, number: int, outcome: Raised | None, now: int) -> None:
    """Settle a call that the code no longer waits for; no *outcome*: no attempt was running."""
    step = execution.state.open_steps.get(number)
    if step is None:
        return
    began = outcome is not None and outcome.may_have_happened
    error = outcome.error if outcome is not None else CANCELLED
    at = execution.stamp(now)
    close(execution, number, at)
    unknown = step.may_have_happened or began
    execution.deliver(r.CallFailed(at, number, error, step.attempts, unknown))


def recover_attempts(
    execution: Execution,
    policy_of: Callable[[int], StepPolicy | None],
    now: int,
    elsewhere: Collection[int] | None = None,
) -> None:
    """Record the attempts that were under way when the execution's node died.

    A call that may be made only once is not made again because its end was taken back, either.
    *policy_of* returns a step's policy, or None where nobody here hosts it (it never began). Where
    several nodes share a store, *elsewhere* are the steps that another one looks after: they are
    not lost; and what nobody here hosts is no reason to ask for a person.
    """
    state = execution.state
    new = _decided_now(execution)  # by an execution that was only stored so far: nothing is lost
    for number, step in list(state.open_steps.items()):
        if number not in state.open_steps or number in new or step.remote:
            continue
        if elsewhere is not None and number in elsewhere:
            continue
        at = execution.stamp(now)
        waits = step.retry_at is not None or step.stuck
        if number > 0 and state.calls[number].cancelled:
            step.may_have_happened = step.may_have_happened or not waits
            settle_cancelled(execution, number, None, at)
            continue
        policy = policy_of(number)
        if policy is None:
            if number < 0 and elsewhere is None:
                open_for_unknown(execution, number, at)
        elif waits:
            close_unknown(execution, number, at)
            ask_before_again(execution, number, policy, at)
        else:
            lose_attempt(execution, number, policy, at)


def lose_attempt(execution: Execution, number: int, policy: StepPolicy, now: int) -> None:
    """Record that the node died that ran the current attempt of a step: it counts like a timeout.

    A call that nobody waits for settles.
    """
    state = execution.state
    step = state.open_steps.get(number)
    if step is None:
        return
    if number > 0 and state.calls[number].cancelled:
        settle_cancelled(execution, number, Raised(LOST), now)
        return
    at = execution.stamp(now)
    close_unknown(execution, number, at)
    record = after_lost_attempt(number, step, policy, at, pivoted=state.pivoted)
    if isinstance(record, r.CallFailed):
        execution.deliver(record)
        return
    execution.note(record)
    open_for_stuck(execution, number, policy, at)


def begin_due_attempts(execution: Execution, now: int) -> None:
    """Record the start of every attempt that is due; the owner runs them after the commit."""
    at = execution.stamp(now)  # what is due in the execution's own time is due, also if a node's
    for number, step in execution.state.open_steps.items():  # clock was set back between two runs
        if step.retry_at is not None and step.retry_at <= at:
            execution.note(r.AttemptStarted(at, number, step.attempts + 1))


def raise_overdue(execution: Execution, settle: int, now: int) -> None:
    """Tell a person about calls that go on although undoing waits for them since *settle*.

    Children are among them: one that is past its pivot, or lets no cancellation through, may go on
    for ever without being an incident itself.
    """
    state = execution.state
    at = execution.stamp(now)
    overdue_at = state.overdue_at(settle)
    if overdue_at is None or at < overdue_at:
        return
    for number, step in list(state.open_steps.items()):
        if number > 0 and (step.remote or number in state.under_way):
            child = state.calls[number].child
            what = name_of(execution, number) if child is None else f"the child {child}"
            raise_incident(
                execution,
                Cause.SETTLE,
                f"{what} (call {number}) does not end although it was cancelled "
                f"{settle / 1e6:g} s ago, and undoing waits for it",
                number,
                at,
            )


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
    policy: StepPolicy,
    at: int,
    share: float,
) -> None:
    if isinstance(outcome, Returned):
        close(execution, number, at)
        execution.note(r.CompensationCompleted(at, -number))
        return
    retry = policy.retry
    execution.note(after_failed_compensation(number, step, outcome, retry, at, share))
    if step.attempts >= retry.max_attempts and number not in execution.state.incidents:
        raise_incident(
            execution,
            Cause.PATIENCE,
            f"{name_of(execution, number)} failed {step.attempts} times and is tried on: "
            f"{outcome.error.message}",
            number,
            at,
        )
