"""The lives of a node: it starts, dies, is dead for a while, and starts again on the same disk."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from counterpoint.app import App
from counterpoint.authoring.registry import Registry
from counterpoint.errors import StoreError
from counterpoint.model.settings import Settings
from counterpoint.ports.clock import Clock
from counterpoint.ports.store import Store
from counterpoint.runtime.node import Node
from counterpoint.testing.simulation.attempts import Attempts
from counterpoint.testing.simulation.dice import Dice
from counterpoint.testing.simulation.disk import Connection
from counterpoint.testing.simulation.ledger import LedgerStore
from counterpoint.testing.simulation.loop import SimulatedClock, VirtualLoop

POLL = timedelta(seconds=5)
"""How often a node looks for mail: at every look time stands still for a moment of real time."""
FOR_EVER = timedelta(days=100_000)
"""How long what has ended is kept: the judge wants to see it."""
STORM_SECONDS = 1.5
"""How soon after a start the next death of a storm comes."""


class Life:
    """Hosts an app, again and again."""

    def __init__(
        self, app: App, loop: VirtualLoop, dice: Dice, ledger: LedgerStore, rehearse: bool
    ) -> None:
        self.app = app
        self.dice = dice
        self.ledger = ledger
        self.rehearse = rehearse
        self.clock = SimulatedClock(loop)
        self.connection = Connection(ledger, dice, self.kill)
        self.births = 0
        self.deaths = 0
        self.note: Callable[[str], None] = print
        self._loop = loop
        self._skew = timedelta(0)
        self._death: asyncio.Future[None] = loop.create_future()
        self._up = asyncio.Event()
        self._storm = 0
        self._given: tuple[str | Store, Clock | None, Registry, Settings] | None = None
        self.node: Node | None = None

    # ---- the app ------------------------------------------------------------------------------

    def move_in(self, attempts: Attempts) -> None:
        """Exchange what the app runs on, until `move_out`."""
        app = self.app
        self._given = (app.store, app.clock, app.registry, app.settings)
        app.registry = attempts.instrument(app.registry)
        app.settings = replace(
            app.settings, poll_interval=POLL, keep_finished=FOR_EVER, block_warning=FOR_EVER
        )

    def move_out(self) -> None:
        """Give the app back what it had."""
        if self._given is not None:
            app = self.app
            app.store, app.clock, app.registry, app.settings = self._given
            self._given = None

    # ---- living -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Live and die until cancelled."""
        while True:
            self._death = self._loop.create_future()
            opening = self._loop.create_task(self._open())
            await asyncio.wait([opening, self._death], return_when=asyncio.FIRST_COMPLETED)
            if not opening.done():
                opening.cancel()
                await asyncio.wait([opening])
            if not opening.cancelled() and (error := opening.exception()) is not None:
                if not isinstance(error, StoreError):
                    raise error
                self.note(f"the node does not start: {error}")
                self.kill()
            await self._death
            self._up.clear()
            await self._bury()
            await asyncio.sleep(self.dice.seconds(self.dice.faults.down))

    async def up(self) -> Node:
        """Wait until the node runs, and return it."""
        await self._up.wait()
        assert self.node is not None
        return self.node

    @property
    def dead(self) -> bool:
        """Whether the node has died and is not alive again."""
        return self.connection.dead

    @property
    def quiet(self) -> bool:
        """Whether the node runs, and everything waits for time to pass or for others."""
        node = self.node
        return (
            node is not None
            and not self.dead
            and not node.stopping
            and node.fault is None
            and node.quiet
            and node.due.quiet
            and not (node.activities.running or node.activities.waiting)
        )

    def kill(self) -> None:
        """Let the node die at once."""
        if not self._death.done():
            self.note("the node dies")
            self.deaths += 1
            self.connection.dead = True
            self._death.set_result(None)

    async def restart(self) -> None:
        """Stop the node in good order; it starts again after a while."""
        if self.quiet:
            self.note("the node is stopped")
            await self.app.stop(timedelta(seconds=1))
            if not self._death.done():
                self.node = None
                self.connection.dead = True
                self._death.set_result(None)

    async def end(self) -> None:
        """Stop for good."""
        await self._bury()

    # ---- inside -------------------------------------------------------------------------------

    async def _open(self) -> None:
        self.births += 1
        self.clock = clock = SimulatedClock(self._loop)
        if self.births > 1 and self.dice.strikes("skew"):
            self._skew = self.dice.faults.skew_max * (2 * self.dice.random.random() - 1)
        clock.set_by(self._skew)
        self.connection = Connection(self.ledger, self.dice, self.kill)
        self.app.store, self.app.clock = self.connection, clock
        self._forget_positions()
        self._plan_storm()
        await self.app.__aenter__()
        # From here to the end nothing is awaited: the parts of the node have not run yet.
        self.node = node = self.app.node
        node.watchdog.stop()
        node.dice = self.dice.random
        node.rehearse = self.rehearse
        node.maintenance.clock = clock.background()
        self._up.set()
        self.note(f"the node starts for the {self.births}. time, its clock {self._skew} off")

    async def _bury(self) -> None:
        node, self.node = self.node, None
        if node is not None:
            await node.crash()  # also if it was being stopped
            await self.app.stop(timedelta(0))
            self.ledger.findings += [f"a turn failed: {one!r}" for one in node.defects]
        lost = [task for task in self.connection.inside if not task.done()]
        for task in lost:
            task.cancel()
        await asyncio.gather(*lost, return_exceptions=True)
        self.clock.stop()
        self.connection.buried = True

    def _plan_storm(self) -> None:
        more = self.births > 1 and self._storm < self.dice.faults.storm_max
        if not (more and self.dice.strikes("storm")):
            self._storm = 0
            return
        self._storm += 1
        seconds = STORM_SECONDS * self.dice.random.random() ** 4
        self._loop.call_later(seconds, self._die_of_storm, self.births)

    def _die_of_storm(self, births: int) -> None:
        if self.births == births:
            self.kill()

    def _forget_positions(self) -> None:
        """Set subscriptions back, as if their positions had not been written for a while."""
        if self.births > 1 and self.dice.strikes("redelivery"):
            rows = [row for row in self.ledger.subscribed() if not row.replay]
            position = self.dice.random.randint(0, max((row.position for row in rows), default=0))
            for row in rows:
                self.ledger.set_back(row.number, position)
