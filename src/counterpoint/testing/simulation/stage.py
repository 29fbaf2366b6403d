"""Everything that one run is made of."""

import asyncio
from datetime import timedelta

from counterpoint.app import App
from counterpoint.testing.simulation.attempts import Attempts
from counterpoint.testing.simulation.clients import Clients
from counterpoint.testing.simulation.dice import Dice
from counterpoint.testing.simulation.faults import Faults
from counterpoint.testing.simulation.judge import compare
from counterpoint.testing.simulation.ledger import LedgerStore
from counterpoint.testing.simulation.life import Life
from counterpoint.testing.simulation.loop import VirtualLoop

REHEARSED = 0.25
"""How many of the runs replace each execution by its replay after every commit."""
PASSES = 3
"""Passes of the loop after which what a commit made durable has been performed."""


class Stage:
    """The disk, the node with its lives, the clients and the world outside, under one seed."""

    def __init__(
        self, app: App, seed: int, faults: Faults, within: timedelta, *, traced: bool
    ) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.app = app
        self.loop = loop
        self.seed = seed
        self.within = within.total_seconds()
        """How long a scenario, or what it leaves behind, may take in virtual time."""
        self.traced = traced
        self.trace: list[str] = []
        self.findings: list[str] = []
        self.dice = dice = Dice(seed, faults)
        self.ledger = LedgerStore()
        self.life = Life(app, loop, dice, self.ledger, dice.random.random() < REHEARSED)
        self.attempts = Attempts(dice, self.ledger, self.note, lambda: self.life.dead)
        self.clients = Clients(self.life, dice, self.ledger, self.note)
        self.life.note = self.note
        self.ledger.on_commit = self._committed

    def note(self, line: str) -> None:
        """Add a line to the trace."""
        if self.traced:
            self.trace.append(f"{self.loop.microseconds / 1e6:12.6f}  {line}")

    def _committed(self, number: int) -> None:
        if self.traced:
            self.note(f"commit {number}: {self.ledger.newest_commit!r}")
        self.loop.call_soon(self._look, PASSES)

    def _look(self, passes: int) -> None:
        """Compare what is in memory with what was committed, once that has been performed."""
        if passes:
            self.loop.call_soon(self._look, passes - 1)
            return
        node, touched = self.life.node, self.ledger.touched
        if node is None or self.life.dead or node.fault is not None or node.committer.writing:
            touched.clear()
            return
        for resident in list(node.residents.values()):
            if resident.key not in touched or node.committer.is_dirty(resident):
                continue
            row = self.ledger.newest(resident.id)
            execution = resident.execution
            written = not (execution.pending or resident.started or resident.attributes)
            if written and execution.divergence is None and row and row.key == resident.key:
                self.findings += compare(self.ledger, execution, row)
        touched.clear()
