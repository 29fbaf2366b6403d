"""One execution: applies records to workflow code and collects what the code decides.

Sans-I/O: whoever owns the execution gives it inputs (an outcome, a signal, a moment), takes
`pending`, makes it durable, and only then performs what it says. The execution itself has no
clock, no socket and no thread; `now` is the time of the record that is being applied.

Safety argument (P2, P8):

1. The code runs only while an input is applied, and sees nothing but inputs. So its decisions are a
   function of the inputs' order, which the journal keeps.
2. Inputs are applied one at a time, in journal order, live as on replay: each runs the loop until
   nothing is ready before the next one is looked at. A timeout and a result that arrive together
   are therefore always told apart the same way.
3. On replay every decision is compared (kind, number, name) with the one recorded after the same
   input. What differs is never executed and never written: the loop is halted, not by an exception
   that the code could catch, and `divergence` says what was expected, what was found, and where.
4. A timer that was set and cancelled before its commit leaves no record. On replay such a timer is
   set with no record to meet and is cancelled before the inputs of its activation's commit are
   used up, so only one that is still alive at the end of the journal is a divergence.
"""

import contextvars
import random
from collections import deque
from collections.abc import Sequence
from typing import Any

from counterpoint.errors import NonDeterminismError, WorkflowRefusedError
from counterpoint.kernel import saga
from counterpoint.kernel.blame import call_of
from counterpoint.kernel.loop import Future, TimerHandle, WorkflowTask, new_loop
from counterpoint.kernel.program import Program
from counterpoint.kernel.replay import (
    STOPPED,
    History,
    Turn,
    code_line,
    error_in_words,
    identity,
    in_words,
    matching_timer,
    suspended_line,
)
from counterpoint.kernel.settled import MISSING, Completed, Settled
from counterpoint.kernel.state import ExecutionState
from counterpoint.kernel.timers import due_time
from counterpoint.model import records as r
from counterpoint.model.states import Status


