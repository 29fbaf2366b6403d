"""Runs attempts of activities and compensations, and reports how each ended exactly once.

An attempt is a task. It ends by itself, by its timeout (which a heartbeat starts anew), by being
cancelled because the workflow no longer waits for it, or by the node's stop. Only the first three
are reported: what a stopping node cuts off is found again, as a lost attempt, by the next one.

Timeouts are kept in one queue per duration: attempts with the same timeout run out in the order in
which they began, so that arming one costs an append and no timer of the event loop.
"""

import asyncio
import functools
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any

from counterpoint.authoring.attempt import current_attempt
from counterpoint.authoring.business import BusinessError
from counterpoint.authoring.failures import failure_of
from counterpoint.errors import (
    ArgumentsError,
    DefinitionError,
    NotDone,
    NotInActivityError,
    NotInWorkflowError,
    PayloadError,
    PayloadTooLargeError,
    RetryAfter,
)
from counterpoint.model.outcomes import Outcome, Raised
from counterpoint.model.records import Failure
from counterpoint.ports.clock import Alarm, Clock
from counterpoint.runtime.attempt import NEVER, Attempt, Work
from counterpoint.runtime.limits import Limits
from counterpoint.runtime.log import logger
from counterpoint.runtime.threads import Threads
from counterpoint.runtime.transactions import Transactions

FINAL = (
    PayloadError,
    ArgumentsError,
    DefinitionError,
    NotInActivityError,
    NotInWorkflowError,
    SystemExit,
)
"""Errors that another attempt cannot mend, whatever the policy says."""
GRACE = 10_000_000
"""Microseconds that an attempt gets to end after its timeout has cancelled it."""
Report = Callable[[Attempt, Outcome], None]


