"""What a machine does to a node: it stands still, its disk is full or fails, its power goes.

Each kind of trouble says what must hold besides what its rounds judge anyway:

* *pauses*: a node that stands still (SIGSTOP), also in the middle of a commit, keeps its store: a
  second one is refused, with the number of the process that has it. It goes on when it may;
* *full disk*: what cannot be written is refused with an error that says why, the log says it too,
  and the node goes on by itself when there is room;
* *sync errors*: a node whose log could not be synced says so and stays down;
* *power cuts*: of what was not synced the disk keeps anything or nothing;
* *cut logs*: of a log that lost its end a node finds exactly the commits that are whole.
"""

import logging
import os
import shutil
import signal
from pathlib import Path

from examples.shop.app import make_app
from tests.crash import wal
from tests.crash.disk import Disk, Kind
from tests.crash.files import read_store
from tests.crash.kills import READY_WITHIN_SECONDS, Kills, wait_until_ready
from tests.crash.power import PowerCut
from tests.crash.processes import Child, Program, Say
from tests.crash.rounds import Round, Trouble

from counterpoint import StoreError
from counterpoint.errors import StoreLockedError

STOPPED_WITHIN_SECONDS = 10.0
TICK_SECONDS = 0.01
STOPS_WITHIN_SECONDS = 0.3
SYNCED_SECONDS = 1.0
SYNCS_MAX = 30
WRITES_MAX = {"start-up": 150, "load": 60, "shutdown": 60}
"""Among so many of a node, in a phase of its life, one is chosen to be its last."""
LOGGED = "logged "


class OnDisk(Trouble):
    """Trouble in processes whose store is on a disk that does what it is told."""

    remembers = False
    """Whether the disk writes down what is written."""
    needs_shim = True

    def __init__(self, owner: Round) -> None:
        super().__init__(owner)
        history = owner.directory / "history" if self.remembers else None
        self.disk = Disk(owner.store, history=history)

    def beneath(self, program: Program, *, node: bool) -> Program:
        async def armed(say: Say) -> None:
            tell_log(say)
            if self.needs_shim:
                self.disk.arm(fails=node)
            try:
                await program(say)
            except StoreError as error:
                say(f"ended {type(error).__name__}: {error}")

        return armed

    def end(self, node: Child) -> None:
        """End a node that has been in trouble: as it wants to, or at once."""
        if self.dice.random() < 1 / 2:
            node.kill()
        else:
            node.signal(signal.SIGTERM)
            node.finish()
        node.check()

    def stops_itself(self, node: Child, seconds: float = STOPS_WITHIN_SECONDS) -> bool:
        """Give a process the time to stop itself where the disk says; return whether one has."""
        for _ in range(int(seconds / TICK_SECONDS)):
            if self.disk.control.stopped:
                return True
            node.read(TICK_SECONDS)
        return False

    def expect(self, holds: object, what: str) -> None:
        """Take note of a broken promise unless it holds."""
        if not holds:
            self.round.violated(what)


class Pauses(OnDisk):
    """Stops nodes for a while, anywhere or between two writes of a commit."""

    name = "pauses"
    refuses = True  # a client waits 5 s for the lock of a node that was stopped in a commit
    needs_shim = False

    def __init__(self, owner: Round) -> None:
        super().__init__(owner)
        for name in ("pauses", "pauses within a commit", "second nodes refused"):
            self.figures[name] = 0

    def live(self, node: Child, phase: str) -> None:
        wait_until_ready(node)
        for _ in range(self.dice.randint(1, 3)):
            node.read(self.dice.random() * self.round.load_seconds / 2)
            self._stop(node)
            node.read(self._seconds())
            if self.dice.random() < 1 / 2:
                self.refuse_second(node)
            if phase == "start-up" and self.dice.random() < 1 / 2:
                break  # it is killed as it stands there
            node.signal(signal.SIGCONT)
            node.read(self.dice.random() * self.round.load_seconds / 2)
        else:
            return self.end(node)
        node.kill()
        return node.check()

    def refuse_second(self, node: Child) -> None:
        """Try to host the store of a node that stands still."""
        second = Child(host_in_vain(self.round.directory))
        second.finish()
        self.expect(
            second.told("locked") == [str(node.pid)],
            f"a second node beside the stopped process {node.pid} said {second.lines}",
        )
        self.figures["second nodes refused"] += 1

    def _stop(self, node: Child) -> None:
        self.figures["pauses"] += 1
        node.signal(signal.SIGSTOP)
        wait_until_stopped(node)

    def _seconds(self) -> float:
        longest = 2.5 if self.dice.random() < 0.1 else 0.25
        return self.dice.random() * longest


