"""Reading a journal as instructions: what counts, and what belongs to which input.

Some things are written into a journal without the code having seen them in that order:

* A `RetryRequested` after a failed end (or a standstill past the pivot) takes the end back, with
  the cancellations that led to it and, if the code made no further call in between, with the
  failure of the call that caused it. What the code decided because of that failure never
  happened; the inputs that came meanwhile did. A call that was cancelled by what was taken back,
  and has failed (or will) because of that, has only lost an attempt.
* A `ResetFrom` takes back everything that is not above it: the code goes on in the middle.
* While an incident of non-determinism stands, inputs are recorded and no code runs. They are
  applied when code that agrees with the journal goes on, and the code sees them then: a timeout
  that it set as of when they came would be over where the incident lasted longer than that.

Either way several inputs share the decisions that follow them, and the code may go on from there.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from counterpoint.kernel.state import ExecutionState
from counterpoint.model import records as r
from counterpoint.model.states import Cause, Status

_DECISIONS = (
    r.CallScheduled,
    r.ChildScheduled,
    r.UndoRegistered,
    r.PivotPassed,
    r.Patched,
    r.AttributesSet,
    r.CallCancelled,
    r.TimerSet,
    r.TimerCancelled,
    r.SignalAwaited,
    r.SignalTaken,
    r.SignalWaitEnded,
    r.EventAwaited,
    r.EventWaitEnded,
    r.Published,
    r.CompensationStarted,
    r.Stopped,
    r.Ended,
)
_NEW_STEPS = (r.CallScheduled, r.ChildScheduled, r.UndoRegistered)
_BEGIN = (r.Started, r.Begun)
_TAKES_BACK = (r.RetryRequested, r.ResetFrom)
_INPUT_TYPES = frozenset(r.INPUTS)
_DECISION_TYPES = frozenset(_DECISIONS)
_CODE_OVER = (r.CompensationStarted, r.Stopped, r.Ended)
_ENDS = (r.Ended, r.Stopped, r.UndoRequested)
_CANCELLATIONS = (
    r.CallCancelled,
    r.TimerCancelled,
    r.SignalWaitEnded,
    r.EventWaitEnded,
    r.CompensationSkipped,
)


@dataclass(slots=True)
class Turn:
    """Inputs that the code saw one after the other, and what it decided because of them."""

    inputs: list[r.Input]
    decisions: deque[r.Decision] = field(default_factory=deque)
    unfinished: bool = False
    """The code has not run, or was taken back, since: it may decide more than is recorded."""


@dataclass(slots=True)
class _Standing:
    """How the code stands at a point of the journal."""

    unbegun: bool
    """Nothing is recorded but what comes before the code."""
    joining: bool = False
    """Inputs are recorded while no code runs, or since it began again."""
    stopped: bool = False
    stopped_step: int | None = None


class History:
    """What counts of a journal."""

    def __init__(self, records: Sequence[r.Record]) -> None:
        self.count = len(records)
        self.records: list[r.Record] = []
        self._again: dict[int, int | None] = {}
        """What took back an end (a `RetryRequested`, a `ResetFrom`), by identity, and its time."""
        self._joined: set[int] = set()
        """Identities of the inputs that belong to the turn of the input before them."""
        self._kept_on: set[int] = set()
        """Calls whose cancellation was taken back: how that attempt ends, the code is not told."""
        if not any(isinstance(record, _TAKES_BACK) for record in records):
            self.records = list(records)
            return
        for record in records:
            if isinstance(record, r.RetryRequested):
                self._take_back_end(record)
            elif isinstance(record, r.ResetFrom):
                self._again[id(record)] = None
            kept_on = self._kept_on
            self.records.append(_unless_kept_on(record, kept_on) if kept_on else record)

    def fold(self, *, keep_calls: bool) -> ExecutionState:
        """Return the state that the journal leaves."""
        state = ExecutionState(keep_calls=keep_calls)
        for record in self.records:
            if isinstance(record, _TAKES_BACK) and id(record) in self._again:
                state.begin_again(record, self._again[id(record)])
            state.apply(record)
        state.count = self.count
        return state

    def turns(self) -> Iterator[Turn]:
        """Yield each input with the decisions that the code took because of it, in order.

        One at a time: the turns of a long journal, all made at once, would be walked by every
        collection of garbage that they cause.
        """
        turn: Turn | None = None
        standing = _Standing(unbegun=all(isinstance(one, r.PREAMBLE) for one in self.records))
        for known in takewhile(_before_termination, self.records):
            kind = type(known)
            record: Any = known  # looking its kind up in sets tells a type checker nothing
            if kind in _INPUT_TYPES:
                if turn is not None and self._joins(record, turn, standing):
                    turn.inputs.append(record)
                    turn.unfinished = standing.joining
                    continue
                if turn is not None:
                    yield turn
                turn = Turn([record], unfinished=standing.stopped or standing.unbegun)
            elif turn is None:
                continue  # what stands before the first input
            elif kind in _DECISION_TYPES:
                turn.decisions.append(record)
                turn.unfinished = False
                standing.joining = standing.stopped
                if kind in _CODE_OVER:
                    break
            else:
                self._stop_or_go_on(record, turn, standing)
        if turn is not None:
            yield turn

    def _joins(self, record: r.Input, turn: Turn, standing: "_Standing") -> bool:
        """Whether an input belongs to the turn of the input before it."""
        return (standing.joining and turn.unfinished) or id(record) in self._joined

    def _stop_or_go_on(self, record: r.Record, turn: Turn, standing: "_Standing") -> None:
        """Take note of what stops the code, and of what lets it go on."""
        if isinstance(record, r.IncidentRaised) and record.cause == Cause.NON_DETERMINISM:
            standing.joining = standing.stopped = True
            standing.stopped_step = record.step
            never_ran = isinstance(turn.inputs[-1], _BEGIN) and not turn.decisions
            unread = record.step is not None or record.wait is not None
            turn.unfinished |= never_ran or unread
        elif isinstance(record, r.IncidentResolved) and record.step == standing.stopped_step:
            standing.joining = standing.stopped = False
        elif id(record) in self._again:
            turn.unfinished = standing.joining = True

    def seen_late(self, resumes_at: int) -> dict[int, int]:
        """Return when the code saw inputs that it did not see when they came, by identity.

        It sees at *resumes_at* what was recorded while it was stopped, unless the journal has the
        end of that incident.
        """
        times: dict[int, int] = {}
        unseen: list[r.Record] = []
        stopped: r.IncidentRaised | None = None
        for record in self.records:
            if isinstance(record, r.IncidentRaised) and record.cause == Cause.NON_DETERMINISM:
                stopped = record
            elif stopped is None:
                continue
            elif isinstance(record, r.INPUTS):
                unseen.append(record)
            elif isinstance(record, r.IncidentResolved) and record.step == stopped.step:
                times.update((id(one), record.at) for one in unseen)
                unseen, stopped = [], None
        times.update((id(one), resumes_at) for one in unseen)
        return times

    def _take_back_end(self, retry: r.RetryRequested) -> None:
        kept = self.records
        index = len(kept) - 1
        while index >= 0 and not isinstance(kept[index], _ENDS):
            index -= 1
        end = kept[index] if index >= 0 else None
        if not isinstance(end, (r.Ended, r.Stopped)):
            return
        if isinstance(end, r.Ended) and end.status != Status.FAILED:
            return
        self._again[id(retry)] = end.at
        meanwhile = kept[index + 1 :]
        del kept[index:]
        cancelled: set[int] = set()
        while kept and isinstance(kept[-1], _CANCELLATIONS):
            last = kept.pop()
            if isinstance(last, r.CallCancelled):
                cancelled.add(last.call)
        self._take_back_failure(end)
        self._kept_on |= cancelled
        for record in meanwhile:
            found = _unless_kept_on(record, self._kept_on)
            if isinstance(found, r.INPUTS):
                self._joined.add(id(found))
            kept.append(found)

    def _take_back_failure(self, end: r.Ended | r.Stopped) -> None:
        kept = self.records
        for index in range(len(kept) - 1, -1, -1):
            record = kept[index]
            if isinstance(record, _NEW_STEPS):
                return
            if isinstance(record, (r.CallFailed, r.ChildFailed)) and record.call == end.failed_call:
                kept[index:] = self._without_reaction(record, kept[index + 1 :])
                return

    def _without_reaction(
        self, failed: r.CallFailed | r.ChildFailed, after: Sequence[r.Record]
    ) -> list[r.Record]:
        """Turn a call's failure into a failed attempt, and keep what the code did not decide."""
        timers = {record.timer for record in after if isinstance(record, r.TimerSet)}
        waits = {record.wait for record in after if isinstance(record, r.EventAwaited)}
        kept: list[r.Record] = [_as_attempt(failed)]
        joined = False
        cancelled: set[int] = set()
        for one in after:
            record = _unless_kept_on(one, cancelled)
            if isinstance(record, _DECISIONS):
                if isinstance(record, r.CallCancelled):
                    cancelled.add(record.call)
                continue
            if isinstance(record, r.TimerFired) and record.timer in timers:
                continue
            if isinstance(record, r.EventReceived) and record.wait in waits:
                continue  # it is still in the log, for whoever waits for it then
            if isinstance(record, r.INPUTS):
                if joined:
                    self._joined.add(id(record))
                joined = True
            kept.append(record)
        self._kept_on |= cancelled
        return kept


def _before_termination(record: r.Record) -> bool:
    """Whether the code may have decided a record: the end of a terminated execution it did not."""
    return not isinstance(record, r.TerminateRequested)


def _unless_kept_on(record: r.Record, kept_on: set[int]) -> r.Record:
    """Return the failure of a call whose cancellation was taken back as that of an attempt."""
    match record:
        case r.CallFailed() | r.ChildFailed() if record.call in kept_on:
            kept_on.discard(record.call)
            return _as_attempt(record)
        case r.CallCancelled(call=call) | r.AttemptStarted(step=call) | r.StepResolved(step=call):
            kept_on.discard(call)
        case _:
            pass
    return record


def _as_attempt(failed: r.CallFailed | r.ChildFailed) -> r.AttemptFailed:
    """Return a call's failure as that of an attempt, which another one follows at once."""
    attempts = failed.attempts if isinstance(failed, r.CallFailed) else 1
    return r.AttemptFailed(
        failed.at, failed.call, attempts, failed.error, failed.outcome_unknown, failed.at
    )


def fold(records: Sequence[r.Record], *, keep_calls: bool = True) -> ExecutionState:
    """Return the state that a whole journal leaves."""
    return History(records).fold(keep_calls=keep_calls)
