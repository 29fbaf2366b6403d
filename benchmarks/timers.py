"""Timers: how many are set and fire a second, and how late.

A workflow sleeps until a moment and ends. It counts as fired when its end is durable and whoever
waits for it has been told. Moments are of the node's clock, which no correction of the machine's
clock sets back. With 10,000 of them half are not in memory (`max_resident`) and have to
be loaded when they are due.
"""

import asyncio
import time
from functools import partial
from pathlib import Path

from benchmarks.case import Case, Line, Numbers, Options, of
from benchmarks.units import share
from counterpoint import App, Service, workflow
from counterpoint.runtime.clock import SystemClock

WARM_UP = 200
AT_ONCE = 500
EVERY_SECONDS = 0.0025
PATIENCE = (1.5, 3, 6, 12)
desk = Service("desk")


def make_app(path: Path, clock: SystemClock) -> App:
    """Return the app on a database at *path*."""
    return App("desk", services=[desk], store=f"sqlite:///{path}", clock=clock)


@desk.workflow
async def nap(until: float) -> None:
    await workflow.sleep(until - workflow.now().timestamp())


class Watch:
    """Waits for the ends of naps and notes how late each was, in seconds."""

    def __init__(self, app: App, clock: SystemClock) -> None:
        self._app = app
        self._clock = clock
        self._tasks: list[asyncio.Task[None]] = []
        self.late: list[float] = []

    def now(self) -> float:
        """Return the moment, in seconds."""
        return self._clock.now() / 1e6

    async def start(self, dues: list[float], name: str) -> float:
        """Start a nap for each moment; return the seconds until all were acknowledged."""
        started = time.perf_counter()
        for first in range(0, len(dues), AT_ONCE):
            some = dues[first : first + AT_ONCE]
            numbers = range(first, first + len(some))
            await asyncio.gather(
                *(self._start(due, f"{name}-{n}") for due, n in zip(some, numbers, strict=True))
            )
        return time.perf_counter() - started

    async def _start(self, due: float, name: str) -> None:
        execution = await self._app.start(nap, due, id=name)

        async def wait() -> None:
            await execution.result()
            self.late.append(self.now() - due)

        self._tasks.append(asyncio.create_task(wait()))

    def forget(self) -> None:
        """Wait for nothing any more."""
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()

    async def over(self) -> None:
        """Wait until all have ended."""
        await asyncio.gather(*self._tasks)
        self._tasks.clear()


async def _together(path: Path, count: int, patience: float) -> Numbers | None:
    """Let all be due at the same moment; None: it came before all were set."""
    clock = SystemClock()
    async with make_app(path, clock) as app:
        watch = Watch(app, clock)
        began = time.perf_counter()
        await watch.start([watch.now()] * WARM_UP, "warm")
        await watch.over()
        each = (time.perf_counter() - began) / WARM_UP  # set and fired: more than set
        watch.late.clear()
        due = watch.now() + 0.5 + each * count * patience
        seconds = await watch.start([due] * count, "nap")
        if watch.now() >= due:
            watch.forget()
            return None
        await watch.over()
        fired = watch.now() - due
    return {
        "set_per_second": count / seconds,
        "fired_per_second": count / fired,
        "first_late_ms": min(watch.late) * 1e3,
        "late_p50_ms": share(watch.late, 50) * 1e3,
        "late_p99_ms": share(watch.late, 99) * 1e3,
    }


def together(folder: Path, *, count: int) -> Numbers:
    """Measure with as much time to set them as it takes."""
    for patience in PATIENCE:
        path = folder / f"timers-{patience}.db"
        found = asyncio.run(_together(path, count, patience))
        if found is not None:
            return found
    raise RuntimeError(f"{count} timers were not set in {PATIENCE[-1]} times the expected time")


async def _one_by_one(path: Path, waiting: int, count: int) -> Numbers:
    clock = SystemClock()
    async with make_app(path, clock) as app:
        watch = Watch(app, clock)
        for first in range(0, waiting, AT_ONCE):
            far = [watch.now() + 86_400 + n for n in range(first, min(waiting, first + AT_ONCE))]
            await asyncio.gather(*(app.start(nap, due) for due in far))
        first_due = watch.now() + 1 + count / 500
        dues = [first_due + number * EVERY_SECONDS for number in range(count)]
        await watch.start(dues, "nap")
        await watch.over()
    return {
        "least_late_ms": min(watch.late) * 1e3,
        "late_p50_ms": share(watch.late, 50) * 1e3,
        "late_p99_ms": share(watch.late, 99) * 1e3,
        "latest_late_ms": max(watch.late) * 1e3,
    }


def one_by_one(folder: Path, *, waiting: int, count: int) -> Numbers:
    """Measure lateness where timers are due one after the other, 400 a second."""
    return asyncio.run(_one_by_one(folder / "timers.db", waiting, count))


def case(options: Options) -> Case:
    """All due at once, and one after the other beside as many that wait."""
    count, few = options.count(10_000, 500), options.count(1_000, 100)
    burst = f"{count:,} due at one moment"
    steady = f"{few:,} due one by one, {count:,} wait"
    return Case(
        "Timers: a workflow sleeps and ends",
        {
            burst: partial(together, count=count),
            steady: partial(one_by_one, waiting=count, count=few),
        },
        [
            Line("timers set a second", of(burst, "set_per_second")),
            Line(f"timers fired a second, {burst}", of(burst, "fired_per_second")),
            Line(f"lateness p50, {steady}", of(steady, "late_p50_ms"), "ms"),
            Line(f"lateness p99, {steady}", of(steady, "late_p99_ms"), "ms"),
        ],
        waits_for_disk=[steady],
    )
