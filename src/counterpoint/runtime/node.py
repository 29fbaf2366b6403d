"""A node: hosts services, keeps executions in memory, and turns what happens into commits.

The life of an input: it is pushed onto `turns`; one plain callback of the event loop, the *turn*,
hands all of them to their executions in order of arrival (never inside a task: see `kernel.loop`);
executions that recorded something are committed together (`committer`), and only then is performed
what they decided: attempts begin, alarms are set, waiters learn results.
"""

import asyncio
import functools
import random
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from contextvars import Context
from typing import Any

from counterpoint.authoring.registry import Registry
from counterpoint.errors import (
    CounterpointError,
    NodeStoppedError,
)
from counterpoint.model.outcomes import Outcome
from counterpoint.model.rows import ExecutionRow, MailRow
from counterpoint.model.settings import Settings
from counterpoint.model.states import Status
from counterpoint.ports.clock import Clock
from counterpoint.ports.codec import Codec
from counterpoint.ports.store import Store
from counterpoint.runtime import inputs
from counterpoint.runtime.activities import Activities
from counterpoint.runtime.attempt import Attempt
from counterpoint.runtime.cluster import cluster_of
from counterpoint.runtime.committer import Committer
from counterpoint.runtime.distant_results import DistantResults
from counterpoint.runtime.due import DueScan
from counterpoint.runtime.effects import Effects
from counterpoint.runtime.entrance import Entrance
from counterpoint.runtime.faults import Faults
from counterpoint.runtime.idle import Idlers
from counterpoint.runtime.intake import Intake
from counterpoint.runtime.keys import Keys
from counterpoint.runtime.loading import Loading, Then
from counterpoint.runtime.log import logger
from counterpoint.runtime.maintenance import Maintenance
from counterpoint.runtime.membership import Membership, hosting_of
from counterpoint.runtime.messaging.attempt import ReactionAttempt
from counterpoint.runtime.messaging.messaging import Messaging
from counterpoint.runtime.recovery import is_fatal, newest_time
from counterpoint.runtime.remote import RemoteCalls
from counterpoint.runtime.resident import Finished, Resident
from counterpoint.runtime.results import Results
from counterpoint.runtime.threads import Threads
from counterpoint.runtime.transactions import Transactions, check_transactions
from counterpoint.runtime.turns import Handler, Turns
from counterpoint.runtime.watchdog import Watchdog


