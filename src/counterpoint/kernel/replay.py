"""Reading a journal as instructions: which decisions belong to which input, how they compare."""

import inspect
from collections import deque
from collections.abc import Sequence

from counterpoint.model import records as r

_ENGINE = ("counterpoint.kernel", "counterpoint.authoring", "counterpoint.workflow", "asyncio")
_DECISIONS = (
    r.CallScheduled,
    r.CallCancelled,
    r.TimerSet,
    r.TimerCancelled,
    r.SignalAwaited,
    r.SignalTaken,
    r.SignalWaitEnded,
    r.CompensationStarted,
    r.Ended,
)


def split_at_inputs(
    records: Sequence[r.Record],
) -> list[tuple[r.Input, deque[r.Decision]]]:
    """Return each input with the decisions that the code took because of it, in journal order."""
    turns: list[tuple[r.Input, deque[r.Decision]]] = []
    for record in records:
        if isinstance(record, r.INPUTS):
            turns.append((record, deque()))
        elif isinstance(record, _DECISIONS) and turns:
            turns[-1][1].append(record)
    return turns


def take_back_failures(records: Sequence[r.Record]) -> list[r.Record]:
    """Return the records without the failures that a later `RetryRequested` took back.

    The end itself goes; and the failure of the call that caused it, with what the code decided
    because of it, if the code made no further call between the two: a call that was made stays
    made (P2).
    """
    kept: list[r.Record] = []
    for record in records:
        if isinstance(record, r.RetryRequested) and kept and isinstance(kept[-1], r.Ended):
            failed_call = kept[-1].failed_call
            kept.pop()
            _take_back_call(kept, failed_call)
        kept.append(record)
    return kept


def _take_back_call(kept: list[r.Record], call: int | None) -> None:
    for index in range(len(kept) - 1, -1, -1):
        record = kept[index]
        if isinstance(record, r.CallScheduled):
            return
        if isinstance(record, r.CallFailed) and record.call == call:
            kept[index:] = [k for k in kept[index + 1 :] if not isinstance(k, _DECISIONS)]
            return


def identity(decision: r.Decision) -> tuple[object, ...]:
    """Return what must be the same on replay: the kind, the number, the name."""
    match decision:
        case r.CallScheduled():
            return r.CallScheduled, decision.call, decision.name
        case r.CallCancelled() | r.CompensationScheduled():
            return type(decision), decision.call
        case r.TimerSet() | r.TimerCancelled():
            return type(decision), decision.timer
        case r.SignalAwaited():
            return r.SignalAwaited, decision.wait, decision.name
        case r.SignalTaken():
            return r.SignalTaken, decision.name
        case r.SignalWaitEnded():
            return r.SignalWaitEnded, decision.wait
        case r.CompensationStarted():
            return (r.CompensationStarted,)
        case r.Ended():
            return r.Ended, decision.status


def in_words(decision: r.Decision) -> str:
    """Return a decision as an error message names it."""
    match decision:
        case r.CallScheduled():
            return f"call {decision.call} of {decision.name}"
        case r.CallCancelled():
            return f"call {decision.call} cancelled"
        case r.TimerSet():
            return f"timer {decision.timer}"
        case r.TimerCancelled():
            return f"timer {decision.timer} cancelled"
        case r.SignalAwaited() | r.SignalTaken():
            return f"a wait for the signal {decision.name!r}"
        case r.SignalWaitEnded():
            return f"the end of wait {decision.wait} for a signal"
        case r.CompensationStarted():
            return "the saga's failure"
        case r.CompensationScheduled():
            return f"the compensation of call {decision.call}"
        case r.Ended():
            return f"the end ({decision.status})"


def error_in_words(error: BaseException) -> str:
    """Return an error as a message names it; whatever its own `str` does."""
    try:
        text = str(error)
        text.encode()
    except Exception as second:  # noqa: BLE001 - a user's __str__ may raise anything
        text = f"its message cannot be shown ({type(second).__name__})"
    return f"{type(error).__qualname__}: {text}"


def code_line() -> str | None:
    """Return `file:line` of the workflow code that is running now, if any is."""
    frame = inspect.currentframe()
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if not module.startswith(_ENGINE):
            break
        frame = frame.f_back
    if frame is None or "counterpoint.runtime" in str(frame.f_globals.get("__name__", "")):
        return None
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
