"""Runs one case: the saga, what goes wrong around it, and the people who put it right at last."""

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from tests.simulation import judge, leftovers, people
from tests.simulation.plans import Act, Case, Moment
from tests.simulation.services import AT_MOST_ONCE, ROOTS, app
from tests.simulation.world import EngineErrors, World, enter

from counterpoint import ExecutionNotFoundError, ExecutionRefusedError, NodeStoppedError
from counterpoint.errors import StoreBrokenError, StoreError
from counterpoint.testing import Harness
from counterpoint.testing.simulation.ledger import LedgerStore

RESTS_MAX = 600
"""Alarms after which a case is said to come to no rest."""
ROUNDS_MAX = 30
"""How often people look at what is open."""
ROOT_ID = "r"
REFUSED = (ExecutionRefusedError, ExecutionNotFoundError, NodeStoppedError, StoreError)


@dataclass
class Verdict:
    """How a case went."""

    violations: list[str]
    counts: Counter[str] = field(default_factory=Counter)
    """What it contained and how it ended."""


class Driver:
    """One case on its way."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.ledger = LedgerStore()
        self.harness = Harness(
            app, store=self.ledger, rehearse=case.rehearse, patience=timedelta(seconds=10)
        )
        self.world = World(case, self.harness, self.ledger, at_most_once=frozenset(AT_MOST_ONCE))
        self.counts: Counter[str] = Counter()
        self._crashes = iter(case.crashes)
        self._acts: set[asyncio.Task[None]] = set()
        self._rests = itertools.count(1)

    async def run(self) -> Verdict:
        """Return what the judge says."""
        errors = EngineErrors()
        logger = logging.getLogger("counterpoint")
        logger.addHandler(errors)
        enter(self.world)
        self.ledger.on_commit = self._committed
        violations = self.world.violations
        try:
            async with self.harness:
                await self._live(violations)
        except Exception as error:  # noqa: BLE001 - whatever a defect raises
            violations.append(f"the harness met {type(error).__name__}: {error}")
        finally:
            logger.removeHandler(errors)
        violations += errors.said
        return Verdict(violations, self.counts)

    async def _live(self, violations: list[str]) -> None:
        self._arm()
        await self._begin()
        await self.go_on()
        violations += judge.judge(self.world, self.ledger, self.counts)
        violations += leftovers.judge_events(self.world, self.ledger)
        violations += leftovers.left_behind(self.ledger, self.harness.app.node)
        self._count()
        if violations:
            return
        self.harness.store.heal()
        self.ledger.on_commit = lambda _: None
        self.world.calm = True
        await self._put_right()
        violations += judge.judge(self.world, self.ledger, self.counts, over=True)
        violations += leftovers.judge_events(self.world, self.ledger)
        violations += leftovers.left_behind(self.ledger, self.harness.app.node)

    # ---- going on ----------------------------------------------------------------------------

    async def go_on(self) -> None:
        """Let everything happen that happens by itself, whatever time it takes."""
        for _ in range(RESTS_MAX):
            await self._settle()
            if not self.harness.running:
                self.counts["crashes"] += 1
                await self._restart()
                continue
            number = next(self._rests)
            for moment in self.case.at_rest if not self.world.calm else ():
                if moment.at == number:
                    await self._act(moment.act, moment.target)
            await self._settle()
            at = self.harness.clock.next_alarm()
            if at is None and self.harness.running:
                return
            if at is not None:
                self.harness.clock.move_to(at)
        raise AssertionError("the case does not come to rest")

    async def _settle(self) -> None:
        await self.harness.settle()
        while self._acts:
            await asyncio.gather(*self._acts)
            await self.harness.settle()

    async def _begin(self) -> None:
        workflow = ROOTS[self.case.root]
        while not self.ledger.knows(ROOT_ID):
            if not self.harness.running:
                self.counts["crashes"] += 1
                await self._restart()
            with suppress(NodeStoppedError, StoreError):
                await self.harness.start(workflow, 0, self.case.plan, id=ROOT_ID)
            await self._settle()
            if self.harness.running and (at := self.harness.clock.next_alarm()) is not None:
                self.harness.clock.move_to(at)  # the store recovers

    async def _restart(self) -> None:
        if self.harness.running:
            self.harness.store.heal()  # it is stopped in peace
            await self.harness.restart()
            self._arm()
        else:
            self._arm()
            await self.harness.restart()

    def _arm(self) -> None:
        crash = next(self._crashes, None)
        if crash is not None and not self.world.calm:
            self.harness.crash_at_commit(crash.at, when=crash.when)

    # ---- interfering -------------------------------------------------------------------------

    def _committed(self, number: int) -> None:
        for moment in self.case.after_commits:
            if moment.at == number:
                task = asyncio.get_running_loop().create_task(self._soon(moment))
                self._acts.add(task)
                task.add_done_callback(self._acts.discard)

    async def _soon(self, moment: Moment) -> None:
        await self._act(moment.act, moment.target)

    async def _act(self, act: Act, target: int) -> None:
        ids = self.ledger.ids()
        if not ids:
            return
        chosen = ids[target % len(ids)]
        try:
            await self._perform(act, chosen)
        except REFUSED:
            self.counts[f"{act} refused"] += 1
        else:
            self.counts[f"{act} accepted"] += 1
            if act in ("cancel", "signal", "terminate"):
                self.world.accepted.append((act, chosen))

    async def _perform(self, act: Act, chosen: str) -> None:
        execution = self.harness.execution(chosen)
        what: Awaitable[object]
        match act:
            case "cancel":
                what = execution.cancel(actor="ann")
            case "terminate":
                what = execution.terminate(actor="ann")
            case "retry":
                what = execution.retry(actor="ann")
            case "signal":
                number = next(self.world.sent)
                what = execution.signal("ab"[number % 2], number)
            case "publish":
                what = people.publish(self.world, "kl"[len(self.world.published) % 2])
            case "resolve":
                what = people.resolve_something(self.world, execution)
            case "evict":
                what = self.harness.evict()
            case "restart":
                what = self._restart()
            case "break":
                self.harness.store.fail_commits(StoreBrokenError("injected"))
                return
        await what

    # ---- the end -----------------------------------------------------------------------------

    async def _put_right(self) -> None:
        """Let people do what is open, until everything has ended."""
        for _ in range(ROUNDS_MAX):
            alive = [row for row in judge.newest_rows(self.ledger) if row.status.live]
            if not alive:
                return
            done = [
                await people.put_right(self.world, self.harness.execution(row.id)) for row in alive
            ]
            await self.go_on()
            if not any(done):
                break
        self.counts["cases terminated at last"] += 1
        for _ in range(ROUNDS_MAX):
            alive = [row for row in judge.newest_rows(self.ledger) if row.status.live]
            if not alive:
                return
            with suppress(*REFUSED):
                await self.harness.execution(alive[0].id).terminate(reason="it cannot be put right")
            await self.go_on()

    def _count(self) -> None:
        if self.counts["crashes"]:
            self.counts["cases with a crash"] += 1
        if self.case.rehearse:
            self.counts["cases rehearsed"] += 1


async def run_case(case: Case) -> Verdict:
    """Run one case on the running event loop."""
    return await Driver(case).run()
