"""An app under test: in memory, on virtual time, replayed after every commit, failing on demand."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar, TypeVarTuple, Unpack

from counterpoint.app import App
from counterpoint.authoring.event import Event, contract_of
from counterpoint.authoring.registry import Registry
from counterpoint.authoring.service import Service
from counterpoint.authoring.workflow import Workflow
from counterpoint.errors import DefinitionError
from counterpoint.model.messages import EventQuery
from counterpoint.model.states import Status
from counterpoint.ports.clock import Clock
from counterpoint.ports.store import Store
from counterpoint.runtime.handle import Execution
from counterpoint.runtime.node import Node
from counterpoint.stores.memory import MemoryStore
from counterpoint.testing.clock import NEW_YEAR, VirtualClock, microseconds
from counterpoint.testing.faults import FaultyStore, When
from counterpoint.testing.injection import AttemptCall, Hold, Injection, Target
from counterpoint.testing.story import tell

R = TypeVar("R")
E = TypeVar("E", bound=Event)
Ts = TypeVarTuple("Ts")

CALM_PASSES = 5
"""Passes of the event loop in a row without work, before an app counts as idle."""
FOREVER = timedelta(days=3_650)
EVENTS_PAGE = 500


class StuckError(AssertionError):
    """An execution waits for something that the passing of time alone will not bring."""


class Harness:
    """Runs an app in memory and on virtual time, and makes it fail where a test says so.

        async with Harness(services=[orders, payments]) as harness:
            harness.fail("payments.authorize", ConnectionError("no route"), times=2)
            receipt = await harness.run(place_order, order, id="order-1")
            assert [call.attempt for call in harness.calls] == [1, 2, 3]

    `Harness(app)` hosts that very app, so that code which refers to it works; its store and its
    clock are exchanged until the harness ends. With `rehearse` every execution is replaced by its
    replay after every commit: code that a replay would not repeat fails the test.

    Time moves only by `advance`, `run`, `result` and `idle`. What activities really wait for
    (sockets, `asyncio.sleep`, files) takes its real time, in which virtual time stands still: use
    `replace`, `delay` or `hang` instead. `patience` is how long that may take.
    """

    def __init__(
        self,
        app: App | None = None,
        *,
        services: Sequence[Service] = (),
        store: Store | None = None,
        rehearse: bool = True,
        start: datetime = NEW_YEAR,
        seed: int = 0,
        patience: timedelta = timedelta(seconds=10),
        **settings: Any,
    ) -> None:
        if (app is None) == (not services):
            raise DefinitionError("Harness takes an app or services=[...], one of them")
        if app is not None and settings:
            raise DefinitionError(f"give the settings {', '.join(settings)} to the app")
        self.app = app or App("test", services=services, **settings)
        self.rehearse = rehearse
        self.clock = VirtualClock(start)
        self.store = FaultyStore(store or MemoryStore(), on_crash=self._store_crashed)
        self._injection = Injection(self.clock)
        self._dice = random.Random(seed)  # noqa: S311 - jitter of retries
        self._patience = patience.total_seconds()
        self._given: tuple[str | Store, Clock | None, Registry] | None = None
        self._node: Node | None = None
        self._crashing: asyncio.Task[None] | None = None
        self._defects: list[Exception] = []
        self.story = ""
        """What the executions did, once a test has failed in the harness."""
        self.test_failed = False
        """The test has failed outside the block of the harness, which a fixture may hold open."""

    def __repr__(self) -> str:
        return f"<harness of {self.app!r} at {self.now.isoformat()}>"

    # ---- life ---------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._exchange()
        try:
            await self._enter()
            await self.settle()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the app at once and raise what rehearsals found.

        Raises:
            NonDeterminismError: a replay did something else than the execution had done.
        """
        try:
            if self._crashing is not None:
                await self._crashing
            if (error is not None or self.test_failed) and self._node is not None:
                self.story = await tell(self.app)
            self.store.heal()  # what was armed and not reached is not for the stop itself
            await self.app.stop(timedelta(0))
        finally:
            self._leave()
            self._give_back()
            self.store.heal()
        self._check()

    @property
    def now(self) -> datetime:
        """The present in virtual time (UTC)."""
        return self.clock.time

    @property
    def calls(self) -> list[AttemptCall]:
        """Every attempt that began, compensations and reactions too, oldest first."""
        return self._injection.calls

    @property
    def running(self) -> bool:
        """Whether the node runs: not after a crash or a stop."""
        return self._node is not None and not self._node.stopping

    async def stop(self, within: timedelta | None = None) -> None:
        """Stop the node as `app.stop` does; *within* is real time."""
        await self.app.stop(within)
        self._leave()
        self._check()

    async def crash(self) -> None:
        """Let the node die: nothing more is written, what ran is cut off."""
        await self._die()
        self._check()

    def crash_at_commit(self, number: int, *, when: When = "before") -> None:
        """Let the node die at commit *number*, counted from now, before or after it is written.

        With `applied-but-failed` it lives on: the commit is written, but the store reports that it
        does not know, and the node has to find out.
        """
        self.store.crash_at(number, when=when)

    async def restart(self, *, services: Sequence[Service] = ()) -> None:
        """Start the node again, on the same store and clock; stop it first if it runs.

        *services*, if given, are what is deployed from now on: other code on the same journals.
        """
        if self._crashing is not None:
            await self._crashing
        await self.app.stop(timedelta(0))
        if self._crashing is not None:  # an armed crash met a commit of the stop itself
            await self._crashing
        self._leave()
        if services:
            limit = self.app.settings.payload_bytes_max
            deployed = Registry(services, payload_bytes_max=limit)
            self.app.registry = self._injection.instrument(deployed)
        await self._enter()
        await self.settle()

    async def evict(self) -> None:
        """Drop every idle execution from memory; it comes back when something arrives for it."""
        await self.settle()
        node = self.app.node
        for resident in list(node.idle_residents.values()):
            node.evict(resident)
        await self.settle()

    # ---- work ---------------------------------------------------------------------------------

    async def start(
        self,
        workflow: Workflow[R, Unpack[Ts]],
        *args: Unpack[Ts],
        id: str | None = None,
        delay: float | timedelta | None = None,
        at: datetime | None = None,
        correlation_id: str | None = None,
    ) -> Execution[R]:
        """Start an execution and let the app do what it can without time passing."""
        self._check()
        execution = await self.app.start(
            workflow, *args, id=id, delay=delay, at=at, correlation_id=correlation_id
        )
        await self.settle()
        return execution

    async def run(
        self,
        workflow: Workflow[R, Unpack[Ts]],
        *args: Unpack[Ts],
        id: str | None = None,
        delay: float | timedelta | None = None,
        at: datetime | None = None,
        correlation_id: str | None = None,
        within: timedelta = FOREVER,
    ) -> R:
        """Start an execution and move time on until it ends; return its result.

        Raises:
            ExecutionFailed: it ended without a result.
            StuckError: it waits for a signal or a person, or longer than *within*.
        """
        self._check()
        execution = await self.app.start(
            workflow, *args, id=id, delay=delay, at=at, correlation_id=correlation_id
        )
        return await self.result(execution, within=within)

    async def result(self, execution: Execution[R], *, within: timedelta = FOREVER) -> R:
        """Move time on until an execution ends, and return its result.

        Raises:
            ExecutionFailed: it ended without a result.
            StuckError: it waits for a signal or a person, or longer than *within*.
        """
        until = self.clock.now() + microseconds(within)
        await self.settle()
        waiting = asyncio.ensure_future(execution.result())
        try:
            while True:
                await self.settle()
                if waiting.done():
                    return await waiting
                await self._pass_time(execution, until)
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    def execution(self, id: str) -> Execution[Any]:
        """Return a handle on the execution of that id."""
        return self.app.execution(id)

    # ---- events -------------------------------------------------------------------------------

    async def publish(
        self, *events: Event, id: str | None = None, correlation_id: str | None = None
    ) -> tuple[str, ...]:
        """Publish events and let the app do what it can without time passing; return their ids.

        Reactions run, and what they return is published; one that failed waits for `advance` or
        `idle`, which bring the time of its next attempt.

            await harness.publish(OrderPlaced(order_id="1"))
            await harness.idle()
            assert await harness.published(PaymentAuthorized) == [PaymentAuthorized(order_id="1")]
        """
        self._check()
        ids = await self.app.publish(*events, id=id, correlation_id=correlation_id)
        await self.settle()
        return ids

    async def published(self, type: type[E], key: str | None = None) -> list[E]:
        """Return the events of a type that are in the log (those of one key), oldest first."""
        await self.settle()
        contract = contract_of(type)
        query = EventQuery(types=(contract.type,), key=key, limit=EVENTS_PAGE)
        found: list[E] = []
        while rows := await self.store.events(query):
            decode, codec = contract.decode, self.app.codec
            found += [decode(codec.decode(row.data), row.version) for row in rows]
            query = replace(query, after=rows[-1].position)
        return found

    # ---- time ---------------------------------------------------------------------------------

    async def advance(
        self,
        duration: timedelta | None = None,
        *,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
        milliseconds: float = 0,
    ) -> None:
        """Move time on, from one alarm to the next; the app settles at each of them.

        await harness.advance(hours=1)
        """
        span = duration or timedelta(0)
        span += timedelta(
            days=days, hours=hours, minutes=minutes, seconds=seconds, milliseconds=milliseconds
        )
        if span < timedelta(0):
            raise ValueError("time does not go back")
        until = self.clock.now() + microseconds(span)
        await self.settle()
        while (at := self.clock.next_alarm()) is not None and at <= until:
            self.clock.move_to(at)
            await self.settle()
        self.clock.move_to(until)
        await self.settle()

    async def idle(self, *, within: timedelta = FOREVER) -> None:
        """Move time on until nothing runs, is ready to run, or waits for a retry.

        Raises:
            StuckError: it did not come to that within *within*.
        """
        until = self.clock.now() + microseconds(within)
        waiting = asyncio.ensure_future(self.app.idle())
        try:
            while True:
                await self.settle()
                if waiting.done():
                    return await waiting
                at = self.clock.next_alarm()
                if at is None or at > until:
                    raise StuckError("the app does not become idle")
                self.clock.move_to(at)
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    async def settle(self) -> None:
        """Let everything happen that can happen without time passing.

        Raises:
            StuckError: an activity really waits for something, longer than `patience`.
            NonDeterminismError: a replay did something else than the execution had done.
        """
        deadline = time.monotonic() + self._patience
        calm = passes = 0
        while calm < CALM_PASSES:
            blocked = self._blocked_by()
            calm = calm + 1 if blocked is None else 0
            passes += 1
            if blocked is not None and time.monotonic() > deadline:
                raise StuckError(
                    f"{blocked or 'the engine'} still runs after {self._patience:g} s of real "
                    "time, in which virtual time stands still: use harness.hang, delay or replace"
                )
            await asyncio.sleep(0.001 if blocked and passes > 100 else 0)
        self._check()

    async def sleep(self, duration: float | timedelta) -> None:
        """Wait in virtual time (seconds or a timedelta), in a function given to `replace`."""
        await self._injection.sleep(timedelta(microseconds=microseconds(duration)))

    # ---- faults -------------------------------------------------------------------------------

    def fail(
        self,
        target: Target,
        error: BaseException | type[BaseException],
        *,
        times: int | None = 1,
        after: bool = False,
    ) -> None:
        """Let the next attempts of an activity, compensation or reaction raise *error*.

        So many *times*; None stands for all of them.

        With *after* the function runs first, so that its effects have happened.
        """
        self._injection.add_failure(
            self._injection.name_of(target), error, after=after, times=times
        )

    def delay(self, target: Target, by: timedelta, *, times: int | None = None) -> None:
        """Let attempts wait in virtual time before they run."""
        if by <= timedelta(0):
            raise ValueError("a delay takes some time")
        self._injection.add_delay(self._injection.name_of(target), by, times)

    def hang(self, target: Target, *, times: int | None = 1) -> Hold:
        """Let the next attempts hang until they time out or are released."""
        return self._injection.add_hold(self._injection.name_of(target), times)

    def replace(self, target: Target, function: Callable[..., Any]) -> None:
        """Run *function* instead; it gets the arguments by name. `def` and `async def` both do."""
        self._injection.replace(self._injection.name_of(target), function)

    def restore(self, target: Target | None = None) -> None:
        """Take back every failure, delay, hold and replacement of one name, or of all."""
        self._injection.restore(None if target is None else self._injection.name_of(target))

    # ---- inside -------------------------------------------------------------------------------

    def _exchange(self) -> None:
        app = self.app
        self._given = (app.store, app.clock, app.registry)
        app.store = self.store
        app.clock = self.clock
        app.registry = self._injection.instrument(app.registry)

    def _give_back(self) -> None:
        if self._given is not None:
            self.app.store, self.app.clock, self.app.registry = self._given
            self._given = None

    async def _enter(self) -> None:
        await self.app.__aenter__()
        # The node's tasks have not run yet: opening a store does not await anything here.
        self._node = node = self.app.node
        node.rehearse = self.rehearse
        node.dice = self._dice
        node.maintenance.clock = self.clock.background()

    def _leave(self) -> None:
        self._injection.abandon()
        if self._node is not None:
            self._defects += self._node.defects
            self._node = None

    def _store_crashed(self) -> None:
        self._crashing = asyncio.get_running_loop().create_task(self._crash())

    async def _crash(self) -> None:
        try:
            await self._die()
        finally:
            self._crashing = None

    async def _die(self) -> None:
        if self._node is not None:
            await self._node.crash()
            await self.app.stop()
            self._leave()

    def _check(self) -> None:
        """Raise what rehearsals found; once."""
        if self._node is not None:
            self._defects += self._node.defects
            self._node.defects.clear()
        if self._defects:
            first, *others = self._defects
            self._defects = []
            for other in others:
                first.add_note(f"and: {other!r}")
            raise first

    def _blocked_by(self) -> str | None:
        """Return what still happens without time passing; empty for the engine itself."""
        if self._crashing is not None:
            return ""
        node = self._node
        if node is None or node.stopping:
            return None
        if not node.quiet:
            return ""
        for attempt in node.activities.running:
            if not self._injection.is_parked(attempt):
                return attempt.work.name
        return None

    async def _pass_time(self, execution: Execution[Any], until: int) -> None:
        row = await self.store.execution(execution.id)
        at = self.clock.next_alarm()
        if at is None or at > until or (row is not None and row.status is Status.INCIDENT):
            waits = (await execution.describe()).waits_for
            raise StuckError(
                f"{execution.id} waits for {' and '.join(waits) or 'nothing that is known'}"
            )
        self.clock.move_to(at)
