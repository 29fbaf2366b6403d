"""Bytes on disk: what orders of each kind leave in the file, and what is written on the way.

The file is measured after a checkpoint, less what a new one has; so are the tables, with their
indexes. What is written on the way is what the process handed to the system while it ran, the
write-ahead log included.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import choreographed, sagas
from benchmarks.bare import Figures
from benchmarks.case import Case, Line, Numbers, Options, of
from benchmarks.load import WARM_UP
from benchmarks.orders import make_app, run_saga, run_twin

IN_FLIGHT = 100
TABLES = ("executions", "journal", "events", "reactions")
Load = Callable[[Path, int], Coroutine[Any, Any, Figures]]


async def _sagas(path: Path, count: int) -> Figures:
    return await sagas.run_engine(path, run_saga, count, IN_FLIGHT)


async def _twins(path: Path, count: int) -> Figures:
    return await sagas.run_engine(path, run_twin, count, IN_FLIGHT)


async def _flows(path: Path, count: int) -> Figures:
    return await choreographed.run_flows(path, count, IN_FLIGHT)


async def _nothing(path: Path) -> None:
    async with make_app(path):
        pass


def _written() -> int:
    counters = Path("/proc/self/io")
    if not counters.exists():
        return 0
    named = dict(line.split(": ") for line in counters.read_text().splitlines())
    return int(named["wchar"])


def _sizes(path: Path) -> dict[str, int]:
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        sizes = dict.fromkeys(TABLES, 0)
        pages = "SELECT m.tbl_name, sum(d.pgsize) FROM dbstat d JOIN sqlite_schema m USING (name)"
        for table, size in connection.execute(f"{pages} GROUP BY 1"):
            if table in sizes:
                sizes[table] = size
        body = connection.execute("SELECT coalesce(sum(length(body)), 0) FROM journal").fetchone()
        return {"file": path.stat().st_size, "journal_bodies": body[0], **sizes}
    finally:
        connection.close()


def _run(folder: Path, *, load: Load, count: int) -> Numbers:
    asyncio.run(_nothing(folder / "empty.db"))
    empty = _sizes(folder / "empty.db")
    before = _written()
    asyncio.run(load(folder / "full.db", count))
    written = _written() - before
    full = _sizes(folder / "full.db")
    units = count + min(WARM_UP, count)
    left = {f"{name}_bytes": (full[name] - empty[name]) / units for name in full}
    return {**left, "written_bytes": written / units}


def case(options: Options) -> Case:
    """Weigh each kind of order."""
    count = options.count(5_000, 200)
    loads: dict[str, Load] = {
        "order saga": _sagas,
        "failing twin": _twins,
        "choreographed flow": _flows,
    }
    return Case(
        f"Bytes on disk of each of {count:,} orders, by table (indexes included)",
        {name: partial(_run, load=load, count=count) for name, load in loads.items()},
        [Line(f"bytes on disk: {name}", of(name, "file_bytes"), "bytes") for name in loads],
        rounds=1,
    )
