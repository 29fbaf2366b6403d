"""Kills: SIGKILL at a random moment of a node's start-up, its load or its shutdown."""

import signal

from tests.crash.processes import Child, ChildFailedError
from tests.crash.rounds import PHASES, Round, Trouble

START_UP_SECONDS = 0.06
SHUTDOWN_SECONDS = 0.03
READY_WITHIN_SECONDS = 20.0
CLEAN_STOPS = "shutdowns over before their kill"


class Kills(Trouble):
    """Kills every node but the last."""

    name = "kills"

    def __init__(self, owner: Round) -> None:
        super().__init__(owner)
        for phase in PHASES:
            self.figures[f"kills during {phase}"] = 0
        self.figures[CLEAN_STOPS] = 0

    def live(self, node: Child, phase: str) -> None:
        moment = self.dice.random()
        if phase == "start-up":
            node.read(moment * START_UP_SECONDS)
        else:
            wait_until_ready(node)
            node.read(self.dice.random() * self.round.load_seconds)
        if phase == "shutdown":
            node.signal(signal.SIGTERM)
            node.read(READY_WITHIN_SECONDS, until="stopping")
            node.read(moment * SHUTDOWN_SECONDS)
        node.kill()
        node.check()
        self.figures[CLEAN_STOPS if "done" in node.lines else f"kills during {phase}"] += 1


def wait_until_ready(node: Child) -> None:
    """Wait until a node is ready.

    Raises:
        ChildFailedError: it failed, or was not ready in time.
    """
    if not node.read(READY_WITHIN_SECONDS, until="ready"):
        node.kill()
        node.check()
        raise ChildFailedError("a node was not ready in time")