class CommitPauses(Pauses):
    """Stops nodes between two writes of a commit; needs the shim."""

    needs_shim = True

    def _stop(self, node: Child) -> None:
        self.disk.stop_before(self.dice.randint(1, 40))
        if self.dice.random() < 1 / 2 or not self.stops_itself(node):
            self.disk.go_well()
            super()._stop(node)
            return
        wait_until_stopped(node)
        self.figures["pauses"] += 1
        self.figures["pauses within a commit"] += 1

    def beneath(self, program: Program, *, node: bool) -> Program:
        # A client is not stopped in its commits: nobody would ever wake it.
        return super().beneath(program, node=node) if node else program


class FullDisks(OnDisk):
    """Fills the disk for a while."""

    name = "full disk"
    refuses = True
    room_bytes_max = 60_000
    seconds_max = 0.9

    def __init__(self, owner: Round) -> None:
        super().__init__(owner)
        for name in ("disks full", "writes that found no room", "nodes that did not start"):
            self.figures[name] = 0

    def before(self, phase: str) -> None:
        self.disk.free()
        if phase == "start-up":
            self._fill()

    def live(self, node: Child, phase: str) -> None:
        if phase == "start-up":
            node.read(self.dice.random() * self.seconds_max)
        else:
            wait_until_ready(node)
            node.read(self.dice.random() * self.round.load_seconds)
            self._fill()
            if phase == "shutdown":
                node.read(self.dice.random() * 0.1)
                node.signal(signal.SIGTERM)
            node.read(self.dice.random() * self.seconds_max)
        ended = node.closed
        self.figures["writes that found no room"] += self.disk.control.refused
        if self.dice.random() < 2 / 3:
            self.disk.free()
            node.read(self.dice.random() * self.round.load_seconds * 2)
        if ended or phase == "shutdown":
            node.finish()
        else:
            self.end(node)
        self._judge(node)

    def over(self) -> None:
        self.disk.free()

    def _fill(self) -> None:
        self.figures["disks full"] += 1
        self.disk.fill(self.dice.randrange(self.room_bytes_max))

    def _judge(self, node: Child) -> None:
        for ended in node.told("ended"):
            self.figures["nodes that did not start"] += 1
            self.expect("full" in ended, f"a node that did not start said {ended}")
        said = [line for line in node.told("logged") if "the store failed" in line]
        for line in said:
            self.expect("full" in line, f"a node on a full disk said {line}")
        refusals = node.told("refused")
        self.expect(
            said or not refusals or "ready" not in node.lines,
            f"a node refused work without a word in its log: {refusals[:1]}",
        )
        for refusal in refusals:
            clear = "full" in refusal or "stop" in refusal
            self.expect(clear, f"a full disk made a node say {refusal}")


class Powered(OnDisk):
    """Trouble after which the power may be cut."""

    takes_all = True
    remembers = True

    def __init__(self, owner: Round) -> None:
        super().__init__(owner)
        self.power = PowerCut(owner.store, owner.directory / "history")
        for name in ("power cuts", "writes not synced at a cut", "  of these lost or torn"):
            self.figures[name] = 0

    def cut_power(self) -> None:
        """Leave the store's files as the disk may have them."""
        kept = self.power.cut(self.dice)
        self.figures["power cuts"] += 1
        self.figures["writes not synced at a cut"] += kept.unsynced
        self.figures["  of these lost or torn"] += kept.lost

    def over(self) -> None:
        self.disk.go_well()


class SyncErrors(Powered):
    """Has syncs fail, once or for good, and cuts the power after some of them.

    Not those of the folder: SQLite does not look whether they succeed.
    """

    name = "sync errors"
    refuses = True

    def __init__(self, owner: Round) -> None:
        super().__init__(owner)
        for name in ("syncs that failed", "nodes that stayed down", "nodes killed at such a sync"):
            self.figures[name] = 0

    def before(self, phase: str) -> None:
        every = (Kind.LOG, Kind.DATABASE, Kind.JOURNAL)
        kinds = self.dice.choice([(Kind.LOG,), (Kind.DATABASE,), every])
        self.disk.go_well()
        self.dies_there = self.dice.random() < 1 / 2
        if self.dies_there:
            self.disk.stop_at_failure()
        latest = SYNCS_MAX if phase != "start-up" else 6
        self.disk.fail_sync(self.dice.randint(1, latest), kinds, self.dice.choice((1, 1_000)))

    def live(self, node: Child, phase: str) -> None:
        if self.dies_there:
            self.figures["nodes killed at such a sync"] += self.stops_itself(node, SYNCED_SECONDS)
            self.figures["syncs that failed"] += self.disk.control.failed
            node.kill()
            return node.check()
        if node.read(READY_WITHIN_SECONDS, until="ready"):
            node.read(self.round.load_seconds * 2, until="stopping")
        failed = self.disk.control.failed
        self.figures["syncs that failed"] += failed
        if failed:
            node.read(STOPPED_WITHIN_SECONDS, until="done")
            if "done" not in node.lines:
                self.round.violated("a node goes on after a sync that failed")
                return node.kill()
            node.finish()
            said = node.told("down") + node.told("ended")
            self.expect(
                said and all("could not confirm" in line for line in said),
                f"a node whose store was not synced said {said or node.lines[-3:]}",
            )
            self.figures["nodes that stayed down"] += 1
        elif node.closed:
            node.finish()
        else:
            self.end(node)
        return None

    def after(self) -> None:
        if self.dice.random() < 1 / 2:  # otherwise the next node has what the system still shows
            self.cut_power()


