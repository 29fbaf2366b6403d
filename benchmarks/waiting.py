"""Memory of a waiting execution: a node starts on a store in which very many wait.

Half wait for a signal (no wake-up time), half for a timer tomorrow. They are written by bulk
commits of the journals that a node would have written.
"""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.bulk import write_executions
from benchmarks.children import in_child
from benchmarks.machine import peak_bytes, resident_bytes
from benchmarks.table import Options, Table
from counterpoint import App, Service, workflow
from counterpoint.model import records as r

DAY = 86_400_000_000
desk = Service("desk")


@desk.workflow
async def wait_for_answer(number: int) -> str:  # noqa: ARG001
    return await workflow.signal("answer", type=str)


@desk.workflow
async def wait_for_tomorrow(number: int) -> None:  # noqa: ARG001
    await workflow.sleep(86_400)


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


def start_node(path: str, live: int) -> dict[str, Any]:
    """Start a node on the store, and then *live* further executions that wait."""

    async def host() -> dict[str, Any]:
        app = make_app(Path(path))
        before, started = resident_bytes(), time.perf_counter()
        async with app:
            await app.idle()
            seconds, after = time.perf_counter() - started, resident_bytes()
            known = app.health().resident
            for first in range(0, live, 100):
                numbers = range(first, first + 100)
                await asyncio.gather(
                    *(app.start(wait_for_answer, n, id=f"live-{n}") for n in numbers)
                )
            await app.idle()
            return {
                "seconds": seconds,
                "before": before,
                "after": after,
                "resident": known,
                "with_live": resident_bytes(),
                "live_resident": app.health().resident,
                "peak": peak_bytes(),
            }

    return asyncio.run(host())


def measure(options: Options) -> Table:
    """Write the rows in one process, start the node in another one."""
    count, live = (20_000, 2_000) if options.quick else (1_000_000, 50_000)
    with tempfile.TemporaryDirectory(dir=options.directory) as folder:
        path = str(Path(folder, "waiting.db"))
        empty = in_child("benchmarks.waiting:start_node", path=f"{path}.empty", live=0)
        created = in_child("benchmarks.waiting:create", path=path, count=count)
        node = in_child("benchmarks.waiting:start_node", path=path, live=live)
    growth = node["after"] - node["before"] - (empty["after"] - empty["before"])
    later = node["with_live"] - node["after"]
    rows = [
        ["written before the node starts", f"{count:,}", f"{growth / count:.1f}", "< 1,024"],
        ["started on the node", f"{live:,}", f"{later / live:.0f}", "< 1,024 beyond max_resident"],
    ]
    peak, least = node["peak"] / 2**20, empty["after"] / 2**20
    notes = [
        f"created in {created['seconds']:.0f} s; the node was ready in {node['seconds']:.2f} s",
        f"in memory then: {node['resident']:,}, at the end: {node['live_resident']:,}",
        f"its peak was {peak:.0f} MiB; an empty node has {least:.0f} MiB",
    ]
    headings = ["waiting executions", "number", "bytes of RSS each", "goal"]
    figures = {"count": count, "live": live, "empty": empty, "created": created, "node": node}
    return Table("Memory of a waiting execution", headings, rows, figures, notes)
