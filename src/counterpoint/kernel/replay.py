"""Reading a journal as instructions: what counts, what belongs to which input, how it compares.

Two things are written into a journal without the code having seen them in that order:

* A `RetryRequested` after a failed end takes the end back, with the cancellations that led to it
  and, if the code made no further call in between, with the failure of the call that caused it.
  What the code decided because of that failure never happened; the inputs that came meanwhile did.
* While an incident of non-determinism stands, inputs are recorded and no code runs. They are
  applied when code that agrees with the journal goes on.

Either way several inputs share the decisions that follow them, and the code may go on from there.
"""

import inspect
import types
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from counterpoint.kernel.state import ExecutionState
from counterpoint.model import records as r

STOPPED = "non-determinism"
"""The cause of an incident during which no code runs."""
_ENGINE = ("counterpoint.kernel", "counterpoint.authoring", "counterpoint.workflow", "asyncio")
_LOOP_RUNS = "run_until_idle"
"""The function between workflow code and whoever gave the execution its input."""
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
_CANCELLATIONS = (r.CallCancelled, r.TimerCancelled, r.SignalWaitEnded)


@dataclass(slots=True)
class Turn:
    """Inputs that the code saw one after the other, and what it decided because of them."""

    inputs: list[r.Input]
    decisions: deque[r.Decision] = field(default_factory=deque[r.Decision])
    unfinished: bool = False
    """The code has not run, or was taken back, since: it may decide more than is recorded."""


class History:
    """What counts of a journal."""

    def __init__(self, records: Sequence[r.Record]) -> None:
        self.count = len(records)
        self.records: list[r.Record] = []
        self._again: set[int] = set()
        """Identities of the `RetryRequested` that took back an end."""
        self._joined: set[int] = set()
        """Identities of the inputs that belong to the turn of the input before them."""
        for record in records:
            if isinstance(record, r.RetryRequested):
                self._take_back_end(record)
            self.records.append(record)

    def fold(self, *, keep_calls: bool) -> ExecutionState:
        """Return the state that the journal leaves."""
        state = ExecutionState(keep_calls=keep_calls)
        for record in self.records:
            if id(record) in self._again:
                state.begin_again(record)
            state.apply(record)
        state.count = self.count
        return state

    def turns(self) -> list[Turn]:
        """Return each input with the decisions that the code took because of it, in order."""
        turns: list[Turn] = []
        stopped = False
        for record in self.records:
            if isinstance(record, r.INPUTS):
                if turns and (id(record) in self._joined or (stopped and turns[-1].unfinished)):
                    turns[-1].inputs.append(record)
                    turns[-1].unfinished = stopped
                else:
                    turns.append(Turn([record], unfinished=stopped))
            elif isinstance(record, _DECISIONS):
                turns[-1].decisions.append(record)
                turns[-1].unfinished = False
            elif isinstance(record, r.IncidentRaised) and record.cause == STOPPED:
                stopped = True
                never_ran = isinstance(turns[-1].inputs[-1], r.Started) and not turns[-1].decisions
                turns[-1].unfinished |= never_ran or record.step is not None
            elif isinstance(record, r.IncidentResolved):
                stopped = False
            elif id(record) in self._again:
                turns[-1].unfinished = True
        return turns

    def _take_back_end(self, retry: r.RetryRequested) -> None:
        kept = self.records
        end = kept[-1] if kept else None
        if not isinstance(end, r.Ended):
            return
        self._again.add(id(retry))
        kept.pop()
        while kept and isinstance(kept[-1], _CANCELLATIONS):
            kept.pop()
        for index in range(len(kept) - 1, -1, -1):
            record = kept[index]
            if isinstance(record, r.CallScheduled):
                return
            if isinstance(record, r.CallFailed) and record.call == end.failed_call:
                kept[index:] = self._without_reaction(record, kept[index + 1 :])
                return

    def _without_reaction(self, failed: r.CallFailed, after: Sequence[r.Record]) -> list[r.Record]:
        """Turn a call's failure into a failed attempt, and keep what the code did not decide."""
        timers = {record.timer for record in after if isinstance(record, r.TimerSet)}
        kept: list[r.Record] = [
            r.AttemptFailed(
                failed.at,
                failed.call,
                failed.attempts,
                failed.error,
                failed.outcome_unknown,
                failed.at,
            )
        ]
        joined = False
        for record in after:
            if isinstance(record, _DECISIONS):
                continue
            if isinstance(record, r.TimerFired) and record.timer in timers:
                continue
            if isinstance(record, r.INPUTS):
                if joined:
                    self._joined.add(id(record))
                joined = True
            kept.append(record)
        return kept


def fold(records: Sequence[r.Record], *, keep_calls: bool = True) -> ExecutionState:
    """Return the state that a whole journal leaves."""
    return History(records).fold(keep_calls=keep_calls)


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


def matching_timer(decisions: Iterable[r.Decision], timer: int) -> r.TimerSet | None:
    """Return the record that sets *timer*, wherever in its turn: a retry may set it later."""
    for decision in decisions:
        if isinstance(decision, r.TimerSet) and decision.timer == timer:
            return decision
    return None


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