class Node:
    """The executions of one store, on one event loop."""

    def __init__(
        self,
        registry: Registry,
        store: Store,
        clock: Clock,
        codec: Codec,
        settings: Settings,
        name: str = "",
    ) -> None:
        self.registry = registry
        self.store = store
        self.cluster = cluster_of(store)
        """The store as several nodes see it; None where one node hosts it."""
        self.name = name
        """The app's."""
        self.drained = asyncio.Event()
        """Set when somebody has asked this node to hand over and stop."""
        self.clock = clock
        self.codec = codec
        self.settings = settings
        self.dice = random.Random()  # noqa: S311 - jitter of retries
        self.residents: dict[str, Resident] = {}
        self.idle_residents: OrderedDict[str, Resident] = OrderedDict()
        self.fault: BaseException | None = None
        """Why the node takes no work at the moment."""
        self.stopping = False
        self.rehearse = False
        """Replace every execution by its replay after every commit (tests)."""
        self.defects: list[Exception] = []
        """What a turn raised although nothing may raise there; collected while rehearsing."""
        self.results = Results()
        self.entrance = Entrance()
        self.keys = Keys(store, self.check_accepting)
        self.idlers = Idlers(self._is_idle)
        self._tasks: list[asyncio.Task[None]] = []
        self._stop: asyncio.Task[None] | None = None
        self._errands: set[asyncio.Task[Any]] = set()
        self.starting: dict[str, asyncio.Future[None]] = {}
        """Starts that are not durable yet, by id: a second one waits for the first."""
        self._build()

    def _build(self) -> None:
        settings = self.settings
        self.threads = Threads(settings.threads_max)
        self.transactions = Transactions(self.store)
        self.effects = Effects(self)
        self.loading = Loading(self)
        self.arrived = self.loading.arrived
        self.activities = Activities(
            self.clock,
            self.threads,
            max_running=settings.max_running,
            report=self._attempt_ended,
            transactions=self.transactions,
        )
        self.activities.limits.shared = self.cluster is not None
        self.messaging = Messaging(self, self.registry)
        self.committer = Committer(
            self.store,
            self.clock,
            self.codec,
            perform=self.effects.perform,
            refused=self._refused,
            failed=self.store_failed,
            committed=self.check_idle,
            posted=lambda: self.intake.poke(),
            appended=self.messaging.appended,
            contracts=self.messaging.new_contracts,
            settle=settings.settle,
            transactions=self.transactions,
            again=self.effects.attempt_ended,
        )
        self.due = DueScan(
            self.store,
            self.clock,
            room=self.room,
            load=self.loading.load_due,
            failed=self.store_failed,
            rested=self.check_idle,
        )
        self.faults = Faults(self)
        self.remote: RemoteCalls = RemoteCalls(self)
        self.intake: Intake = Intake(self)
        has_fault = lambda: self.fault is not None  # noqa: E731
        self.maintenance = Maintenance(self.store, self.clock, settings.keep_finished, has_fault)
        self.watchdog = Watchdog(settings.block_warning)
        self.membership: Membership | None = None
        self.distant_results: DistantResults | None = None
        if self.cluster is not None:
            hosting = hosting_of(self.name, settings.node, self.registry, self.remote.names)
            self.membership = Membership(self, self.cluster, hosting)
            self.distant_results = DistantResults(self, self.cluster)

    # ---- life ---------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the store as its node and begin to work.

        Raises:
            StoreError: the store cannot be opened; see `ports.store`.
        """
        self._loop = asyncio.get_running_loop()
        self.turns = Turns(self.clock, self, self._defect)
        check_transactions(self.registry, self.store)
        await self.store.open(node=True)
        try:
            if self.membership is not None:
                await self.membership.open()
            self.committer.newest = await newest_time(self.store, self.clock)
            self.due.restart(self.committer.newest)
            await self.messaging.open()
        except BaseException:
            await self.store.close()
            raise
        for run in self._runs():
            task = self._loop.create_task(run(), context=Context())
            task.add_done_callback(self.faults.part_ended)
            self._tasks.append(task)
        self.watchdog.start(self._loop)
        self.messaging.begin()
        self.spawn(self.loading.try_stopped())

    def _runs(self) -> Sequence[Callable[[], Coroutine[Any, Any, None]]]:
        """Return what runs for as long as the node does."""
        parts = (self.committer, self.due, self.intake, self.maintenance, self.messaging.streams)
        runs = [part.run for part in parts]
        if self.membership is not None:
            runs += [self.membership.run, *self.remote.runs]
        if self.distant_results is not None:
            runs.append(self.distant_results.run)
        if self.messaging.sharing is not None:
            runs.append(self.messaging.sharing.shares.run)
        return runs

    async def stop(self, within: float | None = None) -> None:
        """Take no more work, let attempts finish, leave the rest to the next start.

        Who is cancelled while it waits for this does not stop the stop.
        """
        if self._stop is None:
            if self.stopping:
                return  # it crashed
            self.stopping = True
            self._stop = self._loop.create_task(self._stop_work(within), context=Context())
        await asyncio.wait([self._stop])  # which is not cancelled with who waits for it
        if not self._stop.cancelled():  # else the node crashed while it stopped
            self._stop.result()

    async def _stop_work(self, within: float | None) -> None:
        self.due.stop()
        self.remote.hand_back()
        seconds = self.settings.stop_within.total_seconds() if within is None else within
        await self.activities.stop(seconds)
        await self.turns.last()
        await self.remote.cut_off()
        if self.fault is None:
            await self.messaging.last_positions()
            await self.committer.flush()
        while self.fault is None and (put_off := self.activities.take_put_off()):
            now = self.clock.now()
            for attempt in put_off:
                if isinstance(attempt, ReactionAttempt):
                    self.messaging.dispatcher.deliveries.postpone(attempt)
                else:
                    inputs.postpone(self, now, attempt)
            await self.committer.flush()
        await self._end()

    def drain(self) -> None:
        """Hand over and stop: somebody has asked for it."""
        self.drained.set()
        self.keep(self._loop.create_task(self.stop(), context=Context()))

    async def crash(self) -> None:
        """Stop as if the process had died: nothing more is written (tests)."""
        self.stopping = True
        self.due.stop()
        for task in (*self._tasks, *([] if self._stop is None else [self._stop])):
            task.cancel()
        self.remote.drop()
        self.committer.drop(NodeStoppedError("the node crashed"))
        await self.activities.stop(0)
        await self._end()

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.committer.drop(NodeStoppedError("the node stopped"))
        self.watchdog.stop()
        self.threads.close()
        self.messaging.forget_all()
        self.drop_residents()
        self.results.stop("the node stopped before the execution ended; it goes on later")
        self.check_idle()
        await self.store.close()

    # ---- starting and reading -----------------------------------------------------------------

    def check_accepting(self) -> None:
        """Raise if the node takes no work now.

        Raises:
            NodeStoppedError: it is stopping, or its store failed; the message says why.
        """
        if self.stopping:
            raise NodeStoppedError("the node is stopping and takes no more work")
        if self.fault is not None:
            raise NodeStoppedError(f"the node takes no work: {self.fault}") from self.fault

    async def next_key(self) -> int:
        """Return a key for a new execution."""
        return await self.keys.next()

    def finish(self, resident: Resident, finished: Finished) -> None:
        """An execution has ended: drop it and tell those who wait."""
        self.drop(resident)
        self.intake.beginnings.look_again(resident.id)
        if finished.status is not Status.CONTINUED:  # then they wait for the next run's
            self.results.tell(resident.id, finished)

    def post(self, mail: MailRow) -> "asyncio.Future[None]":
        """Write mail; the future is set when it is durable."""
        self.check_accepting()
        return self.committer.post(mail)

    def _attempt_ended(self, attempt: Attempt, outcome: Outcome) -> None:
        if isinstance(attempt, ReactionAttempt):
            self.messaging.dispatcher.deliveries.attempt_ended(attempt, outcome)
        else:
            self.effects.attempt_ended(attempt, outcome)

    async def idle(self) -> None:
        """Wait until nothing runs, is ready to run, or waits for a retry.

        Raises:
            NodeStoppedError: the node stays down.
        """
        if self.fault is not None and is_fatal(self.fault):
            self.check_accepting()
        await self.idlers.wait(self.remote.any_out if self.cluster is not None else None)

    def check_idle(self) -> None:
        """Wake those who wait for the node to be idle, if it is."""
        self.idlers.check()

    @property
    def unhosted(self) -> set[str]:
        """Workflows and activities that no service of this app has."""
        return self.loading.unhosted

    @property
    def quiet(self) -> bool:
        """Whether everything has happened that can without an attempt's end or time passing."""
        return (
            self.turns.quiet
            and self.loading.quiet
            and not (self._errands or self.starting)
            and self.committer.quiet
            and self.due.resting
            and self.intake.quiet
            and self.messaging.quiet
            and self.remote.quiet
            and (self.membership is None or self.membership.quiet)
        )

    def _is_idle(self) -> bool:
        return self.stopping or (
            self.fault is None
            and self.quiet
            and self.due.quiet
            and not (self.activities.running or self.activities.waiting or self.remote.waiting)
            and not self.messaging.waits_for_retry
            and not any(r.waits_for_retry for r in self.residents.values())
        )

    # ---- turns --------------------------------------------------------------------------------

    def push(self, handle: Handler, *args: Any) -> None:
        """Hand something to an execution in the next turn: `handle(node, now, *args)`."""
        self.turns.push(handle, *args)

    def _defect(self, args: tuple[Any, ...], error: Exception) -> None:
        logger.error("an input could not be applied; its execution is left alone", exc_info=error)
        if self.rehearse:
            self.defects.append(error)
        for met in args:
            if isinstance(met, Resident):
                self._give_up(met, error)
            elif isinstance(met, ExecutionRow):  # it was being brought into memory
                if (half := self.residents.get(met.id)) is not None:
                    self._give_up(half, error)
                self.loading.set_aside(met.id, f"the engine failed at it: {error}")
                self.loading.not_loaded(met.id)

    def _give_up(self, resident: Resident, error: Exception) -> None:
        """A defect of the engine met one execution: drop it unwritten, go on with the others."""
        resident.execution.take_pending()
        resident.taken, resident.changes = [], None  # they go with the records
        self._leave(resident)
        if resident.started is not None and not resident.started.done():
            resident.started.set_exception(CounterpointError("the engine failed; see the log"))
        self.loading.set_aside(resident.id, f"the engine failed at it: {error}")

    def _leave(self, resident: Resident) -> None:
        for attempt in list(resident.attempts.values()):
            self.activities.forget(attempt)
        self.drop(resident)

    def spawn(self, errand: Coroutine[Any, Any, Any]) -> None:
        """Run something short beside the turns; the node is not idle before it is done."""
        task = self._loop.create_task(errand, context=Context())
        self._errands.add(task)
        task.add_done_callback(self._errand_done)

    def _errand_done(self, task: asyncio.Task[Any]) -> None:
        self._errands.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("an errand of the node failed", exc_info=task.exception())
        self.check_idle()

    def call_threadsafe(self, callback: Callable[..., object], *args: Any) -> None:
        """Call something on the node's event loop, from any thread."""
        self._loop.call_soon_threadsafe(
            functools.partial(callback, *args), context=self.turns.context
        )

    # ---- memory -------------------------------------------------------------------------------

    def room(self) -> int:
        """Return how many more executions may become busy in memory."""
        taken = len(self.residents) + len(self.starting)
        return self.settings.max_resident - taken + len(self.idle_residents)

    def adopt(self, resident: Resident) -> None:
        """Keep an execution in memory."""
        self.residents[resident.id] = resident

    def drop(self, resident: Resident) -> None:
        """Drop an execution's code and forget it; whoever needs it reads it from the store."""
        if self.residents.get(resident.id) is resident:
            del self.residents[resident.id]
        if self.idle_residents.get(resident.id) is resident:
            del self.idle_residents[resident.id]
        resident.release()
        self.due.feed(self.settings.max_resident // 4)

    def settle(self, resident: Resident) -> None:
        """Note whether an execution is idle, and evict the one idle longest if memory is full."""
        if self.residents.get(resident.id) is not resident:
            return
        if not (resident.idle and not self.committer.is_dirty(resident)):
            self.idle_residents.pop(resident.id, None)
            return
        self.idle_residents[resident.id] = resident
        self.idle_residents.move_to_end(resident.id)
        if resident.reload:
            self.reload(resident)
            return
        self.due.feed(self.settings.max_resident // 4)
        while len(self.residents) > self.settings.max_resident and self._evict_oldest():
            pass

    def _evict_oldest(self) -> bool:
        """Evict what has been idle longest and still is; what got a letter since is not."""
        for oldest in self.idle_residents.values():
            if oldest.idle and not self.committer.is_dirty(oldest):
                self.evict(oldest)
                return True
        return False

    def evict(self, resident: Resident) -> None:
        """Drop an idle execution; it comes back when something arrives for it."""
        waits = resident.waits_for_others
        self.drop(resident)
        if not waits:
            self.due.reconsider(resident.wake_at)

    def reload(self, resident: Resident) -> None:
        """Bring an execution back with today's code, once nothing of it runs or is unwritten."""
        resident.reload = True
        if resident.idle and not self.committer.is_dirty(resident):
            self.evict(resident)
            self.spawn(self.load(resident.id))

    def set_alarm(self, resident: Resident, at: int) -> None:
        """Look at an execution's timers and retries at that moment."""
        self.effects.set_alarm(resident, at)

    def read_again(self, mail: MailRow) -> None:
        """Read a letter again: its execution left memory before the letter reached it."""
        self.intake.again(mail)

    async def load(self, execution_id: str, then: Then | None = None) -> Resident | None:
        """Return an execution in memory, read from the store if need be; see `runtime.loading`."""
        return await self.loading.load(execution_id, then)

    def drop_residents(self, why: str = "the node stopped") -> None:
        """Forget the executions in memory; the store has them."""
        for resident in list(self.residents.values()):
            self.drop(resident)
        self.residents.clear()
        self.idle_residents.clear()
        self.turns.clear()
        for starting in self.starting.values():
            if not starting.done():
                starting.set_exception(NodeStoppedError(f"{why}: it may have begun"))
        self.loading.give_up()

    # ---- failures of the store ----------------------------------------------------------------

    def _refused(self, resident: Resident, error: Exception) -> None:
        """The store took nothing of what an execution recorded: it goes on at the next start."""
        self._leave(resident)
        if resident.started is None:
            self.loading.set_aside(resident.id, f"it could not be written: {error}")
        elif not resident.started.done():
            resident.started.set_exception(error)

    def store_failed(self, error: BaseException) -> None:
        """Believe nothing in memory and read the store again; see `runtime.faults`."""
        self.faults.store_failed(error)

    def drop_everything(self, error: BaseException) -> None:
        """Forget all that is in memory; whoever waits for it hears *error*."""
        self.intake.drop()
        self.remote.drop()
        self.committer.drop(error)
        self.messaging.forget_all()
        for resident in list(self.residents.values()):
            self._leave(resident)
        self.drop_residents(f"the store failed ({error})")

    def keep(self, task: asyncio.Task[None]) -> None:
        """End a task with the node."""
        self._tasks.append(task)

    def owns(self, row: ExecutionRow) -> bool:
        """Whether an execution is this node's to run."""
        return self.cluster is None or row.owner == self.cluster.incarnation
