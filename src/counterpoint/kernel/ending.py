"""How the end of workflow code becomes the end, the undoing or the standstill of its execution.

* It returned: the execution is completed.
* It continues as new: this run ends, and the next one takes over what it leaves.
* It failed or was cancelled: a saga is undone if it left something to undo; past its pivot it
  stands still for a person instead, because nothing may be undone any more.
"""

from typing import Any

from counterpoint.kernel import saga
from counterpoint.kernel.blame import call_of, parts_of
from counterpoint.kernel.loop import WorkflowTask
from counterpoint.kernel.running import Running
from counterpoint.kernel.settled import ContinueAsNew
from counterpoint.model import records as r
from counterpoint.model.states import Status


def wind_up(execution: Running) -> bool:
    """Cancel the tasks that the function left behind; say whether all have ended."""
    loop = execution.loop
    tasks = loop.live_tasks()
    if tasks and not execution.winding_up:
        execution.winding_up = True
        for task in list(tasks):
            task.cancel()
        loop.run_until_idle()
        tasks = loop.live_tasks()
    return not tasks


def settles_first(execution: Running, main: WorkflowTask[Any]) -> bool:
    """Whether code that has returned waits for calls that it gave up, before it has ended.

    A child saga may be undone long after it has completed. What it called and no longer waited for
    has to have settled by then, or it could happen after its own undoing.
    """
    if main.cancelled() or main.exception() is not None or execution.pivoted:
        return False
    child = execution.program.saga and execution.state.parent is not None
    return child and execution.calls.anything_open_to_undo


def end(execution: Running, main: WorkflowTask[Any]) -> None:
    """Decide what the end of the code means."""
    if main.cancelled():
        _end_cancelled(execution)
        return
    error = main.exception()
    if error is not None:
        if (again := _continuation(error)) is not None:
            status = Status.CONTINUED.value
            execution.finish(r.Ended(end_time(execution), status, again.arguments))
        else:
            end_with_error(execution, error)
        return
    try:
        result = execution.program.encode_result(main.result())
    except Exception as refused:  # noqa: BLE001 - whatever a user's type raises
        end_with_error(execution, refused)
        return
    execution.finish(r.Ended(end_time(execution), Status.COMPLETED.value, result))


def end_with_error(execution: Running, error: BaseException) -> None:
    """Decide what an error that left the code means."""
    failure = execution.program.failure(error)
    failed_call = call_of(error)
    # A traceback holds frames, and frames hold the workflow's objects alive. Not by assignment:
    # a frozen dataclass, or any class of a user's, may refuse that.
    BaseException.with_traceback(error, None)
    _undo_or_end(execution, failure, cancelled=False, failed_call=failed_call)


def end_unbegun(execution: Running) -> None:
    """End a delayed execution that was cancelled before its moment came."""
    failure = r.Failure("asyncio.CancelledError", "cancelled before it began")
    status = Status.CANCELLED.value
    execution.finish(r.Ended(end_time(execution), status, r.NULL, failure))


def end_time(execution: Running) -> int:
    """Return the time of an end decided now."""
    # After a retry the code goes on at the time of an input that is older than the retry.
    return max(execution.now, execution.state.updated_at)


def _end_cancelled(execution: Running) -> None:
    asked = execution.state.cancel_requested
    why = "cancelled on request" if asked else "the workflow cancelled itself"
    _undo_or_end(execution, r.Failure("asyncio.CancelledError", why), cancelled=asked)


def _undo_or_end(
    execution: Running,
    error: r.Failure,
    *,
    cancelled: bool,
    failed_call: int | None = None,
) -> None:
    at = end_time(execution)
    program = execution.program
    if program.saga and execution.pivoted:
        execution.finish(r.Stopped(at, error, failed_call))
    elif program.saga and saga.anything_to_undo(execution.state, program):
        execution.finish(r.CompensationStarted(at, error, cancelled))
    else:
        if program.saga and not execution.replaying:
            for skipped in saga.what_stays(execution.state):
                execution.record(skipped)
        status = Status.CANCELLED if cancelled else Status.FAILED
        execution.finish(r.Ended(at, status.value, r.NULL, error, failed_call))


def _continuation(error: BaseException) -> ContinueAsNew | None:
    """Return what `continue_as_new` raised, also where task groups have wrapped it."""
    found = error
    while len(parts := parts_of(found)) == 1:
        found = parts[0]
    return found if isinstance(found, ContinueAsNew) else None
