"""What happens to the nodes and the server of a round while it works, every few seconds.

A node is killed (SIGKILL), and another process takes its place at once or after its lease; or it
stands still (SIGSTOP), for less or for longer than its lease, at any moment or just before one of
its commits reaches the server. The server is restarted as people do, and as a machine that fails.
Or nothing fails, and there is one deploy after the other: a node is told to stop, with SIGTERM or
as `counterpoint drain` does, and another process takes its place when it has.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.nodes.attempts import now as wall_now
from tests.nodes.cluster import Cluster, Member
from tests.nodes.server import MODES, Server

DEPLOY = "deploy"
"""Trouble in which nothing may be lost."""
TROUBLES = ("nodes", "server", "both", DEPLOY)
PAUSE_SECONDS = (1.5, 4.0)
RESTARTS_MAX = 4
"""Of the server in one round; a node that meets many waits longer each time before it goes on."""
SERVER_PAUSE_SECONDS = (3.0, 7.0)
DEPLOY_PAUSE_SECONDS = (1.0, 2.0)
KILLS = "nodes killed"
LONG_STOPS = "nodes stopped for longer than their lease"
COMMIT_STOPS = "  of these, just before a commit"
"""Counted by what the processes say: one that has nothing to commit goes on."""
SHORT_STOPS = "nodes stopped for a moment"
RESTARTS = {mode: f"restarts of the server, {mode}" for mode in MODES}
SIGTERM = "nodes told to stop with SIGTERM"
DRAINED = "nodes told to hand over and stop"
FIGURES = (KILLS, LONG_STOPS, COMMIT_STOPS, SHORT_STOPS, *RESTARTS.values(), SIGTERM, DRAINED)


@dataclass
class Troubles:
    """Makes trouble for a cluster; `step` is called again and again."""

    cluster: Cluster
    server: Server
    kind: str
    lease: float
    spared: int
    """So many nodes at least are left alone at any time."""
    dice: random.Random
    figures: Counter[str]
    drain: Callable[[Member], None]
    """Asks a member's node to hand over and stop."""
    restarts: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    """How and when the server was restarted."""
    _ends: dict[str, float] = field(default_factory=dict[str, float])
    """When members that stand still go on, by their names."""
    _next: dict[str, float] = field(default_factory=dict[str, float])

    def __post_init__(self) -> None:
        for name in FIGURES:
            self.figures[name] += 0
        if self.kind in ("nodes", "both"):
            self._put_off("nodes", PAUSE_SECONDS)
        if self.kind in ("server", "both"):
            self._put_off("server", SERVER_PAUSE_SECONDS)
        if self.kind == DEPLOY:
            self._put_off(DEPLOY, DEPLOY_PAUSE_SECONDS)

    def step(self) -> None:
        """Do what it is time for."""
        self.mend(at_once=False)
        now = time.monotonic()
        if now > self._next.get("nodes", now):
            self._put_off("nodes", PAUSE_SECONDS)
            self._meet_a_node()
        if now > self._next.get("server", now) and len(self.restarts) < RESTARTS_MAX:
            self._put_off("server", SERVER_PAUSE_SECONDS)
            mode = self.dice.choice(MODES)
            self.restarts.append((mode, wall_now()))
            self.server.restart(mode)
            self.figures[RESTARTS[mode]] += 1
        if now > self._next.get(DEPLOY, now):
            self._put_off(DEPLOY, DEPLOY_PAUSE_SECONDS)
            self._deploy()

    def mend(self, *, at_once: bool = True) -> None:
        """Continue what stands still and begin what is not there, now or when its time has come."""
        now = time.monotonic()
        for member in self.cluster.members:
            if member.stands and (at_once or now > self._ends[member.name]):
                self.cluster.go_on(member)
            if member.child is None and (at_once or now > member.begins_at):
                self.cluster.start(member)

    def _put_off(self, what: str, seconds: tuple[float, float]) -> None:
        self._next[what] = time.monotonic() + self.dice.uniform(*seconds)

    def _meet_a_node(self) -> None:
        there = [one for one in self.cluster.members if one.child is not None and not one.stands]
        if len(there) <= self.spared:
            return
        member = self.dice.choice(there)
        does: list[Callable[[Member], None]] = [self._kill, self._kill, self._stop]
        does += [self._stop_in_commit, self._stop_in_commit, self._stop_for_a_moment]
        self.dice.choice(does)(member)

    def _deploy(self) -> None:
        """Tell a node to stop, with SIGTERM and as `counterpoint drain` does in turn."""
        there = [one for one in self.cluster.members if one.child and one.leaves is None]
        ready = [one for one in there if one.child and "ready" in one.child.lines]
        if len(there) <= self.spared or not ready:
            return
        member = self.dice.choice(ready)
        how = DRAINED if self.figures[SIGTERM] > self.figures[DRAINED] else SIGTERM
        self.figures[how] += 1
        self.cluster.part(member, how, self.drain if how is DRAINED else _terminate)

    def _kill(self, member: Member) -> None:
        self.cluster.kill(member)
        self.figures[KILLS] += 1
        again = self.dice.choice((0.0, self.dice.uniform(1.0, 2.0) * self.lease))
        member.begins_at = time.monotonic() + again

    def _stop(self, member: Member) -> None:
        self._stand(member, self.lease + self.dice.uniform(1.2, 3.0))
        self.figures[LONG_STOPS] += 1

    def _stop_in_commit(self, member: Member) -> None:
        self._stand(member, self.lease + self.dice.uniform(1.5, 3.0), signal.SIGUSR1)
        self.figures[LONG_STOPS] += 1

    def _stop_for_a_moment(self, member: Member) -> None:
        self._stand(member, self.dice.uniform(0.05, 0.7) * self.lease)
        self.figures[SHORT_STOPS] += 1

    def _stand(self, member: Member, seconds: float, number: int = signal.SIGSTOP) -> None:
        self.cluster.stop(member, number)
        self._ends[member.name] = time.monotonic() + seconds


def _terminate(member: Member) -> None:
    os.kill(member.pid, signal.SIGTERM)
