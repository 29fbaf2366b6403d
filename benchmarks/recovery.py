"""Restart after a crash with very many interrupted executions: when do their calls begin again?"""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.bulk import write_executions
from benchmarks.children import in_child
from benchmarks.machine import peak_bytes
from benchmarks.table import Options, Table
from counterpoint import App, Service
from counterpoint.model import records as r

line = Service("line")
begun: list[float] = []


@line.activity
async def work(number: int) -> int:
    begun.append(time.perf_counter())
    return number


@line.workflow
async def job(number: int) -> int:
    return await work(number)


def create(path: str, count: int) -> dict[str, Any]:
    """Write *count* executions, each with one call in flight."""
    started = time.perf_counter()
    scheduled = r.CallScheduled(1, "line.work", msgspec.Raw(b'{"number":1}'))
    now = time.time_ns() // 1000
    asyncio.run(write_executions(Path(path), job, count, [scheduled], now, "job"))
    return {"seconds": time.perf_counter() - started}


def restart(path: str, count: int) -> dict[str, Any]:
    """Start a node on the store and wait until everything has ended."""

    async def host() -> dict[str, Any]:
        started, cpu_started = time.perf_counter(), time.process_time()
        async with App("line", services=[line], store=f"sqlite:///{path}") as app:
            await app.idle()
            ended = time.perf_counter()
            counts = await app.counts()
        assert len(begun) == count, f"{len(begun)} calls began"
        assert counts == {"completed": count}, counts
        return {
            "first": begun[0] - started,
            "last": begun[-1] - started,
            "ended": ended - started,
            "cpu": time.process_time() - cpu_started,
            "peak": peak_bytes(),
        }

    return asyncio.run(host())


def measure(options: Options) -> Table:
    """Write the journals in one process, start the node in another one."""
    count = 5_000 if options.quick else 100_000
    with tempfile.TemporaryDirectory(dir=options.directory) as folder:
        path = str(Path(folder, "interrupted.db"))
        in_child("benchmarks.recovery:create", path=path, count=count)
        node = in_child("benchmarks.recovery:restart", path=path, count=count)
    rows = [
        ["first call begins again", f"{node['first']:.2f} s", "1 s"],
        ["last call begins again", f"{node['last']:.1f} s", "30 s"],
        ["everything has ended", f"{node['ended']:.1f} s", ""],
        ["CPU", f"{node['cpu']:.1f} s", ""],
        ["peak RSS", f"{node['peak'] / 2**20:.0f} MiB", ""],
    ]
    title = f"Restart with {count:,} interrupted executions"
    return Table(title, ["what", "figure", "goal"], rows, {"count": count, **node})
