"""Each trouble once, at a moment that is chosen: `python -m tests.crash.scenes`, with the shim.

Prints what was seen as JSON, by scene; the tests that read it say what has to be there. All scenes
run in one program, since starting Python takes longer than any of them.
"""

import json
import os
import random
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from examples.shop.app import STORE
from tests.crash import wal
from tests.crash.disk import Disk, Kind
from tests.crash.files import read_store
from tests.crash.hosting import insist
from tests.crash.power import PowerCut
from tests.crash.processes import Child, Program, Say
from tests.crash.troubles import tell_log, wait_until_stopped

from counterpoint import App, NodeStoppedError, Service, StoreError, workflow
from counterpoint.stores.sqlite import SqliteStore

Facts = dict[str, Any]
NOTHING: Mapping[str, Callable[[], None]] = MappingProxyType({})
SECONDS = 20.0
ROOM = 150_000
LITTLE_ROOM = 100
"""For the number of the process in the lock file, and not for the index of the log."""
TEXT = "x" * 9_000
STARTS_OF_A_CHECKPOINT = 24
LONG_TEXT = "x" * 200_000
"""Makes SQLite begin a checkpoint with so many starts: after 1,000 pages of its log."""
shop = Service("shop")


@shop.workflow
async def keep(text: str) -> int:
    await workflow.signal("go")
    return len(text)


@shop.workflow
async def ring() -> str:
    await workflow.sleep(0.2)
    return "rang"


def _nothing() -> None:
    pass


