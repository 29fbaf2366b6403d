"""When a step needs a person, and when it no longer does.

An incident belongs to one step (or, without one, to the execution as a whole). Every stuck step has
one, whatever else stands: solving the first shows the second.
"""

from counterpoint.kernel.execution import Execution
from counterpoint.kernel.retry import LOST_IN_A_ROW_MAX
from counterpoint.kernel.saga import next_decisions
from counterpoint.kernel.steps import Step
from counterpoint.model import records as r
from counterpoint.model.policies import StepPolicy
from counterpoint.model.states import Cause


def raise_incident(
    execution: Execution, cause: Cause, message: str, step: int | None, at: int
) -> None:
    """Say that a person is needed, and for what."""
    execution.note(r.IncidentRaised(at, cause.value, message, step))


def close(execution: Execution, step: int | None, at: int) -> None:
    """Say that a step no longer needs a person, if it did."""
    if step in execution.state.incidents:
        execution.record(r.IncidentResolved(at, step))


def ask_before_again(execution: Execution, number: int, policy: StepPolicy, at: int) -> None:
    """Let an attempt that a person's retry or reset has ordered wait, if it might be a second one.

    It is ordered without a look at this call: the word of somebody who has looked is wanted first.
    """
    step = execution.state.open_steps[number]
    if policy.at_most_once and step.may_have_happened and not step.stuck:
        raise_incident(
            execution, Cause.UNKNOWN_OUTCOME, _nobody_knows(execution, number), number, at
        )


def open_for_stuck(execution: Execution, number: int, policy: StepPolicy, at: int) -> None:
    """Raise the incident of a step that no attempt follows by itself."""
    state = execution.state
    step = state.open_steps[number]
    if not step.stuck or number in state.incidents:
        return
    call = state.calls[abs(number)]
    what = call.name if number > 0 else call.undo_name or call.name
    if policy.at_most_once and step.may_have_happened:
        raise_incident(
            execution, Cause.UNKNOWN_OUTCOME, _nobody_knows(execution, number), number, at
        )
        return
    if step.lost_in_a_row >= LOST_IN_A_ROW_MAX:
        cause = Cause.LOST_ATTEMPTS
        message = f"the node died {step.lost_in_a_row} times in a row during {what}"
    else:
        cause = Cause.PAST_PIVOT
        message = f"{what} (call {number}) is out of attempts past the pivot"
        if call.child is not None:
            message = f"the child {call.child} (call {number}) failed past the pivot"
        message += _because(step)
    raise_incident(execution, cause, message, number, at)


def open_for_unknown(execution: Execution, number: int, at: int) -> None:
    """Raise the incident of a compensation that was decided, and is not deployed any more."""
    if number not in execution.state.incidents:
        call = execution.state.calls[-number]
        message = f"call {call.number} is being undone, and no service of this app has "
        message += call.undo_name or call.name
        raise_incident(execution, Cause.UNKNOWN_ACTIVITY, message, number, at)


def close_unknown(execution: Execution, number: int, at: int) -> None:
    """Say that a compensation is deployed again."""
    incident = execution.state.incidents.get(number)
    if incident is not None and incident.cause == Cause.UNKNOWN_ACTIVITY:
        execution.note(r.IncidentResolved(at, number))


def _nobody_knows(execution: Execution, number: int) -> str:
    call = execution.state.calls[number]
    return (
        f"nobody knows whether {call.name} (call {number}) happened, and it may be called only "
        "once: look, then state its outcome with resolve"
        + _because(execution.state.open_steps[number])
    )


def _because(step: Step) -> str:
    if step.lost_in_a_row:
        return ": the node died while an attempt was under way"
    error = step.last_error
    return "" if error is None else f": {error.message or error.type}"


def review(execution: Execution, at: int) -> None:
    """Close the incidents that today's code has ended: what undoes a call is deployed again."""
    state = execution.state
    for number, incident in list(state.incidents.items()):
        if incident.cause == Cause.UNKNOWN_ACTIVITY and number not in state.open_steps:
            found = next_decisions(state, execution.program, at)
            if not any(isinstance(one, r.IncidentRaised) for one in found):
                execution.note(r.IncidentResolved(at, number))
