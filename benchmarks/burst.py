"""Very many starts at once: memory is bounded, starts are held back, everything ends."""

import asyncio
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.case import Case, Line, Numbers, Options, of
from benchmarks.children import in_child
from benchmarks.machine import peak_bytes, resident_bytes
from benchmarks.orders import make_app, place_order


def start_all(path: str, count: int) -> dict[str, Any]:
    """Start *count* order sagas with one `gather` and wait until all have ended."""

    async def host() -> dict[str, Any]:
        before = resident_bytes()
        async with make_app(Path(path)) as app:
            started = time.perf_counter()
            await asyncio.gather(
                *(app.start(place_order, f"o-{n}", 1.0, True, id=f"o-{n}") for n in range(count))
            )
            acknowledged = time.perf_counter() - started
            resident = app.health().resident
            await app.idle()
            ended = time.perf_counter() - started
            counts = await app.counts()
        assert counts == {"completed": count}, counts
        return {
            "acknowledged": acknowledged,
            "ended": ended,
            "resident": resident,
            "before": before,
            "peak": peak_bytes(),
        }

    return asyncio.run(host())


def _run(folder: Path, *, count: int) -> Numbers:
    node = in_child("benchmarks.burst:start_all", path=str(folder / "burst.db"), count=count)
    return {
        "all_acknowledged_s": node["acknowledged"],
        "all_ended_s": node["ended"],
        "in_memory_count": node["resident"],
        "peak_mib": node["peak"] / 2**20,
        "added_mib": (node["peak"] - node["before"]) / 2**20,
    }


def case(options: Options) -> Case:
    """Run the burst once in a process of its own: its memory is what is asked for."""
    count = options.count(100_000, 2_000)
    name = f"{count:,} started with one gather"
    return Case(
        f"{count:,} order sagas started at once",
        {name: partial(_run, count=count)},
        [
            Line(f"{name}: peak memory", of(name, "peak_mib"), "MiB", at_most=500),
            Line(f"{name}: in memory", of(name, "in_memory_count"), "executions", at_most=5_000),
        ],
        rounds=1,
    )