class Scene:
    """A store in a folder of its own, on a disk that remembers, and nodes that do one thing."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = directory / STORE
        self.history = directory / "history"
        self.disk = Disk(self.store, history=self.history)
        self.power = PowerCut(self.store, self.history)

    def node(
        self,
        *ids: str,
        before: Mapping[str, Callable[[], None]] = NOTHING,
        synchronous: str = "FULL",
        text: str = TEXT,
        then: str = "stop",
    ) -> Child:
        """Fork a node that starts executions one by one; it stops itself or ends *then*.

        *before* says what happens to the disk when it is the turn of an execution.
        """

        async def program(say: Say) -> None:
            tell_log(say)
            self.disk.arm()
            try:
                async with self.app() as app:
                    _set_synchronous(app, synchronous)
                    for id in ids:
                        before.get(id, _nothing)()
                        await start(app, id, say, text)
                    if then == "insist":
                        await insist(lambda: app.start(keep, TEXT, id="insisted"), say)
                        say("ack insisted")
                    if then == "stop":
                        os.kill(os.getpid(), signal.SIGSTOP)
            except StoreError as error:
                say(f"ended {type(error).__name__}: {error}")

        return Child(program)

    def dead_node(self, *ids: str) -> Child:
        """Return a node that was killed after it had done everything."""
        return killed(self.node(*ids))

    def app(self) -> App:
        """Return the app of the scenes, with this store."""
        return App(
            "shop",
            services=[shop],
            store=f"sqlite:///{self.store}",
            block_warning=timedelta(0),  # a disk that is slow says nothing here
        )

    def stored(self) -> list[str]:
        """Return the ids of all executions in the file, while nobody has it open."""
        return sorted(read_store(self.directory).statuses)


async def start(app: App, id: str, say: Say, text: str = TEXT) -> None:
    """Start an execution, and say whether that was acknowledged."""
    try:
        await app.start(keep, text, id=id)
    except (StoreError, NodeStoppedError) as error:
        say(f"refused {id}: {type(error).__name__}: {error}")
    else:
        say(f"ack {id}")


def killed(node: Child) -> Child:
    """Return a node that stands still, or has ended, after SIGKILL."""
    wait_until_stopped(node)
    node.kill()
    return node


def pause_in_commit(scene: Scene) -> Facts:
    """Stop a node between two writes of a commit, try a second one, and let the first go on."""
    scene.dead_node("zero")
    going_on = Child(_with_timer(scene))
    going_on.read(SECONDS, until="ready")
    wait_until_stopped(going_on)
    second = scene.node(then="end")
    second.finish()
    going_on.signal(signal.SIGCONT)
    going_on.finish()
    return {"pid": going_on.pid, "second": second.lines, "first": going_on.lines}


def _with_timer(scene: Scene) -> Program:
    async def program(say: Say) -> None:
        scene.disk.arm()
        async with scene.app() as app:
            ringing = await app.start(ring, id="ring")
            say("ready")
            scene.disk.stop_before(2)
            await start(app, "one", say)
            say(await ringing.result(timeout=SECONDS))

    return program


def death_in_commit(scene: Scene) -> Facts:
    """Stop a node between two writes of a commit, and kill it there."""
    scene.dead_node("zero")
    half = killed(scene.node("one", before={"one": lambda: scene.disk.stop_before(3)}))
    before = scene.stored()
    scene.disk.go_well()
    after = scene.dead_node("one")
    return {"half": half.lines, "before": before, "again": after.lines, "after": scene.stored()}


def full_disk(scene: Scene) -> Facts:
    """Fill the disk under a node, kill it there, try to start another one, and make room."""
    scene.dead_node("zero")
    scene.disk.fill(ROOM)
    node = killed(scene.node(*(f"{n}" for n in range(12))))
    kept = scene.stored()
    in_vain: list[list[str]] = []
    for room in (0, LITTLE_ROOM):
        scene.disk.fill(room)
        wal.shared_memory_of(scene.store).unlink(missing_ok=True)
        node_in_vain = scene.node(then="end")
        node_in_vain.finish()
        in_vain.append(node_in_vain.lines)
    scene.disk.fill(ROOM)
    waits = scene.node(*(f"b{n}" for n in range(12)), then="insist")
    while not waits.told("refused") and not waits.closed:
        waits.read(0.05)
    return {"node": node.lines, "kept": kept, "in vain": in_vain, "waits": _free(scene, waits)}


def _free(scene: Scene, node: Child) -> list[str]:
    scene.disk.free()
    node.finish()
    return node.lines


def failed_sync(scene: Scene) -> Facts:
    """Have the sync of a commit fail, and look at the next life of the store."""
    scene.dead_node("zero")
    fails = {"two": lambda: scene.disk.fail_sync(1, [Kind.LOG])}
    node = killed(scene.node("one", "two", "three", "four", "five", before=fails))
    scene.disk.go_well()
    again = scene.dead_node("three", "six")
    return {"node": node.lines, "again": again.lines, "stored": scene.stored()}


def failed_sync_then_cut(scene: Scene) -> Facts:
    """Have a sync fail, kill the node, go on with what the system shows, and cut the power."""
    scene.dead_node("zero")
    scene.disk.stop_at_failure()
    killed(scene.node("one", before={"one": lambda: scene.disk.fail_sync(1, [Kind.LOG])}))
    scene.disk.go_well()
    again = scene.dead_node("two")
    scene.power.cut(random.Random(1), "nothing")
    return {"again": again.lines, "stored": scene.stored()}


def failed_checkpoint(scene: Scene) -> Facts:
    """Have every sync of the file itself fail."""
    scene.dead_node("zero")
    scene.disk.fail_sync(1, [Kind.DATABASE], 1_000_000)
    node = killed(scene.node(*(f"{n}" for n in range(STARTS_OF_A_CHECKPOINT)), text=LONG_TEXT))
    failed = scene.disk.control.failed
    scene.power.cut(random.Random(1), "nothing")
    return {"node": node.lines, "failed": failed, "stored": scene.stored()}


def power_cut(scene: Scene, synchronous: str = "FULL") -> Facts:
    """Cut the power in the middle of a commit: nothing is kept that was not synced."""
    scene.dead_node("zero")
    stops = {"half": lambda: scene.disk.stop_before(3)}
    node = killed(scene.node("one", "two", "half", before=stops, synchronous=synchronous))
    scene.disk.go_well()
    kept = scene.power.cut(random.Random(1), "nothing")
    stored = scene.stored()
    again = scene.dead_node("three")
    return {"node": node.lines, "lost": kept.lost, "stored": stored, "again": again.lines}


def careless_power_cut(scene: Scene) -> Facts:
    """Cut the power of a store that syncs nothing when it commits."""
    return power_cut(scene, "NORMAL")


def cut_log(scene: Scene) -> Facts:
    """Cut a log at every kind of place; return what SQLite, and then a node, finds each time."""
    scene.dead_node(*(f"{n}" for n in range(5)))
    log = wal.read_log(scene.store)
    found: list[Facts] = []
    last = log.commits[-1]
    for number, cut in enumerate((*log.commits[-6:], last - 1, last - 4_100, 31, 0, None)):
        copy = Scene(scene.directory / f"{number}")
        wal.copy_store(scene.store, copy.directory)
        wal.cut_log(copy.store, cut)
        left = copy.stored()
        commits = log.commits_before(cut or 0)
        found.append(
            {"cut": cut, "commits": commits, "digest": wal.digest(copy.store), "ids": left}
        )
    whole = Scene(scene.directory / "whole")
    wal.copy_store(scene.store, whole.directory)
    wal.cut_log(whole.store, last - 1)
    again = whole.dead_node("4", "5")
    return {"found": found, "again": again.lines, "stored": whole.stored()}


def _set_synchronous(app: App, synchronous: str) -> None:
    store = app.node.store
    assert isinstance(store, SqliteStore)
    assert store._db is not None
    store._db.execute(f"PRAGMA synchronous = {synchronous}")


SCENES: Sequence[Callable[[Scene], Facts]] = (
    pause_in_commit,
    death_in_commit,
    full_disk,
    failed_sync,
    failed_sync_then_cut,
    failed_checkpoint,
    power_cut,
    careless_power_cut,
    cut_log,
)


def main() -> int:
    """Play all scenes."""
    facts: dict[str, Facts] = {}
    for play in SCENES:
        with tempfile.TemporaryDirectory(prefix="scene-") as name:
            facts[play.__name__] = play(Scene(Path(name)))
    sys.stdout.write(json.dumps(facts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
