"""How a decision is compared with its record, and how a difference is told to people."""

import inspect
import types
from collections.abc import Callable, Iterable
from typing import Any

from counterpoint.errors import NonDeterminismError
from counterpoint.model import records as r
from counterpoint.model.ids import child_id
from counterpoint.model.states import Status

_ENGINE = ("counterpoint.kernel", "counterpoint.authoring", "counterpoint.workflow", "asyncio")
_LOOP_RUNS = "run_until_idle"
"""The function between workflow code and whoever gave the execution its input."""
_FAILURES = (Status.FAILED, Status.CANCELLED)
_FAILED = ("the code failed",)
"""Whether anything has to be undone then is not the code's decision, and may have changed."""
_IDENTITY: dict[type, Callable[[Any], tuple[object, ...]]] = {
    r.CallScheduled: lambda d: (d.call, d.name),
    r.ChildScheduled: lambda d: (d.call, d.name, d.id),
    r.UndoRegistered: lambda d: (d.call, d.name),
    r.PivotPassed: lambda _: (),
    r.Patched: lambda d: (d.change,),
    r.AttributesSet: lambda d: tuple(sorted(d.values)),
    r.CallCancelled: lambda d: (d.call,),
    r.TimerSet: lambda d: (d.timer,),
    r.TimerCancelled: lambda d: (d.timer,),
    r.SignalAwaited: lambda d: (d.wait, d.name),
    r.SignalTaken: lambda d: (d.name,),
    r.SignalWaitEnded: lambda d: (d.wait,),
    r.EventAwaited: lambda d: (d.wait, d.event_type, d.key),
    r.EventWaitEnded: lambda d: (d.wait,),
    r.Published: lambda d: (d.event_type,),
}
_WORDS: dict[type, Callable[[Any], str]] = {
    r.CallScheduled: lambda d: f"call {d.call} of {d.name}",
    r.ChildScheduled: lambda d: f"call {d.call} of the workflow {d.name} as {d.id!r}",
    r.UndoRegistered: lambda d: f"compensate_with {d.name} as call {d.call}",
    r.PivotPassed: lambda _: "the pivot",
    r.Patched: lambda d: f"patched({d.change!r})",
    r.AttributesSet: lambda d: f"the attributes {', '.join(sorted(d.values))}",
    r.CallCancelled: lambda d: f"call {d.call} cancelled",
    r.TimerSet: lambda d: f"timer {d.timer}",
    r.TimerCancelled: lambda d: f"timer {d.timer} cancelled",
    r.SignalAwaited: lambda d: f"a wait for the signal {d.name!r}",
    r.SignalTaken: lambda d: f"a wait for the signal {d.name!r}",
    r.SignalWaitEnded: lambda d: f"the end of wait {d.wait} for a signal",
    r.EventAwaited: lambda d: f"a wait for {d.event_type} of {d.key!r}",
    r.EventWaitEnded: lambda d: f"the end of wait {d.wait} for an event",
    r.Published: lambda d: f"the event {d.event_type}",
    r.CompensationStarted: lambda _: "the saga's failure",
    r.CompensationScheduled: lambda d: f"the compensation of call {d.call}",
    r.ChildUndoScheduled: lambda d: f"the compensation of call {d.call}",
    r.CompensationSkipped: lambda d: f"call {d.call}, which stays",
    r.Stopped: lambda _: "a failure past the pivot",
    r.Ended: lambda d: f"the end ({d.status})",
}


def identity(decision: r.Decision) -> tuple[object, ...]:
    """Return what must be the same on replay: the kind, the number, the name."""
    if isinstance(decision, (r.CompensationStarted, r.Stopped)):
        return _FAILED
    if isinstance(decision, r.Ended):
        return _FAILED if decision.status in _FAILURES else (r.Ended, decision.status)
    return type(decision), *_IDENTITY[type(decision)](decision)


def agree(recorded: r.Decision, found: r.Decision, execution_id: str, run: int) -> bool:
    """Whether the code decides what is recorded.

    A reset takes over the children of an earlier run, whose number is in their generated ids.
    """
    if isinstance(recorded, r.CallScheduled) and isinstance(found, r.CallScheduled):  # most are
        return recorded.call == found.call and recorded.name == found.name
    if identity(recorded) == identity(found):
        return True
    if not (isinstance(recorded, r.ChildScheduled) and isinstance(found, r.ChildScheduled)):
        return False
    call = found.call
    return (
        (recorded.call, recorded.name) == (call, found.name)
        and found.id == child_id(execution_id, run, call)
        and any(recorded.id == child_id(execution_id, one, call) for one in range(1, run))
    )


def matching_timer(decisions: Iterable[r.Decision], timer: int) -> r.TimerSet | None:
    """Return the record that sets *timer*, wherever in its turn: a retry may set it later."""
    for decision in decisions:
        if isinstance(decision, r.TimerSet) and decision.timer == timer:
            return decision
    return None


def in_words(decision: r.Decision) -> str:
    """Return a decision as an error message names it."""
    return _WORDS[type(decision)](decision)


def difference(expected: r.Decision | None, found: str) -> tuple[str, str, str]:
    """Return how today's code differs, as a sentence, and its two sides in words."""
    recorded = in_words(expected) if expected is not None else "nothing"
    return f"the journal says {recorded}, today's code does {found}", recorded, found


def disagreement(
    execution_id: str, message: str, expected: str, found: str, line: str | None
) -> NonDeterminismError:
    """Return the error that says how an execution's code differs, and where."""
    words = f"{execution_id}: {message}" + (f" ({line})" if line else "")
    return NonDeterminismError(words, expected=expected, found=found, line=line)


def error_in_words(error: BaseException) -> str:
    """Return an error as a message names it; whatever its own `str` does."""
    try:
        text = str(error)
        text.encode()
    except Exception as second:  # noqa: BLE001 - a user's __str__ may raise anything
        text = f"its message cannot be shown ({type(second).__name__})"
    line = f"{type(error).__qualname__}: {text}"
    return line.encode(errors="backslashreplace").decode()


def code_line() -> str | None:
    """Return `file:line` of the workflow code that is running now, if any is."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_name != _LOOP_RUNS:
        if not str(frame.f_globals.get("__name__", "")).startswith(_ENGINE):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return None


def suspended_line(code: object) -> str | None:
    """Return `file:line` of the innermost workflow code in which a coroutine waits."""
    line = None
    while isinstance(code, types.CoroutineType):
        frame = code.cr_frame
        if frame is not None and not str(frame.f_globals.get("__name__", "")).startswith(_ENGINE):
            line = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        code = code.cr_await
    return line
