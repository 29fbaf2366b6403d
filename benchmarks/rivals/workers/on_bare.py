"""The bare loop: the least that any durable engine on SQLite must do for the order saga."""

import sqlite3
from pathlib import Path

from benchmarks import bare
from benchmarks.rivals.workers.protocol import serve, work


async def main(settings: dict[str, str]) -> None:
    """Measure."""
    writer = bare.Writer(Path(settings["folder"], "bare.db"))

    async def run(order_id: str, twin: bool) -> None:
        await bare.run_saga(writer, order_id, bare.TWIN_ROWS if twin else bare.SAGA_ROWS)

    await serve(run, version=f"SQLite {sqlite3.sqlite_version}", sync="WAL, synchronous=FULL")
    await writer.close()


if __name__ == "__main__":
    work(main)
