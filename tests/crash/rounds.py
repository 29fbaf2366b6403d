"""One round: a folder, a share of the work, kills at random moments, and what must hold after."""

import random
import shutil
import signal
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from tests.crash.processes import Child, ChildFailedError, Program

PHASES = ("start-up", "load", "shutdown")
KILLS_MAX = 3
START_UP_SECONDS = 0.06
SHUTDOWN_SECONDS = 0.03
READY_WITHIN_SECONDS = 20.0
VIOLATIONS_KEPT = 5
"""The first ones of a round tell what went wrong; many follow from them."""
CLEAN_STOPS = "shutdowns over before their kill"


@dataclass
class Result:
    """What one round, or many, came to."""

    rounds: int = 0
    figures: Counter[str] = field(default_factory=Counter)
    """By what they count, in the order in which they are shown."""
    violations: list[str] = field(default_factory=list)

    def add(self, other: "Result") -> None:
        """Add another round's figures to these."""
        self.rounds += other.rounds
        for name, count in other.figures.items():
            self.figures[name] += count
        self.violations += other.violations


class Round:
    """Runs one round, whose every choice follows from the seed and the round's number.

    A style of round says what its processes do, and looks at the files that they leave.
    """

    style: ClassVar[str]
    load_seconds: float
    """How long a node may have worked when it is killed, at most."""

    def __init__(self, seed: int, number: int, *, kept: bool = False) -> None:
        self.name = f"{self.style} round {number} of seed {seed}"
        self.dice = random.Random(f"{seed}/{number}")
        self.phases = [PHASES[number % len(PHASES)]]
        self.phases += self.dice.choices(PHASES, k=self.dice.randrange(KILLS_MAX))
        self.kept = kept
        self.directory = Path(tempfile.mkdtemp(prefix="crash-"))
        self.result = Result(rounds=1)
        for phase in PHASES:
            self.result.figures[f"kills during {phase}"] = 0
        self.result.figures[CLEAN_STOPS] = 0

    # ---- what a style of round says -----------------------------------------------------------

    def node(self) -> Program:
        """Return what the next node does, until SIGTERM."""
        raise NotImplementedError

    def client(self) -> Program | None:
        """Return what a client does that starts after the first node, if there is one."""
        raise NotImplementedError

    def last_node(self) -> Program:
        """Return what the node does that finishes everything."""
        raise NotImplementedError

    def heard(self, child: Child) -> None:
        """Take note of what a process has said in its life."""
        raise NotImplementedError

    def look(self, after: str) -> None:
        """Look at the files while no node runs, and remember what is there."""
        raise NotImplementedError

    def check_end(self) -> None:
        """Look at the files when everything is over."""
        raise NotImplementedError

    # ---- the course of a round ----------------------------------------------------------------

    def run(self) -> Result:
        """Return what the round came to; the folder is kept if a promise was broken."""
        client: Child | None = None
        try:
            for phase in self.phases:
                node = Child(self.node())
                if client is None and (program := self.client()) is not None:
                    client = Child(program)
                self._kill(node, phase)
                self.heard(node)
                self.look(phase)
            if client is not None:
                client.finish()
                self.heard(client)
                self.look("the client's end")
            last = Child(self.last_node())
            last.finish()
            self.heard(last)
            self.check_end()
        except ChildFailedError as error:
            self.violated(str(error))
            if client is not None and client.status is None:
                client.kill()
        broken = self.result.violations
        if broken or self.kept:
            del broken[VIOLATIONS_KEPT:]
            (self.violated if broken else print)(f"its files are in {self.directory}")
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
            node.read(self.dice.random() * self.load_seconds)
        if phase == "shutdown":
            node.signal(signal.SIGTERM)
            node.read(READY_WITHIN_SECONDS, until="stopping")
            node.read(moment * SHUTDOWN_SECONDS)
        node.kill()
        node.check()
        self.result.figures[CLEAN_STOPS if "done" in node.lines else f"kills during {phase}"] += 1

    def violated(self, what: str) -> None:
        """Take note of a broken promise."""
        self.result.violations.append(f"{self.name}: {what}")
