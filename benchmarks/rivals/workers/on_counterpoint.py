"""Counterpoint as it comes: on SQLite (WAL, `synchronous=FULL`), or on the database of a URL."""

import sqlite3
from importlib.metadata import version
from pathlib import Path

from benchmarks.orders import make_app, run_saga, run_twin
from benchmarks.rivals.workers.protocol import serve, work


async def main(settings: dict[str, str]) -> None:
    """Measure."""
    url = settings.get("url")
    store = "PostgreSQL" if url else f"SQLite {sqlite3.sqlite_version}"
    sync = "fsync=on, synchronous_commit=on" if url else "WAL, synchronous=FULL"
    hosts = settings["hosts"].split() if "hosts" in settings else None
    async with make_app(url or Path(settings["folder"], "engine.db"), hosts=hosts) as app:

        async def run(order_id: str, twin: bool) -> None:
            await (run_twin if twin else run_saga)(app, order_id)

        await serve(run, version=f"{version('counterpoint')}, {store}", sync=sync)


if __name__ == "__main__":
    work(main)