class PowerCuts(Powered):
    """Kills everybody, and takes from the disk what it had not been asked to keep."""

    name = "power cuts"

    def __init__(self, owner: Round) -> None:
        super().__init__(owner)
        self.kills = Kills(owner)

    def before(self, phase: str) -> None:
        self.disk.go_well()
        self.within_commit = self.dice.random() < 2 / 3
        if self.within_commit and phase == "start-up":
            self._choose_last_write(phase)

    def live(self, node: Child, phase: str) -> None:
        if not self.within_commit:
            return self.kills.live(node, phase)
        if phase != "start-up":
            wait_until_ready(node)
            node.read(self.dice.random() * self.round.load_seconds)
            self._choose_last_write(phase)
        if phase == "shutdown":
            node.signal(signal.SIGTERM)
        self.stops_itself(node)
        node.kill()
        return node.check()

    def _choose_last_write(self, phase: str) -> None:
        self.disk.stop_before(self.dice.randint(1, WRITES_MAX[phase]))

    def after(self) -> None:
        if self.dice.random() < 3 / 4:  # otherwise only the processes died; a later cut has it
            self.cut_power()


class CutLogs(OnDisk):
    """Cuts the end off the store's log, or deletes it, and its index in any case."""

    name = "cut logs"
    takes_all = True
    loses = True
    needs_shim = False

    def __init__(self, owner: Round) -> None:
        super().__init__(owner)
        self.kills = Kills(owner)
        self.scratch = owner.directory / "scratch"
        self.moved: dict[bytes, int] = {}
        """Which part of a log was moved into the file, by its salts."""
        for name in ("logs cut", "commits in them", "  of these lost"):
            self.figures[name] = 0

    def live(self, node: Child, phase: str) -> None:
        self.kills.live(node, phase)

    def after(self) -> None:
        store = self.round.store
        log = wal.read_log(store)
        # Who reads a log that nobody has open makes its index anew, and forgets what was moved.
        self.moved[log.salts] = log.moved = max(log.moved, self.moved.get(log.salts, 0))
        if not log.commits or not read_store(self.round.directory).statuses:
            return
        before = read_store(self.round.directory).records
        cut = self._choose(log)
        whole = log.commits_before(cut or 0)
        expected = wal.copy_store(store, self.scratch)
        wal.cut_log(expected, log.commits[whole - 1] if whole else 0)
        wal.cut_log(store, cut)
        found = wal.copy_store(store, self.scratch / "cut")
        self.expect(
            wal.digest(found) == wal.digest(expected),
            f"a log cut at {cut} is not read as the {whole} commits before: {log.commits}",
        )
        shutil.rmtree(self.scratch)
        left = read_store(self.round.directory).records
        self.expect(left <= before, f"{left} records after a cut, {before} before")
        self.figures["logs cut"] += 1
        self.figures["commits in them"] += len(log.commits)
        lost = sum(end > max(cut or 0, log.moved) for end in log.commits)
        self.figures["  of these lost"] += lost

    def _choose(self, log: wal.Log) -> int | None:
        """Return where to cut: never below what was moved into the file, which nobody could tell.

        The file has pages then which are newer than those of the log that would come before them.
        """
        if log.moved >= log.commits[-1] or not log.moved:
            if self.dice.random() < 1 / 4:
                return None
            if self.dice.random() < 1 / 4:
                return 0
        if self.dice.random() < 1 / 4:
            return self.dice.choice([end for end in log.commits if end >= log.moved])
        return self.dice.randint(min(log.moved, log.size), log.size)


def tell_log(say: Say) -> None:
    """Say what the engine logs as an error, instead of writing it to the terminal."""

    class Teller(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.ERROR:
                say(LOGGED + record.getMessage().replace("\n", " "))

    logging.getLogger("counterpoint").addHandler(Teller())


def host_in_vain(directory: Path) -> Program:
    """Be a node of a store that another process hosts."""

    async def program(say: Say) -> None:
        try:
            async with make_app(directory):
                say("hosts it")
        except StoreLockedError as error:
            say(f"locked {error.pid}")

    return program


def wait_until_stopped(node: Child) -> None:
    """Wait until a process stands still, or has ended."""
    os.waitid(os.P_PID, node.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
