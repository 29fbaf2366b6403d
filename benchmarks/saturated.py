"""Commits beside a loop that activities keep busy: how long does a transaction take, and a start?

Fifty attempts of an activity compute in short turns (a third of a millisecond for all of them)
while order sagas run four at a time. The same sagas beside an idle loop show the disk's own share.
"""

import asyncio
import time
from functools import partial
from pathlib import Path

from benchmarks.case import Case, Line, Numbers, Options, Round
from benchmarks.orders import inventory, orders, payments, place_order, run_saga
from benchmarks.units import share
from counterpoint import App, Service
from counterpoint.model.rows import Commit
from counterpoint.stores.sqlite import SqliteStore

ATTEMPTS = 50
SPINS = 400
LANES = 4
mill = Service("mill")
grinding = asyncio.Event()


@mill.activity
async def grind(number: int) -> int:  # noqa: ARG001
    turns = 0
    while grinding.is_set():
        for _ in range(SPINS):
            pass
        turns += 1
        await asyncio.sleep(0)
    return turns


@mill.workflow
async def keep_grinding(number: int) -> int:
    return await grind(number)


class TimedStore(SqliteStore):
    """Remembers how long each commit took, in seconds."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.seconds: list[float] = []

    async def commit(self, commit: Commit) -> int:
        started = time.perf_counter()
        first = await super().commit(commit)
        self.seconds.append(time.perf_counter() - started)
        return first


async def _run(path: Path, sagas: int, busy: bool) -> Numbers:
    store = TimedStore(path)
    starts: list[float] = []
    numbers = iter(range(sagas))
    async with App("mill", services=[orders, payments, inventory, mill], store=store) as app:
        for number in range(20):
            await run_saga(app, f"warm-{number}")
        grinding.set()
        if busy:
            for number in range(ATTEMPTS):
                await app.start(keep_grinding, number, id=f"mill-{number}")
        store.seconds.clear()

        async def lane() -> None:
            for number in numbers:
                started = time.perf_counter()
                order = f"order-{number}"
                execution = await app.start(place_order, order, 9.5, True, id=order)
                starts.append(time.perf_counter() - started)
                await execution.result()

        began = time.perf_counter()
        await asyncio.gather(*(lane() for _ in range(LANES)))
        seconds = time.perf_counter() - began
        commits = list(store.seconds)
        grinding.clear()
        await app.idle()
    return {
        "sagas_per_second": sagas / seconds,
        "commit_p50_ms": share(commits, 50) * 1e3,
        "commit_p99_ms": share(commits, 99) * 1e3,
        "start_p50_ms": share(starts, 50) * 1e3,
        "start_p99_ms": share(starts, 99) * 1e3,
    }


def measure(folder: Path, *, sagas: int, busy: bool) -> Numbers:
    """Run sagas four at a time."""
    return asyncio.run(_run(folder / "mill.db", sagas, busy))


def case(options: Options) -> Case:
    """Measure beside an idle and beside a busy loop."""
    sagas = options.count(800, 80)
    idle, busy = "idle loop", "loop saturated by activities"

    def beyond(found: Round) -> float:
        return found[busy]["commit_p99_ms"] - found[idle]["commit_p99_ms"]

    return Case(
        f"Commits beside a saturated loop ({LANES} sagas in flight)",
        {
            idle: partial(measure, sagas=sagas, busy=False),
            busy: partial(measure, sagas=sagas, busy=True),
        },
        [
            Line(
                "commit p99 beside a saturated loop, beyond the disk's own",
                beyond,
                "ms",
                at_most=10,
            )
        ],
        waits_for_disk=[idle, busy],
    )