class Activities:
    """At most `max_running` attempts at once, of each activity and service as its limits say."""

    def __init__(
        self,
        clock: Clock,
        threads: Threads,
        *,
        max_running: int,
        report: Report,
        transactions: Transactions | None = None,
    ) -> None:
        self.clock = clock
        self.threads = threads
        self.max_running = max_running
        self.report = report
        self.transactions = transactions
        if transactions is not None:
            transactions.freed = self._begin_more
        self.running: dict[Attempt, None] = {}
        self._waiting: dict[str, deque[Attempt]] = {}
        self._waiting_total = 0
        self.limits = Limits(clock, self._begin_more)
        self._in_threads = 0
        self._timeouts: dict[int, deque[tuple[int, Attempt]]] = {}
        self._alarm_at = NEVER
        self._alarm: Alarm | None = None
        self._stopping = False
        self._put_off: list[Attempt] = []
        """Attempts that did not begin because of the stop."""

    # ---- what the node does -------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Attempts that wait for their turn."""
        return self._waiting_total

    def start(self, attempt: Attempt) -> None:
        """Run an attempt now, or when there is room for it."""
        if self._stopping:
            self._put_off.append(attempt)
        elif self._is_next(attempt) and self._has_room(attempt.work):
            self._begin(attempt)
        else:
            self._waiting.setdefault(attempt.work.name, deque()).append(attempt)
            self._waiting_total += 1

    def cancel(self, attempt: Attempt) -> None:
        """End an attempt that nobody waits for any more; its outcome is reported as usual."""
        attempt.cancelled = True
        if attempt.task is not None:
            if attempt.entered:
                attempt.task.cancel()
            return
        queue = self._waiting.get(attempt.work.name)
        if queue is not None and attempt in queue:
            queue.remove(attempt)
            if not queue:
                del self._waiting[attempt.work.name]
            self._waiting_total -= 1
            self._report(attempt, Raised(_CANCELLED, final=True, may_have_happened=False))

    def forget(self, attempt: Attempt) -> None:
        """End an attempt whose outcome nobody may hear any more."""
        attempt.reported = True
        if attempt.transaction is not None:  # it succeeded, and nobody has committed that yet
            attempt.transaction.abandon()
        self.cancel(attempt)

    async def stop(self, within: float) -> None:
        """Begin nothing more, let what runs finish for *within* seconds, then cut it off."""
        self._stopping = True
        self.limits.stop()
        self._put_off += [attempt for queue in self._waiting.values() for attempt in queue]
        self._waiting.clear()
        self._waiting_total = 0
        tasks = [a.task for a in self.running if a.task is not None]
        if tasks and within > 0:
            await asyncio.wait(tasks, timeout=within)
        for attempt in list(self.running):
            self.forget(attempt)
        tasks = [task for task in tasks if not task.done()]
        if tasks:
            await asyncio.wait(tasks, timeout=1.0)

    def take_put_off(self) -> list[Attempt]:
        """Return the attempts that a stop kept from beginning, once."""
        put_off, self._put_off = self._put_off, []
        return put_off

    # ---- inside -------------------------------------------------------------------------------

    def _is_next(self, attempt: Attempt) -> bool:
        """Whether nothing of the same name waits already, and the node can run one more."""
        waiting = self._waiting_total and attempt.work.name in self._waiting
        return not waiting and len(self.running) < self.max_running

    def _has_room(self, work: Work) -> bool:
        transactions = self._transactions_of(work)
        if transactions is not None and not transactions.room:
            return False
        if not work.is_async and self._in_threads >= self.threads.threads_max:
            return False
        return not work.limits or self.limits.has_room(work)

    def _transactions_of(self, work: Work) -> Transactions | None:
        return None if work.transaction is None else self.transactions

    def _begin(self, attempt: Attempt) -> None:
        work = attempt.work
        self.running[attempt] = None
        if not work.is_async:
            self._in_threads += 1
        if work.limits:
            self.limits.enter(work)
        if (transactions := self._transactions_of(work)) is not None:
            transactions.reserve(attempt)
        if work.timeout_us is not None:
            self._arm(attempt, work.timeout_us)
        attempt.task = asyncio.get_running_loop().create_task(
            self.run_attempt(attempt), context=Context()
        )

    async def run_attempt(self, attempt: Attempt) -> None:
        """The task of one attempt; the watchdog knows it by its code."""
        outcome: Outcome | None = None
        attempt.entered = True
        try:
            if attempt.cancelled:
                outcome = Raised(_CANCELLED, final=True, may_have_happened=False)
            elif attempt.timed_out:
                timeout = self._timeout_failure(attempt.work)
                outcome = Raised(timeout, may_have_happened=False)
            else:
                outcome = await self._outcome(attempt)
        except asyncio.CancelledError:
            outcome = self._cut_off(attempt)
        except BaseException as error:  # noqa: BLE001 - SystemExit in an activity is its failure
            outcome = self._settled(attempt, error)
        finally:
            self._end(attempt)
        if outcome is not None:
            self._report(attempt, outcome)

    async def _outcome(self, attempt: Attempt) -> Outcome:
        try:
            arguments = attempt.decode()
        except Exception as error:  # noqa: BLE001 - whatever a user's type raises
            failure = failure_of(error, attempt.work.service)
            return Raised(failure, final=True, may_have_happened=False)
        current_attempt.set(attempt)
        function: Any = attempt.work.function
        if (transactions := self._transactions_of(attempt.work)) is not None:
            return await transactions.run(attempt, arguments)
        if attempt.work.is_async:
            value = await function(**arguments)
        else:
            value = await self._in_thread(attempt, functools.partial(function, **arguments))
        return attempt.encode(value)

    async def _in_thread(self, attempt: Attempt, function: Callable[[], Any]) -> Any:
        """Wait for a thread, which nothing can stop: only the attempt's timeout gives it up."""
        attempt.thread = thread = self.threads.submit(function)
        while True:
            try:
                return await asyncio.shield(thread)
            except asyncio.CancelledError:
                if attempt.timed_out or attempt.reported or not attempt.cancelled:
                    raise

    def _settled(self, attempt: Attempt, error: BaseException) -> Outcome:
        """Return the outcome of what was raised, whatever it is: no attempt stays open."""
        try:
            return self._raised(attempt, error)
        except Exception as defect:
            logger.exception("%s raised something that cannot be described", attempt.work.name)
            message = f"{type(error).__name__} cannot be described: {type(defect).__name__}"
            return Raised(Failure("counterpoint.UnknownError", message))

    def _raised(self, attempt: Attempt, error: BaseException) -> Outcome:
        work = attempt.work
        if isinstance(error, BusinessError):
            return self._business(attempt, error)
        if attempt.timed_out:
            return Raised(self._timeout_failure(work))
        if isinstance(error, NotDone):
            return Raised(failure_of(error.__cause__ or error, work.service), False, False)
        if isinstance(error, RetryAfter):
            return Raised(
                failure_of(error.__cause__ or error, work.service), retry_after=error.delay
            )
        final = isinstance(error, (*work.retry.stop_on, *FINAL))
        return Raised(failure_of(error, work.service), final=final)

    def _business(self, attempt: Attempt, error: BusinessError) -> Outcome:
        failure = failure_of(error, attempt.work.service)
        size = len(bytes(failure.facts))
        if size > attempt.payload_bytes_max:
            what = f"the facts of {failure.type}"
            limit = attempt.payload_bytes_max
            refused = PayloadTooLargeError(what, size_bytes=size, limit_bytes=limit)
            failure = failure_of(refused, attempt.work.service)
        return Raised(failure, final=True, may_have_happened=False)

    def _cut_off(self, attempt: Attempt) -> Outcome | None:
        if attempt.timed_out:
            return Raised(self._timeout_failure(attempt.work))
        if attempt.cancelled:
            return Raised(_CANCELLED, final=True)
        if self._stopping:
            return None
        cancelled_itself = Failure("asyncio.CancelledError", "the activity cancelled itself")
        return Raised(cancelled_itself)

    def _timeout_failure(self, work: Work) -> Failure:
        seconds = work.timeout.total_seconds() if work.timeout is not None else 0
        return Failure("builtins.TimeoutError", f"the attempt took longer than {seconds:g} s")

    def _end(self, attempt: Attempt) -> None:
        del self.running[attempt]
        attempt.ends_at = NEVER
        attempt.task = None  # its context holds the attempt: a cycle for every attempt
        work = attempt.work
        if work.limits:
            self.limits.leave(work)
        if not work.is_async:
            self._leave_thread(attempt)
        if (transactions := self._transactions_of(work)) is not None:
            transactions.ended(attempt)
        self._begin_more()

    def _leave_thread(self, attempt: Attempt) -> None:
        thread = attempt.thread
        if thread is None or thread.done():
            self._in_threads -= 1
            return
        threads = self.threads
        threads.lost += 1
        thread.add_done_callback(self._thread_back)
        logger.warning(
            "%s goes on in its thread after its attempt ended: %d of %d threads are lost",
            attempt.work.name,
            threads.lost,
            threads.threads_max,
        )
        if threads.exhausted:
            logger.error(
                "all %d threads hang in `def` activities that timed out: no other `def` activity "
                "can run until one returns; `async def` ones go on",
                threads.threads_max,
            )

    def _thread_back(self, thread: "asyncio.Future[Any]") -> None:
        if not thread.cancelled():
            thread.exception()
        if self.threads.exhausted:
            logger.warning("a thread has returned: `def` activities go on")
        self.threads.lost -= 1
        self._in_threads -= 1
        self._begin_more()

    def _begin_more(self) -> None:
        if self._waiting_total and not self._stopping:
            self._begin_waiting()

    def _begin_waiting(self) -> None:
        """Fill the free places, one of each activity in turn, so that none starves the others."""
        progress = True
        while progress and self._waiting:
            progress = False
            for name in list(self._waiting):
                if len(self.running) >= self.max_running:
                    return
                queue = self._waiting[name]
                if not self._has_room(queue[0].work):
                    continue
                self._waiting[name] = self._waiting.pop(name)
                attempt = queue.popleft()
                if not queue:
                    del self._waiting[name]
                self._waiting_total -= 1
                self._begin(attempt)
                progress = True

    def _report(self, attempt: Attempt, outcome: Outcome) -> None:
        if not attempt.reported:
            attempt.reported = True
            self.report(attempt, outcome)
        elif attempt.transaction is not None:  # nobody hears that it succeeded
            attempt.transaction.abandon()

    # ---- time ---------------------------------------------------------------------------------

    def _arm(self, attempt: Attempt, timeout: int) -> None:
        attempt.ends_at = self.clock.now() + timeout
        queue = self._timeouts.get(timeout)
        if queue is None:
            queue = self._timeouts[timeout] = deque()
        while queue and queue[0][1].ends_at == NEVER:
            queue.popleft()
        if len(queue) > 2 * len(self.running) + 1_000:
            queue = deque(entry for entry in queue if entry[1].ends_at != NEVER)
            self._timeouts[timeout] = queue
        queue.append((attempt.ends_at, attempt))
        self._set_alarm(attempt.ends_at)

    def _set_alarm(self, at: int) -> None:
        if at < self._alarm_at:
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm_at = at
            self._alarm = self.clock.call_at(at, self._look)

    def _look(self) -> None:
        """Time out what is due; put off what sent a heartbeat since its entry was made."""
        now = self.clock.now()
        self._alarm_at = NEVER
        for timeout, queue in list(self._timeouts.items()):
            while queue and (queue[0][1].ends_at == NEVER or queue[0][0] <= now):
                ends_at, attempt = queue.popleft()
                if attempt.ends_at == NEVER:
                    continue
                if attempt.ends_at > ends_at:
                    index = len(queue)
                    while index and queue[index - 1][0] > attempt.ends_at:
                        index -= 1
                    queue.insert(index, (attempt.ends_at, attempt))
                else:
                    self._time_out(attempt)
            if queue:
                self._set_alarm(queue[0][0])
            else:
                del self._timeouts[timeout]

    def _time_out(self, attempt: Attempt) -> None:
        """End an attempt; one that goes on all the same is given up after a while."""
        if attempt.timed_out:
            logger.error(
                "%s goes on %d s after its timeout: it is given up, and whatever it still does is "
                "not recorded; let CancelledError pass",
                attempt.work.name,
                GRACE // 1_000_000,
            )
            self._report(attempt, Raised(self._timeout_failure(attempt.work)))
            return
        attempt.timed_out = True
        attempt.ends_at = self.clock.now() + GRACE
        self._timeouts.setdefault(GRACE, deque()).append((attempt.ends_at, attempt))
        self._set_alarm(attempt.ends_at)
        if attempt.task is not None and attempt.entered:
            attempt.task.cancel()  # one that was never entered would not report: it looks itself

    def prolong(self, attempt: Attempt) -> None:
        """Start an attempt's timeout anew: it sent a heartbeat."""
        timeout = attempt.work.timeout_us
        if timeout is not None and attempt.ends_at != NEVER and not attempt.timed_out:
            attempt.ends_at = self.clock.now() + timeout


_CANCELLED = Failure("asyncio.CancelledError", "the call was cancelled")
