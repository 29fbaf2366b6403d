"""Rounds with an orchestrator: the shop's sagas, started by a node or by a client beside it."""

import asyncio
import os
import random
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from examples.shop import books
from examples.shop.app import execution_id, make_app, open_shop, place_order
from examples.shop.catalog import Order, load_orders
from examples.shop.process import Receipt
from tests.crash.files import (
    Snapshot,
    Stored,
    read_store,
    repeated,
    take_snapshot,
    unannounced,
)
from tests.crash.hosting import insist, until_over
from tests.crash.kills import Kills
from tests.crash.processes import Child, Program, Say
from tests.crash.rounds import Round, Trouble

from counterpoint import App, Execution, ExecutionFailed, NodeStoppedError, Status
from counterpoint.runtime.client import Client

ORDERS_MIN, ORDERS_MAX = 60, 150
SECONDS_PER_ORDER = 1 / 300
IN_FLIGHT = 32
IDLE_WITHIN_SECONDS = 30.0
PAUSE_SECONDS_MAX = 0.008


class OrchestratedRound(Round):
    """Takes a slice of the shop's orders through the saga."""

    style = "orchestrated"

    def __init__(
        self,
        seed: int,
        number: int,
        template: Path,
        trouble: type[Trouble] = Kills,
        *,
        kept: bool = False,
    ) -> None:
        super().__init__(seed, number, trouble, kept=kept)
        count = self.dice.randint(ORDERS_MIN, ORDERS_MAX)
        every = load_orders()
        first = self.dice.randrange(len(every) - count)
        self.orders: list[Order] = every[first : first + count]
        self.load_seconds = SECONDS_PER_ORDER * count
        by_client = self.dice.random() < 1 / 2
        self.own: list[Order] = [] if by_client else self.orders
        """Those that nodes start; a client starts the others."""
        shutil.copytree(template, self.directory, dirs_exist_ok=True)
        os.environ["SHOP_DIR"] = str(self.directory)
        self.snapshots: list[Snapshot] = []
        self.acknowledged: set[str] = set()
        self.result.figures["orders"] = count

    def node(self) -> Program:
        return host(self.directory, self.own)

    def client(self) -> Program | None:
        return None if self.own else post(self.directory, self.orders, self.name)

    def last_node(self) -> Program:
        return host_until_idle(self.directory, self.own)

    def heard(self, child: Child) -> None:
        self.acknowledged.update(child.told("ack"))
        incidents = "incidents (a step lost three times), retried"
        self.result.figures[incidents] += len(child.told("incident"))

    def look(self, after: str) -> None:
        stored = read_store(self.directory)
        if self.trouble.loses:
            self._forget(stored)
        self.snapshots.append(take_snapshot(self.directory, stored))
        figures = self.result.figures
        figures["executions that a kill interrupted"] += len(stored.live)
        figures["steps under way at a kill"] += len(stored.under_way)
        for id in stored.missing(self.acknowledged):
            self.violated(f"{id} was acknowledged and is not in the store after {after}")
        if not self.trouble.loses:
            for call in unannounced(self.directory, stored):
                self.violated(f"an effect of what is not recorded after {after}: {call}")

    def _forget(self, stored: Stored) -> None:
        """Expect no more of the store than what is left of it."""
        lost = stored.missing(self.acknowledged)
        self.acknowledged.difference_update(lost)
        self.snapshots.clear()
        self.result.figures["acknowledged starts lost with the log"] += len(lost)

    def check_end(self) -> None:
        stored = read_store(self.directory)
        self._check_executions(stored)
        verdict = books.check(self.directory)
        if self.trouble.loses:  # what was lost may have been undone, and is done now
            self.result.figures["rules of the books broken by what was lost"] += len(
                verdict.violations
            )
            return
        for violation in verdict.violations:
            self.violated(f"the books: {violation}")
        if verdict.orders != len(self.orders):
            self.violated(f"{verdict.orders} of {len(self.orders)} orders have ended in the books")
        figures = self.result.figures
        figures["acknowledged starts, all ended"] = len(self.acknowledged)
        figures["attempts recorded as lost"] = stored.lost_attempts
        figures["steps recorded at the end"] = len(stored.recorded)
        for outcome in ("confirmed", "declined", "undone"):
            figures[f"  {outcome}"] = getattr(verdict, outcome)

    def _check_executions(self, stored: Stored) -> None:
        for id in stored.missing(self.acknowledged):
            self.violated(f"{id} was acknowledged and is not in the store at the end")
        for id in stored.live:
            self.violated(f"{id} has not ended: it is {stored.statuses[id]}")
        for id in sorted(stored.posted):
            self.violated(f"{id} was started and has not begun")
        for snapshot in self.snapshots:
            for call in repeated(snapshot, self.directory):
                self.violated(f"a recorded step was repeated: {call}")


def make_template(directory: Path) -> None:
    """Make a folder with the services' files as a shop begins, to be copied for each round."""
    os.environ["SHOP_DIR"] = str(directory)
    open_shop()


def host(directory: Path, orders: Sequence[Order]) -> Program:
    """Be a node that starts orders, until SIGTERM."""

    async def program(say: Say) -> None:
        over = until_over(say)
        async with make_app(directory) as app:
            say("ready")
            submitting = asyncio.create_task(_submit(app, orders, say))
            await over(app.node)
            say("stopping")
            submitting.cancel()
        say("stopped")

    return program


def host_until_idle(directory: Path, orders: Sequence[Order]) -> Program:
    """Be a node that starts orders, retries incidents, and ends when all executions have ended."""

    async def program(say: Say) -> None:
        async with make_app(directory) as app:
            submitting = asyncio.create_task(_submit(app, orders, say))
            await app.idle(timeout=IDLE_WITHIN_SECONDS)  # incidents do not count
            for summary in [s async for s in app.executions(status=Status.INCIDENT)]:
                say(f"incident {summary.id}")
                await app.execution(summary.id).retry(reason="the crashes are over")
            await submitting
            await app.idle(timeout=IDLE_WITHIN_SECONDS)

    return program


def post(directory: Path, orders: Sequence[Order], seed: str) -> Program:
    """Be a client that starts orders at an uneven pace, whether a node is there or not."""

    async def program(say: Say) -> None:
        dice = random.Random(seed)
        async with make_app(directory).client() as client:
            for order in orders:
                await _start(client, order, say)
                await asyncio.sleep(dice.uniform(0, PAUSE_SECONDS_MAX))

    return program


async def _submit(app: App, orders: Sequence[Order], say: Say) -> None:
    places = asyncio.Semaphore(IN_FLIGHT)

    async def one(order: Order) -> None:
        async with places:
            execution = await _start(app, order, say)
            with suppress(ExecutionFailed, NodeStoppedError):
                await execution.result()

    await asyncio.gather(*(one(order) for order in orders))


async def _start(client: Client, order: Order, say: Say) -> Execution[Receipt]:
    execution = await insist(lambda: client.start(place_order, order, id=execution_id(order)), say)
    say(f"ack {execution.id}")
    return execution
