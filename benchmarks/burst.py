"""Very many starts at once: memory is bounded, starts are held back, everything ends."""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.children import in_child
from benchmarks.machine import peak_bytes, resident_bytes
from benchmarks.orders import make_app, place_order
from benchmarks.table import Options, Table


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


def measure(options: Options) -> Table:
    """Run the burst in a process of its own."""
    count = 5_000 if options.quick else 100_000
    with tempfile.TemporaryDirectory(dir=options.directory) as folder:
        path = str(Path(folder, "burst.db"))
        node = in_child("benchmarks.burst:start_all", path=path, count=count)
    rows = [
        ["all acknowledged", f"{node['acknowledged']:.1f} s", ""],
        ["all ended", f"{node['ended']:.1f} s", ""],
        ["in memory once acknowledged", f"{node['resident']:,}", "≤ max_resident (5,000)"],
        ["peak RSS", f"{node['peak'] / 2**20:.0f} MiB", "< 500 MiB"],
    ]
    title = f"{count:,} order sagas started at once"
    return Table(title, ["what", "figure", "goal"], rows, {"count": count, **node})
