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
5. What a replay knows before its time (`state` is the fold of the whole journal) is never asked by
   what decides for the code: only `Calls`, `Signals` and the loop are, which know what was fed.
"""

import contextvars
import random
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from counterpoint.errors import NonDeterminismError, WorkflowRefusedError
from counterpoint.kernel import ending, saga
from counterpoint.kernel.calls import Calls
from counterpoint.kernel.divergence import (
    agree,
    code_line,
    difference,
    disagreement,
    error_in_words,
    in_words,
    matching_timer,
    suspended_line,
)
from counterpoint.kernel.events import Events
from counterpoint.kernel.loop import TimerHandle, WorkflowTask, new_loop
from counterpoint.kernel.program import Program
from counterpoint.kernel.replay import History, Turn
from counterpoint.kernel.review import Review
from counterpoint.kernel.settled import MISSING, Completed
from counterpoint.kernel.signals import Signals
from counterpoint.kernel.state import ExecutionState
from counterpoint.kernel.timers import FAR_FUTURE, due_time
from counterpoint.model import records as r
from counterpoint.model.states import Cause, Status


class Execution:
    """The code of one execution, live or being replayed."""

    def __init__(
        self, execution_id: str, run: int, program: Program, review: Review | None = None
    ) -> None:
        self.id = execution_id
        self.run = run
        self.program = program
        self.review = review
        self.state = ExecutionState(keep_calls=program.saga)
        self.pending: list[r.Record | None] = []
        """Records to commit; None where one was taken back before its commit."""
        self.speech: list[tuple[int, str]] = []
        """What the code logs (level as in `logging`, text), to be said after the commit."""
        self.divergence: NonDeterminismError | None = None
        self.now = 0
        self.loop = new_loop(self, zlib.crc32(f"{execution_id}/{run}".encode()))
        self.calls = Calls(self)
        self.signals = Signals(self.loop, self.decide)
        self.events = Events(self)
        self.pivoted = False
        """Whether the code has passed its pivot, as far as it has run."""
        self.on_pivot: Callable[[], None] | None = None
        """What a `deadline=` of the workflow has to do then."""
        self.patches: dict[str, bool] = {}
        """What `patched` has answered."""
        self._main: WorkflowTask[Any] | None = None
        self._started_at = 0
        self._timers: dict[int, TimerHandle] = {}
        self._unwritten_timers: dict[int, int] = {}
        """Where in `pending` they are."""
        self._silent_timers: dict[int, r.TimerSet] = {}
        """Set during a replay, with no record to meet (point 4)."""
        self._late = 0
        """How long after the moment that the code sees it goes on: timers begin only now."""
        self._timer_number = 0
        self._expected: deque[r.Decision] | None = None
        self._random: random.Random | None = None
        self.winding_up = False
        """The function is over, and the tasks that it left behind were cancelled."""
        self._over = False
        self._unreadable: tuple[int | None, int | None] = (None, None)
        """The call, or the wait for an event, whose live value the code could not read."""
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
        self.record(record)
        self._begin(record.at, arguments)
        self._run()
        self.advance_saga()

    def begin_stored(self, preamble: Sequence[r.Record], arguments: Any) -> None:
        """Begin the code of an execution that was only stored so far; a delayed one waits on."""
        for record in preamble:
            self.state.apply(record)
        self.now = self.state.started_at
        if self.state.begins_at is None:
            self._begin(self.now, arguments)
            self._run()
            self.advance_saga()

    def begin_delayed(self, now: int) -> None:
        """Begin the code of a delayed execution: its moment has come."""
        if self.state.begins_at is not None:
            self.deliver(r.Begun(self.stamp(max(now, self.state.begins_at))))

    def deliver(self, record: r.Input, value: Any = MISSING) -> None:
        """Record an input and apply it to the code."""
        self.record(record)
        self.now, self._late = record.at, 0
        if self._main is not None or self._waits_to_begin(record):
            self._feed(record, value)
            self._run()
            if self.divergence is not None:
                self._stop()
        self.advance_saga()

    def stamp(self, now: int) -> int:
        """Return the time of a record made now: an execution's time never goes back."""
        return max(now, self.now)

    def note(self, record: r.Progress) -> None:
        """Record what the code does not see."""
        self.record(record)
        self.now = getattr(record, "at", self.now)
        self.advance_saga()

    def end_at_once(self, record: r.Ended) -> None:
        """End the execution by somebody's order; its code is dropped as it stands."""
        self.record(record)
        self.evict()

    def fire_timer(self, timer: int, now: int) -> None:
        """Fire a timer if the code still waits for it."""
        if timer in self.state.timers:
            self.deliver(r.TimerFired(self.stamp(now), timer))

    def replay(self, records: Sequence[r.Record], retry: r.RetryRequested | None = None) -> None:
        """Bring a new execution to where *records*, its whole journal, leave it, at its `now`.

        *retry* is recorded after them: it takes back the failure with which they end, and the code
        may go on from there. Afterwards `divergence` is None, or says how the code differs; then
        `state` holds what the journal says, the code is evicted, and inputs are only recorded.
        """
        history = History(records if retry is None else [*records, retry])
        self.state = history.fold(keep_calls=self.program.saga)
        if retry is not None:
            self.pending.append(retry)
        resumes_at, self.now = self.now, self.state.updated_at
        if self.state.code_lives or self.review is not None:
            self._replay_code(history.turns(), history.seen_late(resumes_at))
        self.now = max(self.now, self.state.updated_at)
        if self.divergence is not None:
            self.evict()
        elif self.pending:
            self.advance_saga()

    def evict(self) -> None:
        """Drop the code's frames; nothing that their `finally` blocks ask for gets through."""
        self._main = None
        self.drop_frames()

    def drop_frames(self) -> None:
        """Close the loop and forget what waits on it."""
        self.loop.close()
        self.calls.drop()
        self.signals.drop()
        self.events.drop()
        self.on_pivot = None
        self._timers.clear()

    def advance_saga(self) -> None:
        """Let a compensating saga decide its next steps."""
        while self.state.status is Status.COMPENSATING and self._expected is None:
            decisions = saga.next_decisions(self.state, self.program, self.now)
            for decision in decisions:
                self.record(decision)
            if not decisions:
                return

    # ---- what workflow code asks for ----------------------------------------------------------

    @property
    def replaying(self) -> bool:
        """Whether a recorded past is being repeated."""
        return self._expected is not None

    @property
    def seeded_random(self) -> random.Random:
        """The execution's one source of chance, the same on every replay."""
        if self._random is None:
            run = self.state.began_in_run or self.run
            self._random = random.Random(f"{self.id}/{run}")  # noqa: S311 - not for secrets
        return self._random

    def loop_time(self) -> float:
        """Return seconds since the execution began, as of the record being applied."""
        return (self.now - self._started_at) / 1e6

    def pass_pivot(self) -> None:
        """Say that from here on nothing is undone; saying it again changes nothing."""
        self.loop.check_open()
        if self.pivoted or self.loop.is_closed():
            return
        self.pivoted = True
        self.decide(r.PivotPassed())
        if self.on_pivot is not None:
            self.on_pivot()

    def patched(self, change: str) -> bool:
        """Whether this execution has had the change from where it was first asked for."""
        self.loop.check_open()
        known = self.patches.get(change)
        if known is None:
            expected = self._expected
            if expected is None or (not expected and self._may_go_on):
                known = True
            else:
                known = r.Patched(change) in expected
            self.patches[change] = known
            if known:
                self.decide(r.Patched(change))
        return known

    def set_attributes(self, values: dict[str, str | None]) -> None:
        """Say something about the execution, by which it can be found."""
        self.loop.check_open()
        if values and not self.loop.is_closed():
            self.decide(r.AttributesSet(values))

    def deadline_passed(self, message: str) -> None:
        """Say to a person that the deadline has passed after the pivot; the code goes on."""
        if self._expected is None:
            self.record(r.IncidentRaised(self.now, Cause.DEADLINE, message))

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
            self.decide(r.TimerCancelled(number))
        else:
            self.pending[index] = None
            self.state.count -= 1
            self.state.timers.pop(number, None)

    def callback_failed(self, error: BaseException) -> None:
        """A plain callback raised; asyncio reports that and goes on, and so does this loop."""
        if self._expected is None:
            self.speech.append((40, f"a callback of the workflow raised {error_in_words(error)}"))

    # ---- deciding and comparing ---------------------------------------------------------------

    def record(self, record: r.Record) -> None:
        """Add a record to the journal."""
        self.state.apply(record)
        self.pending.append(record)

    def decide(self, decision: r.Decision) -> None:
        """Record what the code decides, or compare it with what it decided then."""
        expected = self._expected
        if expected is None:
            self.state.apply(decision)
            self.pending.append(decision)
            return
        while expected and type(expected[0]) is r.Patched and expected[0] != decision:
            expected.popleft()  # the code no longer asks: every execution has the change
        if expected and agree(expected[0], decision, self.id, self.run):
            recorded = expected.popleft()
            if self.review is not None:
                self.review.compare(recorded, decision, code_line)
        elif not expected and self._may_go_on and self.divergence is None:
            if self.review is not None:
                self.loop.halt()  # what comes now was never recorded
                return
            self._go_live()
            self.decide(decision)
        elif self.divergence is None:
            self._diverge(expected[0] if expected else None, in_words(decision))

    def _decide_timer(self, decision: r.TimerSet) -> None:
        live = self.review is None
        if self._expected is not None and not self._expected and self._may_go_on and live:
            self._go_live()
        if self._expected is None:
            if self._late:
                due_at = min(decision.due_at + self._late, FAR_FUTURE)
                decision = r.TimerSet(decision.timer, due_at)
            self._unwritten_timers[decision.timer] = len(self.pending)
            self.decide(decision)
        elif (recorded := matching_timer(self._expected, decision.timer)) is not None:
            self._expected.remove(recorded)
        else:
            self._silent_timers[decision.timer] = decision

    def _diverge(self, expected: r.Decision | None, found: str) -> None:
        self._halt(*difference(expected, found))

    def _halt(self, message: str, expected: str, found: str) -> None:
        line = code_line() if self.loop.is_running() else None
        if line is None and self._main is not None:
            line = suspended_line(self._main.get_coro())
        self.divergence = disagreement(self.id, message, expected, found, line)
        self.loop.halt()

    def unreadable(
        self, what: str, error: BaseException, call: int | None = None, wait: int | None = None
    ) -> None:
        """Say that a recorded value (of *call*, for *wait*) does not validate; the code stops."""
        if self.divergence is not None:
            return
        self._unreadable = (call, wait) if self._expected is None else (None, None)
        if self.review is not None:
            self.review.unreadable = what
        found = error_in_words(error)
        self._halt(f"today's code does not accept {what}: {found}", what, found)

    def _stop(self) -> None:
        """Make an incident of what a live call recorded and the code could not read."""
        unread, self._unreadable = self._unreadable, (None, None)
        self.evict()
        why = str(self.divergence)
        self.record(r.IncidentRaised(self.now, Cause.NON_DETERMINISM, why, *unread))

    # ---- replaying ----------------------------------------------------------------------------

    def _replay_code(self, turns: Iterator[Turn], seen_late: Mapping[int, int]) -> None:
        following = next(turns, None)
        while (turn := following) is not None:
            following = next(turns, None)
            self._expected = turn.decisions
            self._may_go_on = turn.unfinished and following is None
            for record in turn.inputs:
                if self.divergence is not None:
                    break
                self.now = max(record.at, seen_late.get(id(record), 0))
                if self.review is not None:
                    self.review.before(record)
                if self._main is not None or self._waits_to_begin(record):
                    self._feed(record, MISSING)
                self._run()
            while turn.decisions and type(turn.decisions[0]) is r.Patched:
                turn.decisions.popleft()
            if turn.decisions and self.divergence is None:
                self._diverge(turn.decisions[0], "nothing")
            if self.divergence is not None:
                break
        if self.state.code_lives and self.divergence is None and self._expected is not None:
            self._end_replay(taken_back=self._may_go_on)
        self._expected = None
        self._may_go_on = False

    def _end_replay(self, *, taken_back: bool) -> None:
        unwritten = [n for n in self._timers if n not in self.state.timers]
        if unwritten and not taken_back:
            self._diverge(None, "a wait for a timer")
            return
        if self.review is None:
            self._go_live()

    def _go_live(self) -> None:
        """The recorded past is over; the code agrees with it, whatever an incident said."""
        self._expected = None
        self._late = max(0, self.state.updated_at - self.now)
        at = self.stamp(self.state.updated_at)
        for step, incident in list(self.state.incidents.items()):
            if incident.cause == Cause.NON_DETERMINISM:
                self.record(r.IncidentResolved(at, step))
        silent, self._silent_timers = self._silent_timers, {}
        for timer in silent.values():  # cancelled before its commit by what was taken back
            self._decide_timer(timer)

    # ---- running the code ---------------------------------------------------------------------

    def _waits_to_begin(self, record: r.Input) -> bool:
        """Whether a record reaches an execution whose code has not begun: it may begin it."""
        unbegun = self.state.begins_at is not None or self._expected is not None
        return (unbegun or type(record) is r.Begun) and not self.loop.is_closed()

    def _begin(self, at: int, arguments: Any) -> None:
        self.now = self._started_at = at
        carried = self.state.carried
        within = None
        if carried is not None:
            self.signals.keep(carried.signals)
            self.events.keep(carried.events)
            if carried.deadline_at is not None:
                within = max(0.0, (carried.deadline_at - at) / 1e6)
        # In a context of its own: what surrounds a start is not there on replay.
        self._main = self.loop.create_task(
            self.program.begin(arguments, within), context=contextvars.Context()
        )

    def _begin_recorded(self, at: int) -> None:
        try:
            arguments = self.program.decode_arguments(self.state.arguments)
        except Exception as error:  # noqa: BLE001 - whatever a user's type raises
            self.unreadable("its recorded arguments", error)
            return
        self._begin(at, arguments)

    def _feed(self, record: r.Input, value: Any) -> None:
        """Hand an input to what waits for it; the loop runs it afterwards."""
        match record:
            case r.CallCompleted() | r.ChildCompleted():
                self.calls.settle(record.call, Completed(record.result, value))
            case r.CallFailed() | r.ChildFailed():
                self.calls.settle(record.call, record)
            case r.TimerFired():
                self._feed_timer(record.timer)
            case r.SignalReceived():
                self.signals.feed(record)
            case r.CancelRequested():
                self._feed_cancel()
            case r.EventReceived():
                self.events.feed(record)
            case r.Started() | r.Begun():
                if isinstance(record, r.Begun) or self.state.delayed_until is None:
                    self._begin_recorded(record.at)

    def _feed_cancel(self) -> None:
        if self._main is None:
            ending.end_unbegun(self)
        elif not self._main.done():
            self._main.cancel()

    def _feed_timer(self, timer: int) -> None:
        handle = self._timers.pop(timer, None)
        if handle is not None:
            self.loop.fire(handle)
        elif self._expected is not None and self.divergence is None:
            self._diverge(None, f"not wait for timer {timer}")

    def _run(self) -> None:
        if self.divergence is not None or self._over:
            return
        try:
            self.loop.run_until_idle()
            main = self._main
            if main is None or not main.done() or self.divergence is not None:
                return
            over = ending.wind_up(self)
        except WorkflowRefusedError as error:
            self.loop.halt()
            ending.end_with_error(self, error)
            return
        if over and not ending.settles_first(self, main) and self.divergence is None:
            ending.end(self, main)

    def finish(self, decision: r.Decision) -> None:
        """The code is over: decide its end and drop its frames."""
        if self._expected is None:
            for step in list(self.state.incidents):  # they stopped calls, not the code
                self.record(r.IncidentResolved(ending.end_time(self), step))
        self.decide(decision)
        self._over = True
        if self._expected is None:
            self._main = None
            self.drop_frames()
