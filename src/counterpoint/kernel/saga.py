"""How a saga undoes itself: what settles first, what is undone, in which order.

1. The saga's code has ended with an error or by cancellation. Calls whose outcome is not known yet
   are cancelled, and nothing is undone before each of them has settled: what completes in that
   time has happened and is undone too.
2. Then every call that has a compensation and completed, or may have happened, is undone, newest
   call first by call number, one at a time.
3. When nothing is left, the execution ends `compensated`, or `cancelled` if that is what began it.

Safety: a call is skipped only if its journal proves that it did not happen (it failed and every
attempt that began ended with a `BusinessError` or `NotDone`), or if its compensation is recorded
as completed. The next step is computed from the folded journal alone, so a crash at any point
resumes at the same one.
"""

from counterpoint.kernel.program import Program
from counterpoint.kernel.state import Call, ExecutionState
from counterpoint.model import records as r
from counterpoint.model.states import Status


def may_have_happened(call: Call) -> bool:
    """Whether the call's effects may exist: not settled, completed, or failed with doubt."""
    if call.step is not None or call.result is not None:
        return True
    return call.outcome_unknown


def anything_to_undo(state: ExecutionState, program: Program) -> bool:
    """Whether a call that may have happened has a compensation."""
    return any(
        may_have_happened(call)
        and (call.compensable or program.compensation_of(call.name) is not None)
        for call in state.calls.values()
    )


def next_decision(
    state: ExecutionState, program: Program, now: int
) -> r.Decision | r.IncidentRaised | None:
    """Return what a compensating saga does next; None while it waits for a step."""
    unsettled = [number for number in state.open_steps if number > 0]
    for number in unsettled:
        if not state.calls[number].cancelled:
            return r.CallCancelled(number)
    if unsettled:
        return None
    for number in range(state.undo_from or max(state.calls, default=0), 0, -1):
        call = state.calls.get(number)
        if call is None or call.undone or not may_have_happened(call):
            continue
        if call.undo is not None:
            return None
        name = program.compensation_of(call.name)
        if name is not None:
            return r.CompensationScheduled(number, name)
        if call.compensable or not program.knows(call.name):
            return r.IncidentRaised(
                now,
                "unknown-activity",
                f"call {number} has to be undone, and no service of this app has {call.name} "
                "with a compensation",
                number,
            )
    status = Status.CANCELLED if state.undoing_cancelled else Status.COMPENSATED
    return r.Ended(now, status.value)
