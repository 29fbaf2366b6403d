"""How a saga undoes itself: what settles first, what is undone, in which order.

1. The saga's code has ended with an error or by cancellation. Calls whose outcome is not known yet
   are cancelled, and nothing is undone before each of them has settled: what completes in that
   time has happened and is undone too. Past `settle` a person is told which call does not end.
2. Then every call that has a compensation and completed, or may have happened, is undone, newest
   call first by call number, one at a time: an activity by its compensation; what `compensate_with`
   named by that activity; a completed child saga as one step, by undoing itself, unless its
   workflow declares a compensation of its own or it passed its pivot (then it stays, and the
   journal says so).
3. When nothing is left, the execution ends `compensated`, or `cancelled` if that is what began it.

Safety (P9): a call is skipped only if its journal proves that it did not happen (it failed and
every attempt that began ended with a `BusinessError` or `NotDone`; a child saga ended undone), or
if its compensation is recorded as completed, or as staying. The next step is computed from the
folded journal alone, so a crash at any point resumes at the same one. Past a pivot none of this
begins: `kernel.ending` stops the execution instead.
"""

from counterpoint.kernel.program import Program
from counterpoint.kernel.state import ExecutionState
from counterpoint.kernel.steps import Call
from counterpoint.model import records as r
from counterpoint.model.states import Cause, Status

PASSED_ITS_PIVOT = "it passed its pivot"
WAS_TERMINATED = "it was terminated: what it left is listed there"


def anything_to_undo(state: ExecutionState, program: Program) -> bool:
    """Whether a call that may have happened has a compensation."""
    return any(
        call.may_have_happened
        and (
            call.compensable
            or (call.saga and not call.pivoted)
            or program.compensation_of(call.name) is not None
        )
        for call in state.calls.values()
    )


def what_stays(state: ExecutionState) -> list[r.CompensationSkipped]:
    """Return what the journal says of completed children that nothing undoes any more."""
    return [
        r.CompensationSkipped(number, PASSED_ITS_PIVOT)
        for number, call in sorted(state.calls.items(), reverse=True)
        if call.saga and call.pivoted and call.stays is None
    ]


def next_decisions(
    state: ExecutionState, program: Program, now: int
) -> list[r.Decision | r.IncidentRaised]:
    """Return what a compensating saga does next; nothing while it waits for a step."""
    if state.uncancelled:
        unsettled = [number for number in state.open_steps if number > 0]
        return [r.CallCancelled(n) for n in unsettled if not state.calls[n].cancelled]
    if state.unsettled:
        return []
    for number in range(state.undo_from or max(state.calls, default=0), 0, -1):
        call = state.calls.get(number)
        if call is None or call.undone or call.stays is not None or not call.may_have_happened:
            continue
        if call.undo is not None:
            return []
        decision = _undo(call, program, now)
        if decision is not None:
            return [decision]
    status = Status.CANCELLED if state.undoing_cancelled else Status.COMPENSATED
    return [r.Ended(now, status.value)]


def _undo(call: Call, program: Program, now: int) -> r.Decision | r.IncidentRaised | None:
    """Return how one call is undone; None where nothing undoes it and nothing was to."""
    number = call.number
    if call.registered:
        if program.knows(call.name):
            return r.CompensationScheduled(number, call.name)
        return _unknown(call, now)
    name = program.compensation_of(call.name)
    if name is not None:
        return r.CompensationScheduled(number, name)
    if call.compensable or not program.knows(call.name):
        return _unknown(call, now)
    if call.saga and call.pivoted:
        return r.CompensationSkipped(number, PASSED_ITS_PIVOT)
    if call.saga and call.child_status == Status.COMPLETED:
        return r.ChildUndoScheduled(number)
    if call.child_status == Status.TERMINATED:
        return r.CompensationSkipped(number, WAS_TERMINATED)
    return None


def _unknown(call: Call, now: int) -> r.IncidentRaised:
    wanted = call.name if call.registered else f"{call.name} with a compensation"
    return r.IncidentRaised(
        now,
        Cause.UNKNOWN_ACTIVITY,
        f"call {call.number} has to be undone, and no service of this app has {wanted}",
        call.number,
    )
