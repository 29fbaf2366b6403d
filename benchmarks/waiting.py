"""Memory of a waiting execution, on a node that starts beside very many and on one that made them.

Those that a node finds when it starts wait for a signal (no wake-up time) or for a timer tomorrow,
half of them each; they are written by bulk commits of the journals that a node would have written.
Those that are started on a node wait for a signal.
"""

import asyncio
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.bulk import write_executions
from benchmarks.case import Case, Line, Numbers, Options, Round, of
from benchmarks.children import in_child
from benchmarks.machine import peak_bytes, resident_bytes
from counterpoint import App, Service, workflow
from counterpoint.model import records as r

DAY = 86_400_000_000
AT_ONCE = 500
desk = Service("desk")


@desk.workflow
async def wait_for_answer(number: int) -> str:  # noqa: ARG001
    return await workflow.signal("answer", type=str)


@desk.workflow
async def wait_for_tomorrow(number: int) -> None:  # noqa: ARG001
    await workflow.sleep(86_400)


@desk.workflow
async def wait_briefly(number: int) -> None:  # noqa: ARG001
    await workflow.sleep(0.001)


def make_app(path: Path) -> App:
    """Return the app on a database at *path*."""
    return App("desk", services=[desk], store=f"sqlite:///{path}")


def create(path: str, count: int) -> dict[str, Any]:
    """Write *count* waiting executions."""
    started = time.perf_counter()
    now = time.time_ns() // 1000
    for_signal = [r.SignalAwaited(1, "answer")]
    for_timer = [r.TimerSet(1, now + DAY)]
    asyncio.run(write_executions(Path(path), wait_for_answer, count // 2, for_signal, None, "s"))
    asyncio.run(
        write_executions(Path(path), wait_for_tomorrow, count // 2, for_timer, now + DAY, "t")
    )
    return {"seconds": time.perf_counter() - started}


def find(path: str) -> dict[str, Any]:
    """Start a node on the store."""

    async def host() -> dict[str, Any]:
        app = make_app(Path(path))
        before, started = resident_bytes(), time.perf_counter()
        async with app:
            await app.idle()
            return {
                "ready_s": time.perf_counter() - started,
                "added_bytes": resident_bytes() - before,
                "in_memory_count": app.health().resident,
            }

    return asyncio.run(host())


def start(path: str, count: int) -> dict[str, Any]:
    """Start executions that wait, and look at the memory when there are half of them and all."""

    async def host() -> dict[str, Any]:
        async with make_app(Path(path)) as app:
            await app.run(wait_briefly, 0, id="warm")
            before, started, cpu_started = (
                resident_bytes(),
                time.perf_counter(),
                time.process_time(),
            )
            marks: list[int] = []
            for half in (range(count // 2), range(count // 2, count)):
                for first in range(half.start, half.stop, AT_ONCE):
                    numbers = range(first, min(half.stop, first + AT_ONCE))
                    await asyncio.gather(
                        *(app.start(wait_for_answer, n, id=f"live-{n}") for n in numbers)
                    )
                await app.idle()
                marks.append(resident_bytes() - before)
            return {
                "started_per_second": count / (time.perf_counter() - started),
                "cpu_us": (time.process_time() - cpu_started) / count * 1e6,
                "added_by_half_mib": marks[0] / 2**20,
                "added_by_all_mib": marks[1] / 2**20,
                "peak_mib": peak_bytes() / 2**20,
                "in_memory_count": app.health().resident,
                "each_bytes": marks[1] / count,
            }

    return asyncio.run(host())


def _prepare(folder: Path, *, count: int) -> None:
    in_child("benchmarks.waiting:create", path=str(folder / "waiting.db"), count=count)


def _find(folder: Path, *, name: str) -> Numbers:
    return in_child("benchmarks.waiting:find", path=str(folder / name))


def _start(folder: Path, *, count: int) -> Numbers:
    return in_child("benchmarks.waiting:start", path=str(folder / "live.db"), count=count)


def case(options: Options) -> Case:
    """Write the rows once, start nodes beside them and on a store without any."""
    count = options.count(1_000_000, 5_000)
    empty, full = "none wait", f"{count:,} wait"

    def each(found: Round) -> float:
        return (found[full]["added_bytes"] - found[empty]["added_bytes"]) / count

    return Case(
        "Memory of executions that wait when a node starts",
        {empty: partial(_find, name="empty.db"), full: partial(_find, name="waiting.db")},
        [
            Line(f"memory of each of {count:,} that wait at a start", each, "bytes", at_most=1_023),
            Line(f"a node is ready, {full}", of(full, "ready_s"), "s"),
        ],
        prepare=partial(_prepare, count=count),
    )


def case_started(options: Options) -> Case:
    """Start them on a node; once, because it takes minutes and memory is what is asked for."""
    count = options.count(1_000_000, 1_500)
    name = f"{count:,} started"
    return Case(
        "Memory of executions that are started on a node and wait (those in memory included)",
        {name: partial(_start, count=count)},
        [
            Line(
                f"memory of each of {count:,} started on a node",
                of(name, "each_bytes"),
                "bytes",
                at_most=None if options.quick else 1_023,
            ),
            Line("executions started a second that then wait", of(name, "started_per_second")),
            Line("CPU of starting one that then waits", of(name, "cpu_us"), "µs"),
        ],
        rounds=1,
    )
