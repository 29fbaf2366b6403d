"""One workflow that begins very many steps at once: activities in one `gather`, and children."""

import asyncio
import sqlite3
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.case import Case, Line, Numbers, Options, of
from benchmarks.children import in_child
from benchmarks.machine import forget_peak, peak_bytes, resident_bytes
from counterpoint import App, Service

mill = Service("mill")
TIMEOUT_SECONDS = 300


@mill.activity
async def grind(number: int) -> int:
    return number


@mill.workflow
async def pass_on(number: int) -> int:
    return number


@mill.workflow
async def fan_activities(count: int) -> int:
    return sum(await asyncio.gather(*(grind(number) for number in range(count))))


@mill.workflow
async def fan_children(count: int) -> int:
    return sum(await asyncio.gather(*(pass_on(number) for number in range(count))))


FANS = {"activities": fan_activities, "children": fan_children}


def run_fan(path: str, kind: str, count: int) -> dict[str, Any]:
    """Run one fan to its end."""

    async def host() -> dict[str, Any]:
        async with App("mill", services=[mill], store=f"sqlite:///{path}") as app:
            await app.run(FANS[kind], 10, id="warm")
            forget_peak()
            before, commits = resident_bytes(), app.health().commits
            started, cpu_started = time.perf_counter(), time.process_time()
            execution = await app.start(FANS[kind], count, id="fan")
            assert await execution.result(TIMEOUT_SECONDS) == count * (count - 1) // 2
            return {
                "all_s": time.perf_counter() - started,
                "cpu_s": time.process_time() - cpu_started,
                "added_mib": (peak_bytes() - before) / 2**20,
                "commits_count": app.health().commits - commits,
            }

    return asyncio.run(host())


def _journal(path: Path) -> tuple[float, float]:
    connection = sqlite3.connect(path)
    try:
        rows, size = connection.execute(
            "SELECT count(*), sum(length(body)) FROM journal JOIN executions ON key = execution_key"
            " WHERE id = 'fan'"
        ).fetchone()
        return rows, size
    finally:
        connection.close()


def _run(folder: Path, *, kind: str, count: int) -> Numbers:
    path = folder / "fan.db"
    numbers = in_child("benchmarks.fan_out:run_fan", path=str(path), kind=kind, count=count)
    rows, size = _journal(path)
    return {**numbers, "journal_rows_count": rows, "journal_bytes": size}


def case(options: Options) -> Case:
    """Fan out to a thousand and to ten thousand."""
    few, many = options.count(1_000, 100), options.count(10_000, 1_000)
    return Case(
        "One workflow fans out (memory: the peak, beyond what the node had before)",
        {
            f"{count:,} {kind}": partial(_run, kind=kind, count=count)
            for kind in FANS
            for count in (few, many)
        },
        [
            line
            for kind in FANS
            for name in [f"{many:,} {kind}"]
            for line in (
                Line(f"fan-out to {name}", of(name, "all_s"), "s"),
                Line(f"fan-out to {name}: memory it added", of(name, "added_mib"), "MiB"),
                _growth(kind, few, many),
            )
        ],
    )


def _growth(kind: str, few: int, many: int) -> Line:
    return Line(
        f"{many // few} times as many {kind} take how many times as long",
        lambda found: found[f"{many:,} {kind}"]["all_s"] / found[f"{few:,} {kind}"]["all_s"],
    )
