"""Counterpoint on SQLite, as it comes: WAL, `synchronous=FULL`."""

import sqlite3
from importlib.metadata import version
from pathlib import Path

from benchmarks.orders import make_app, run_saga, run_twin
from benchmarks.rivals.workers.protocol import serve, work


async def main(settings: dict[str, str]) -> None:
    """Measure."""
    named = f"{version('counterpoint')}, SQLite {sqlite3.sqlite_version}"
    async with make_app(Path(settings["folder"], "engine.db")) as app:

        async def run(order_id: str, twin: bool) -> None:
            await (run_twin if twin else run_saga)(app, order_id)

        await serve(run, version=named, sync="WAL, synchronous=FULL")


if __name__ == "__main__":
    work(main)
