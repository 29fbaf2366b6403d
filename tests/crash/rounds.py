"""One round: a folder, a share of the work, trouble at random moments, and what must hold after."""

import random
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from examples.shop.app import STORE
from tests.crash.processes import Child, ChildFailedError, Program

PHASES = ("start-up", "load", "shutdown")
LIVES_MAX = 3
VIOLATIONS_KEPT = 5
"""The first ones of a round tell what went wrong; many follow from them."""


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


class Trouble:
    """What happens to the nodes of a round and to their files, again and again until its last node.

    This class does nothing but wait for each node's end.
    """

    name: ClassVar[str]
    refuses: ClassVar[bool] = False
    """Whether a node may refuse work for a while."""
    takes_all: ClassVar[bool] = False
    """Whether it is the end of the client, too, when a node has ended."""
    loses: ClassVar[bool] = False
    """Whether what was acknowledged may be lost."""

    def __init__(self, owner: "Round") -> None:
        self.round = owner
        self.dice = owner.dice
        self.figures = owner.result.figures

    def before(self, phase: str) -> None:
        """Prepare for a node that is about to start."""

    def beneath(self, program: Program, *, node: bool) -> Program:
        """Return a process's program with what the trouble needs in the process."""
        return program

    def live(self, node: Child, phase: str) -> None:
        """See a node through to its end; when this returns it has ended."""
        node.finish()

    def after(self) -> None:
        """Do something to the files of a node that has ended, before anybody looks at them."""

    def over(self) -> None:
        """Leave the last node alone."""

    def heard(self, child: Child) -> None:
        """Take note of what a process has said in its life."""


class Round:
    """Runs one round, whose every choice follows from the seed and the round's number.

    A style of round says what its processes do, and looks at the files that they leave.
    """

    style: ClassVar[str]
    load_seconds: float
    """How long a node may have worked when it ends, at most."""

    def __init__(
        self, seed: int, number: int, trouble: type[Trouble], *, kept: bool = False
    ) -> None:
        self.name = f"{self.style} round {number} of seed {seed}, {trouble.name}"
        self.dice = random.Random(f"{seed}/{number}")
        self.phases = [PHASES[number % len(PHASES)]]
        self.phases += self.dice.choices(PHASES, k=self.dice.randrange(LIVES_MAX))
        self.kept = kept
        self.directory = Path(tempfile.mkdtemp(prefix="crash-"))
        self.store = self.directory / STORE
        self.result = Result(rounds=1)
        self.trouble = trouble(self)

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
                self.trouble.before(phase)
                node = self._spawn(self.node(), node=True)
                if client is None and (program := self.client()) is not None:
                    client = self._spawn(program, node=False)
                self.trouble.live(node, phase)
                self._heard(node)
                if client is not None and self.trouble.takes_all:
                    client.kill()
                    client.check()
                    self._heard(client)
                    client = None
                self.trouble.after()
                self.look(phase)
            self.trouble.over()
            self._finish_client(client)
            last = Child(self.last_node())
            last.finish()
            self._heard(last)
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

    def _finish_client(self, client: Child | None) -> None:
        """Let the client do what it has to; another one if it could not, or is dead."""
        if client is not None:
            client.finish()
            self._heard(client)
        if client is None or client.told("ended"):
            program = self.client()
            if program is None:
                return
            client = Child(program)
            client.finish()
            self._heard(client)
        self.look("the client's end")

    def _spawn(self, program: Program, *, node: bool) -> Child:
        return Child(self.trouble.beneath(program, node=node))

    def _heard(self, child: Child) -> None:
        if not self.trouble.refuses:
            for refusal in child.told("refused")[:1]:
                self.violated(f"a node refused work: {refusal}")
        self.trouble.heard(child)
        self.heard(child)

    def violated(self, what: str) -> None:
        """Take note of a broken promise."""
        self.result.violations.append(f"{self.name}: {what}")
