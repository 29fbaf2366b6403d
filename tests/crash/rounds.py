"""One round: a folder, a slice of the orders, kills at random moments, and what must hold after."""

import os
import random
import shutil
import signal
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from examples.shop import books
from examples.shop.app import open_shop
from examples.shop.catalog import Order, load_orders
from tests.crash.files import (
    Snapshot,
    Stored,
    read_store,
    repeated,
    take_snapshot,
)
from tests.crash.processes import Child, ChildFailedError, host, host_until_idle, post

PHASES = ("start-up", "load", "shutdown")
KILLS_MAX = 3
ORDERS_MIN, ORDERS_MAX = 60, 150
START_UP_SECONDS = 0.06
SECONDS_PER_ORDER = 1 / 300
SHUTDOWN_SECONDS = 0.03
READY_WITHIN_SECONDS = 20.0
VIOLATIONS_KEPT = 5
"""The first ones of a round tell what went wrong; many follow from them."""


@dataclass
class Result:
    """What one round, or many, came to."""

    rounds: int = 0
    orders: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    clean_stops: int = 0
    """Shutdowns that were over before their kill came."""
    acknowledged: int = 0
    interrupted: int = 0
    """Executions that were alive at a kill."""
    under_way: int = 0
    lost_attempts: int = 0
    incidents: int = 0
    """Executions with a step whose node died three times in a row; a person had them go on."""
    recorded: int = 0
    """Steps whose outcome was recorded at the end."""
    outcomes: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def add(self, other: "Result") -> None:
        """Add another round's figures to these."""
        self.rounds += other.rounds
        self.orders += other.orders
        self.kills += other.kills
        self.clean_stops += other.clean_stops
        self.acknowledged += other.acknowledged
        self.interrupted += other.interrupted
        self.under_way += other.under_way
        self.lost_attempts += other.lost_attempts
        self.incidents += other.incidents
        self.recorded += other.recorded
        self.outcomes += other.outcomes
        self.violations += other.violations


class Round:
    """Runs one round, whose every choice follows from the seed and the round's number."""

    def __init__(self, seed: int, number: int, template: Path) -> None:
        self.name = f"round {number} of seed {seed}"
        self.dice = random.Random(f"{seed}/{number}")
        self.phases = [PHASES[number % len(PHASES)]]
        self.phases += self.dice.choices(PHASES, k=self.dice.randrange(KILLS_MAX))
        count = self.dice.randint(ORDERS_MIN, ORDERS_MAX)
        every = load_orders()
        first = self.dice.randrange(len(every) - count)
        self.orders: list[Order] = every[first : first + count]
        self.by_client = self.dice.random() < 1 / 2
        self.directory = Path(tempfile.mkdtemp(prefix="crash-"))
        shutil.copytree(template, self.directory, dirs_exist_ok=True)
        os.environ["SHOP_DIR"] = str(self.directory)
        self.snapshots: list[Snapshot] = []
        self.acknowledged: set[str] = set()
        self.result = Result(rounds=1, orders=count)

    def run(self) -> Result:
        """Return what the round came to; the folder is kept if a promise was broken."""
        own = [] if self.by_client else self.orders
        client: Child | None = None
        try:
            for phase in self.phases:
                node = Child(host(self.directory, own))
                if self.by_client and client is None:
                    client = Child(post(self.directory, self.orders, self.name))
                self._kill(node, phase)
                self.acknowledged.update(node.told("ack"))
                self._look(phase)
            if client is not None:
                client.finish()
                self.acknowledged.update(client.told("ack"))
                self._look("the client's end")
            last = Child(host_until_idle(self.directory, own))
            last.finish()
            self.acknowledged.update(last.told("ack"))
            self.result.incidents = len(last.told("incident"))
            self._check_end()
        except ChildFailedError as error:
            self._violated(str(error))
            if client is not None and client.status is None:
                client.kill()
        broken = self.result.violations
        if broken:
            del broken[VIOLATIONS_KEPT:]
            self._violated(f"its files are in {self.directory}")
        else:
            shutil.rmtree(self.directory)
        return self.result

    def _kill(self, node: Child, phase: str) -> None:
        """Kill a node in one phase of its life."""
        moment = self.dice.random()
        if phase == "start-up":
            node.read(moment * START_UP_SECONDS)
        else:
            if not node.read(READY_WITHIN_SECONDS, until="ready"):
                node.kill()
                node.check()
                raise ChildFailedError("a node was not ready in time")
            node.read(self.dice.random() * SECONDS_PER_ORDER * len(self.orders))
        if phase == "shutdown":
            node.signal(signal.SIGTERM)
            node.read(READY_WITHIN_SECONDS, until="stopping")
            node.read(moment * SHUTDOWN_SECONDS)
        node.kill()
        node.check()
        if "done" in node.lines:
            self.result.clean_stops += 1
        else:
            self.result.kills[phase] += 1

    def _look(self, after: str) -> Stored:
        """Read the files while no node runs; a later check compares with what is there now."""
        stored = read_store(self.directory)
        self.snapshots.append(take_snapshot(self.directory, stored))
        self.result.interrupted += len(stored.live)
        self.result.under_way += len(stored.under_way)
        for id in stored.missing(self.acknowledged):
            self._violated(f"{id} was acknowledged and is not in the store after {after}")
        return stored

    def _check_end(self) -> None:
        stored = read_store(self.directory)
        for id in stored.missing(self.acknowledged):
            self._violated(f"{id} was acknowledged and is not in the store at the end")
        for id in stored.live:
            self._violated(f"{id} has not ended: it is {stored.statuses[id]}")
        for id in sorted(stored.posted):
            self._violated(f"{id} was started and has not begun")
        for snapshot in self.snapshots:
            for call in repeated(snapshot, self.directory):
                self._violated(f"a recorded step was repeated: {call}")
        verdict = books.check(self.directory)
        for violation in verdict.violations:
            self._violated(f"the books: {violation}")
        if verdict.orders != len(self.orders):
            self._violated(f"{verdict.orders} of {len(self.orders)} orders have ended in the books")
        self.result.acknowledged = len(self.acknowledged)
        self.result.lost_attempts = stored.lost_attempts
        self.result.recorded = len(stored.recorded)
        for outcome in ("confirmed", "declined", "undone"):
            self.result.outcomes[outcome] = getattr(verdict, outcome)

    def _violated(self, what: str) -> None:
        self.result.violations.append(f"{self.name}: {what}")


def make_template(directory: Path) -> None:
    """Make a folder with the services' files as a shop begins, to be copied for each round."""
    os.environ["SHOP_DIR"] = str(directory)
    open_shop()
