"""The nodes of one store, as processes that can be killed, stopped and continued."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.crash.processes import Child, ChildFailedError, Program
from tests.nodes.attempts import now

READY_WITHIN_SECONDS = 30.0
STOPPED_WITHIN_SECONDS = 30.0
GLANCE_SECONDS = 0.002
STOPS_ITSELF = "stops itself"
"""What a process says that stops in the middle of a commit, as it was asked to."""


class Departure(NamedTuple):
    """How a process ended that was told to stop."""

    name: str
    """Of its member."""
    pid: int
    how: str
    """What it was told with."""
    seconds: float
    """From when it was told until it was gone."""
    status: int
    """As `os.waitpid` tells it."""
    last: Sequence[str]
    """What it said at last."""


@dataclass
class Member:
    """A place for a node, and the processes that had it one after the other."""

    name: str
    hosts: Sequence[str]
    child: Child | None = None
    stands: bool = False
    """The process is stopped (SIGSTOP)."""
    begins_at: float = 0.0
    """When a new process may begin, where there is none."""
    leaves: tuple[str, float] | None = None
    """With what the process was told to stop, and when."""
    lines: list[str] = field(default_factory=list)
    """What earlier processes said."""

    @property
    def pid(self) -> int:
        """The process that there is."""
        assert self.child is not None
        return self.child.pid


@dataclass
class Cluster:
    """Some members, what begins a process of each, and what became of the processes."""

    members: Sequence[Member]
    program: Callable[[Member], Program]
    killed: dict[int, int] = field(default_factory=dict[int, int])
    """When processes were killed, in microseconds, by their ids."""
    stops: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])
    """Processes that stood still: id, from when, until when."""
    ended: list[str] = field(default_factory=list)
    """How processes ended that nobody had told to."""
    departures: list[Departure] = field(default_factory=list[Departure])
    _stopped_at: dict[int, int] = field(default_factory=dict[int, int])

    def begin(self) -> None:
        """Begin a process for every member, and wait until all are ready.

        Raises:
            ChildFailedError: one is not.
        """
        for member in self.members:
            self.start(member)
        for member in self.members:
            self.wait_until_ready(member)

    def start(self, member: Member) -> None:
        """Begin a member's next process."""
        assert member.child is None
        member.child = Child(self.program(member))

    def wait_until_ready(self, member: Member) -> None:
        """Wait until a member's process is a node.

        Raises:
            ChildFailedError: it failed, or was not ready in time.
        """
        child = member.child
        assert child is not None
        if not child.read(READY_WITHIN_SECONDS, until="ready"):
            said = "\n".join(child.lines[-30:])
            raise ChildFailedError(f"{member.name} was not ready in time:\n{said}")

    def kill(self, member: Member) -> None:
        """SIGKILL a member's process."""
        self.go_on(member)
        child = member.child
        assert child is not None
        self.killed[child.pid] = now()
        child.kill()
        self._leave(member, child)

    def stop(self, member: Member, number: int = signal.SIGSTOP) -> None:
        """Stop a member's process: at once, or (SIGUSR1) in its next commit."""
        assert member.child is not None
        member.child.signal(number)
        member.stands = True
        self._stopped_at[member.pid] = now()

    def go_on(self, member: Member) -> None:
        """Continue a member's process, if it is stopped."""
        if member.stands:
            member.stands = False
            self.stops.append((member.pid, self._stopped_at.pop(member.pid), now()))
            os.kill(member.pid, signal.SIGCONT)

    def part(self, member: Member, how: str, tell: Callable[[Member], None]) -> None:
        """Tell a member's process to stop, as nodes are told; `glance` sees how it ends."""
        member.leaves = how, time.monotonic()
        tell(member)

    def glance(self) -> None:
        """Read what processes say, and note those that have ended.

        Raises:
            ChildFailedError: one failed, or does not stop although it was told to.
        """
        for member in self.members:
            child = member.child
            if child is None or member.stands:
                continue
            child.read(GLANCE_SECONDS)
            if child.lines[-1:] == [STOPS_ITSELF]:  # later than it was to go on
                child.signal(signal.SIGCONT)
            if child.closed:
                child.finish()  # raises what it failed with
                if member.leaves is None:
                    said = [line for line in child.lines if line.startswith(("refused", "down"))]
                    self.ended.append(f"{member.name}: {said[-1] if said else child.lines[-3:]}")
                self._leave(member, child)
            elif member.leaves and time.monotonic() > member.leaves[1] + STOPPED_WITHIN_SECONDS:
                raise _does_not_stop(member, child)

    def end(self) -> None:
        """Tell all processes to stop (SIGTERM), and wait until they have.

        Raises:
            ChildFailedError: one failed, or did not stop in time.
        """
        running = [member for member in self.members if member.child is not None]
        for member in running:
            self.go_on(member)
            member.leaves = member.leaves or ("SIGTERM in the end", time.monotonic())
            os.kill(member.pid, signal.SIGTERM)
            os.kill(member.pid, signal.SIGCONT)
        until = time.monotonic() + STOPPED_WITHIN_SECONDS
        for member in running:
            child = member.child
            assert child is not None
            child.read(max(0.1, until - time.monotonic()), until="done")
            if not child.closed and "done" not in child.lines and "error" not in child.lines:
                raise _does_not_stop(member, child)
            child.finish()
            self._leave(member, child)

    def abandon(self) -> None:
        """Kill what is left."""
        for member in self.members:
            if member.child is not None:
                self.kill(member)

    def told(self, word: str) -> Iterator[str]:
        """Return what the processes said after a word."""
        for member in self.members:
            now_said = [] if member.child is None else member.child.lines
            for line in (*member.lines, *now_said):
                if line.startswith(f"{word} "):
                    yield line.removeprefix(f"{word} ")

    def _leave(self, member: Member, child: Child) -> None:
        if member.leaves is not None and child.pid not in self.killed:
            assert child.status is not None
            how, told_at = member.leaves
            seconds = time.monotonic() - told_at
            last = child.lines[-2:]
            self.departures.append(
                Departure(member.name, child.pid, how, seconds, child.status, last)
            )
        member.lines += child.lines
        member.child = None
        member.stands = False
        member.leaves = None


def _does_not_stop(member: Member, child: Child) -> ChildFailedError:
    return ChildFailedError(f"{member.name} does not stop:\n{child.lines[-5:]}")
