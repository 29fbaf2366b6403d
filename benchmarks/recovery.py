"""Restart after a crash with very many interrupted executions: when do their calls begin again?"""

import asyncio
import shutil
import time
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.bulk import write_executions
from benchmarks.case import Case, Line, Numbers, Options, of
from benchmarks.children import in_child
from benchmarks.machine import peak_bytes
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


def _prepare(folder: Path, *, count: int) -> None:
    in_child("benchmarks.recovery:create", path=str(folder / "left.db"), count=count)


def _run(folder: Path, *, count: int) -> Numbers:
    path = folder / "interrupted.db"
    shutil.copy(folder / "left.db", path)
    node = in_child("benchmarks.recovery:restart", path=str(path), count=count)
    for file in folder.glob("interrupted.db*"):
        file.unlink()
    return {
        "first_call_s": node["first"],
        "last_call_s": node["last"],
        "all_ended_s": node["ended"],
        "cpu_s": node["cpu"],
        "peak_mib": node["peak"] / 2**20,
    }


def case(options: Options) -> Case:
    """Write the journals once, restart a node on copies of them."""
    count = options.count(100_000, 1_000)
    name = f"restart with {count:,} interrupted"
    return Case(
        "Recovery: when do interrupted calls begin again?",
        {name: partial(_run, count=count)},
        [
            Line(f"{name}: the first call begins", of(name, "first_call_s"), "s", at_most=1),
            Line(f"{name}: the last call begins", of(name, "last_call_s"), "s", at_most=30),
            Line(
                f"{name}: executions recovered a second",
                lambda found: count / found[name]["all_ended_s"],
            ),
        ],
        prepare=partial(_prepare, count=count),
    )