class Execution:
    """The code of one execution, live or being replayed."""

    def __init__(self, execution_id: str, run: int, program: Program) -> None:
        self.id = execution_id
        self.run = run
        self.program = program
        self.state = ExecutionState(keep_calls=program.saga)
        self.pending: list[r.Record | None] = []
        """Records to commit; None where one was taken back before its commit."""
        self.speech: list[tuple[int, str]] = []
        """What the code logs (level as in `logging`, text), to be said after the commit."""
        self.divergence: NonDeterminismError | None = None
        self.now = 0
        self.loop = new_loop(self)
        self._main: WorkflowTask[Any] | None = None
        self._started_at = 0
        self._calls: dict[int, Future[Settled]] = {}
        self._call_number = 0
        self._timers: dict[int, TimerHandle] = {}
        self._unwritten_timers: dict[int, int] = {}
        """Where in `pending` they are."""
        self._silent_timers: dict[int, r.TimerSet] = {}
        """Set during a replay, with no record to meet (point 4)."""
        self._timer_number = 0
        self._waits: dict[int, tuple[str, Future[r.Payload]]] = {}
        self._wait_number = 0
        self._unread: dict[str, deque[r.Payload]] = {}
        self._expected: deque[r.Decision] | None = None
        self._random: random.Random | None = None
        self._winding_up = False
        self._unreadable_call: int | None = None
        self._may_go_on = False
        """The last recorded inputs are being replayed, and the code has not finished with them."""

    # ---- what the owner does ------------------------------------------------------------------

    def take_pending(self) -> list[r.Record]:
        """Return the records to commit and forget them; the owner commits before it performs."""
        pending = self.pending
        self.pending = []
        self._unwritten_timers.clear()
        return [record for record in pending if record is not None] if pending else []

    def start(self, record: r.Started, arguments: Any) -> None:
        """Begin the code with decoded *arguments*."""
        self._record(record)
        self._begin(record, arguments)
        self._run()

    def begin_stored(self, record: r.Started, arguments: Any) -> None:
        """Begin the code of an execution that was only stored so far."""
        self.state.apply(record)
        self._begin(record, arguments)
        self._run()

    def deliver(self, record: r.Input, value: Any = MISSING) -> None:
        """Record an input and apply it to the code."""
        self._record(record)
        self.now = record.at
        if self._main is not None:
            self._feed(record, value)
            self._run()
            if self._unreadable_call is not None:
                self._stop()
        self.advance_saga()

    def stamp(self, now: int) -> int:
        """Return the time of a record made now: an execution's time never goes back."""
        return max(now, self.now)

    def note(self, record: r.Progress) -> None:
        """Record what the code does not see."""
        self._record(record)
        self.now = record.at
        self.advance_saga()

    def due_timers(self, now: int) -> list[int]:
        """Return the numbers of the timers that are due, in order of their times."""
        due = [(at, number) for number, at in self.state.timers.items() if at <= now]
        return [number for _, number in sorted(due)]

    def fire_timer(self, timer: int, now: int) -> None:
        """Fire a timer if the code still waits for it."""
        if timer in self.state.timers:
            self.deliver(r.TimerFired(self.stamp(now), timer))

    def replay(self, records: Sequence[r.Record], retry: r.RetryRequested | None = None) -> None:
        """Bring a new execution to where *records*, its whole journal, leave it.

        *retry* is recorded after them: it takes back the failure with which they end, and the code
        may go on from there. Afterwards `divergence` is None, or says how the code differs; then
        `state` holds what the journal says, the code is evicted, and inputs are only recorded.
        """
        history = History(records if retry is None else [*records, retry])
        self.state = history.fold(keep_calls=self.program.saga)
        if retry is not None:
            self.pending.append(retry)
        self.now = self.state.updated_at
        if not self.state.undoing and self.state.status.live:
            self._replay_code(history.turns())
        self.now = max(self.now, self.state.updated_at)
        if self.divergence is not None:
            self.evict()
        elif self.pending:
            self.advance_saga()

    def _replay_code(self, turns: Sequence[Turn]) -> None:
        last = len(turns) - 1
        for index, turn in enumerate(turns):
            self._expected = turn.decisions
            self._may_go_on = turn.unfinished and index == last
            for record in turn.inputs:
                self.now = record.at
                if isinstance(record, r.Started):
                    self._begin_replay(record)
                elif self._main is not None:
                    self._feed(record, MISSING)
                self._run()
            if turn.decisions and self.divergence is None:
                self._diverge(turn.decisions[0], "nothing")
            if self.divergence is not None:
                break
        if self.divergence is None and self._expected is not None:
            self._end_replay(taken_back=self._may_go_on)
        self._expected = None
        self._may_go_on = False

    def _end_replay(self, *, taken_back: bool) -> None:
        unwritten = [n for n in self._timers if n not in self.state.timers]
        if unwritten and not taken_back:
            self._diverge(None, "a wait for a timer")
            return
        self._go_live()
        for number in unwritten:  # cancelled before its commit by what was taken back: set again
            self._decide_timer(self._silent_timers.pop(number))

    def _go_live(self) -> None:
        """The recorded past is over; the code agrees with it, whatever an incident said."""
        self._expected = None
        incident = self.state.incident
        if incident is not None and incident.cause == STOPPED:
            self._record(r.IncidentResolved(self.stamp(self.state.updated_at)))

    def evict(self) -> None:
        """Drop the code's frames; nothing that their `finally` blocks ask for gets through."""
        self._main = None
        self._drop_frames()

    def _drop_frames(self) -> None:
        self.loop.close()
        self._calls.clear()
        self._timers.clear()
        self._waits.clear()

    def advance_saga(self) -> None:
        """Let a compensating saga decide its next steps."""
        while self.state.status is Status.COMPENSATING and self._expected is None:
            decision = saga.next_decision(self.state, self.program, self.now)
            if decision is None:
                return
            self._record(decision)

    # ---- what workflow code asks for ----------------------------------------------------------

    def schedule(self, name: str, arguments: r.Payload) -> tuple[int, Future[Settled]]:
        """Make the next call; its future gets `Completed` or an error."""
        self.loop.check_open()
        if self.loop.is_closed():
            return 0, self.loop.new_future()
        self._call_number = number = self._call_number + 1
        future: Future[Settled] = self.loop.new_future()
        self._calls[number] = future
        program = self.program
        compensable = program.saga and program.compensation_of(name) is not None
        self._decide(r.CallScheduled(number, name, arguments, compensable))
        return number, future

    def abandon(self, number: int) -> None:
        """Say that the code no longer waits for a call; called when its future was cancelled."""
        if self.loop.is_closed() or self._calls.pop(number, None) is None:
            return
        self._decide(r.CallCancelled(number))

    def wait_for_signal(self, name: str) -> tuple[int, Future[r.Payload]]:
        """Take the oldest unread signal of that name, or wait for the next one."""
        self.loop.check_open()
        future: Future[r.Payload] = self.loop.new_future()
        if self.loop.is_closed():
            return 0, future
        unread = self._unread.get(name)
        if unread:
            future.set_result(unread.popleft())
            self._decide(r.SignalTaken(name))
            return 0, future
        self._wait_number = number = self._wait_number + 1
        self._waits[number] = (name, future)
        self._decide(r.SignalAwaited(number, name))
        return number, future

    def end_wait(self, number: int) -> None:
        """Say that the code no longer waits for a signal; called when its future was cancelled."""
        if self.loop.is_closed() or self._waits.pop(number, None) is None:
            return
        self._decide(r.SignalWaitEnded(number))

    @property
    def replaying(self) -> bool:
        """Whether a recorded past is being repeated."""
        return self._expected is not None

    @property
    def seeded_random(self) -> random.Random:
        """The execution's one source of chance, the same on every replay."""
        if self._random is None:
            self._random = random.Random(f"{self.id}/{self.run}")  # noqa: S311 - not for secrets
        return self._random

    def loop_time(self) -> float:
        """Return seconds since the execution began, as of the record being applied."""
        return (self.now - self._started_at) / 1e6

    def set_timer(self, handle: TimerHandle) -> None:
        """Number a timer and decide it."""
        due_at = due_time(self._started_at, handle.when())
        self._timer_number = number = self._timer_number + 1
        handle.number = number
        self._timers[number] = handle
        self._decide_timer(r.TimerSet(number, due_at))

    def cancel_timer(self, handle: TimerHandle) -> None:
        """Forget a timer; one that was set since the last commit leaves no record at all."""
        number = handle.number
        if self.loop.is_closed() or self._timers.pop(number, None) is None:
            return
        if self._silent_timers.pop(number, None) is not None:
            return
        index = self._unwritten_timers.pop(number, None)
        if index is None:
            self._decide(r.TimerCancelled(number))
        else:
            self.pending[index] = None
            self.state.count -= 1
            self.state.timers.pop(number, None)

    def callback_failed(self, error: BaseException) -> None:
        """A plain callback raised; asyncio reports that and goes on, and so does this loop."""
        if self._expected is None:
            self.speech.append((40, f"a callback of the workflow raised {error_in_words(error)}"))

    # ---- inside -------------------------------------------------------------------------------

    def _record(self, record: r.Record) -> None:
        self.state.apply(record)
        self.pending.append(record)

    def _decide(self, decision: r.Decision) -> None:
        expected = self._expected
        if expected is None:
            self.state.apply(decision)
            self.pending.append(decision)
        elif expected and identity(expected[0]) == identity(decision):
            expected.popleft()
        elif not expected and self._may_go_on and self.divergence is None:
            self._go_live()
            self._decide(decision)
        elif self.divergence is None:
            self._diverge(expected[0] if expected else None, in_words(decision))

    def _decide_timer(self, decision: r.TimerSet) -> None:
        if self._expected is not None and not self._expected and self._may_go_on:
            self._go_live()
        if self._expected is None:
            self._unwritten_timers[decision.timer] = len(self.pending)
            self._decide(decision)
        elif (recorded := matching_timer(self._expected, decision.timer)) is not None:
            self._expected.remove(recorded)
        else:
            self._silent_timers[decision.timer] = decision

    def _diverge(self, expected: r.Decision | None, found: str) -> None:
        line = code_line() if self.loop.is_running() else None
        if line is None and self._main is not None:
            line = suspended_line(self._main.get_coro())
        recorded = in_words(expected) if expected is not None else "nothing"
        self.divergence = NonDeterminismError(
            f"{self.id}: the journal says {recorded}, today's code does {found}"
            + (f" ({line})" if line else ""),
            expected=recorded,
            found=found,
            line=line,
        )
        self.loop.halt()

    def unreadable(self, what: str, error: BaseException, call: int | None = None) -> None:
        """Say that a recorded value (of *call*) does not validate; the code stops here."""
        if self.divergence is None:
            if self._expected is None:
                self._unreadable_call = call
            self._diverge(None, f"not accept {what}: {error_in_words(error)}")

    def _stop(self) -> None:
        """Make an incident of what a live call recorded and the code could not read."""
        call, self._unreadable_call = self._unreadable_call, None
        self.evict()
        self._record(r.IncidentRaised(self.now, STOPPED, str(self.divergence), call))

    def _begin(self, record: r.Started, arguments: Any) -> None:
        self.now = self._started_at = record.at
        # In a context of its own: what surrounds a start is not there on replay.
        self._main = self.loop.create_task(
            self.program.begin(arguments), context=contextvars.Context()
        )

    def _begin_replay(self, record: r.Started) -> None:
        try:
            arguments = self.program.decode_arguments(record.arguments)
        except Exception as error:  # noqa: BLE001 - whatever a user's type raises
            self.unreadable("its recorded arguments", error)
            return
        self._begin(record, arguments)

    def _feed(self, record: r.Input, value: Any) -> None:
        """Hand an input to what waits for it; the loop runs it afterwards."""
        match record:
            case r.CallCompleted():
                self._settle(record.call, Completed(record.result, value))
            case r.CallFailed():
                self._settle(record.call, record)
            case r.TimerFired():
                self._feed_timer(record.timer)
            case r.SignalReceived():
                self._feed_signal(record)
            case r.CancelRequested():
                if self._main is not None and not self._main.done():
                    self._main.cancel()
            case r.Started():
                raise AssertionError("an execution starts once")

    def _settle(self, call: int, settled: Settled) -> None:
        future = self._calls.pop(call, None)
        if future is not None and not future.done():
            future.set_result(settled)

    def _feed_timer(self, timer: int) -> None:
        handle = self._timers.pop(timer, None)
        if handle is not None:
            self.loop.fire(handle)
        elif self._expected is not None and self.divergence is None:
            self._diverge(None, f"not wait for timer {timer}")

    def _feed_signal(self, record: r.SignalReceived) -> None:
        for number, (name, future) in self._waits.items():
            if name == record.name and not future.done():
                del self._waits[number]
                future.set_result(record.value)
                return
        self._unread.setdefault(record.name, deque()).append(record.value)

    def _run(self) -> None:
        if self.divergence is not None:
            return
        try:
            self.loop.run_until_idle()
            main = self._main
            if main is None or not main.done() or self.divergence is not None:
                return
            over = self._wind_up()
        except WorkflowRefusedError as error:
            self.loop.halt()
            self._end_with_error(error)
            return
        if over and self.divergence is None:
            self._end(main)

    def _wind_up(self) -> bool:
        """Cancel the tasks that the function left behind; say whether all have ended."""
        tasks = self.loop.live_tasks()
        if tasks and not self._winding_up:
            self._winding_up = True
            for task in list(tasks):
                task.cancel()
            self.loop.run_until_idle()
            tasks = self.loop.live_tasks()
        return not tasks

    def _end(self, main: WorkflowTask[Any]) -> None:
        if main.cancelled():
            self._end_cancelled()
            return
        error = main.exception()
        if error is not None:
            self._end_with_error(error)
            return
        try:
            result = self.program.encode_result(main.result())
        except Exception as refused:  # noqa: BLE001 - whatever a user's type raises
            self._end_with_error(refused)
            return
        self._finish(r.Ended(self._end_time(), Status.COMPLETED.value, result))

    def _end_cancelled(self) -> None:
        asked = self.state.cancel_requested
        why = "cancelled on request" if asked else "the workflow cancelled itself"
        self._undo_or_end(r.Failure("asyncio.CancelledError", why), cancelled=asked)

    def _end_with_error(self, error: BaseException) -> None:
        failure = self.program.failure(error)
        failed_call = call_of(error)
        # A traceback holds frames, and frames hold the workflow's objects alive. Not by assignment:
        # a frozen dataclass, or any class of a user's, may refuse that.
        BaseException.with_traceback(error, None)
        self._undo_or_end(failure, cancelled=False, failed_call=failed_call)

    def _undo_or_end(
        self, error: r.Failure, *, cancelled: bool, failed_call: int | None = None
    ) -> None:
        if self.program.saga and saga.anything_to_undo(self.state, self.program):
            self._finish(r.CompensationStarted(self._end_time(), error, cancelled))
            return
        status = Status.CANCELLED if cancelled else Status.FAILED
        self._finish(r.Ended(self._end_time(), status.value, r.NULL, error, failed_call))

    def _end_time(self) -> int:
        # After a retry the code goes on at the time of an input that is older than the retry.
        return max(self.now, self.state.updated_at)

    def _finish(self, decision: r.Decision) -> None:
        """The code is over: decide its end and drop its frames."""
        if self._expected is None and self.state.incident is not None:
            self._record(r.IncidentResolved(self._end_time()))  # it stopped a call, not the code
        self._decide(decision)
        if self._expected is None:
            self._main = None
            self._drop_frames()
