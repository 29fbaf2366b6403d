"""The bare loop: the least that any durable engine on SQLite must do for the order saga.

One event loop, one writer thread, the standard library's sqlite3, one table. A saga inserts 4 rows
(start, three steps; its failing twin 6) and awaits each row's commit before the next. The writer
thread commits whatever has gathered while it was busy in one transaction, durably (WAL,
`synchronous=FULL`), and wakes the event loop once. This file never changes with the engine's
schema: goals are stated in units of it.

    python -m benchmarks.bare [--sagas N] [--rounds N] [--directory DIR] [--json FILE]
"""

import argparse
import asyncio
import json
import queue
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

SAGA_ROWS = 4
TWIN_ROWS = 6
IN_FLIGHT = 100

Row = tuple[str, int, str, bytes]
_Waiting = tuple[Row, asyncio.Future[None]]
BODY = json.dumps({"order_id": "order-1", "amount": "99.50", "authorization": "a-1"}).encode()


@dataclass(frozen=True)
class Figures:
    """What one run showed; latencies are of whole sagas, CPU is of the whole process."""

    sagas_per_second: float
    cpu_us_per_saga: float
    p50_ms: float
    p99_ms: float

    @classmethod
    def of(cls, seconds: float, cpu_seconds: float, latencies: Sequence[float]) -> "Figures":
        """Sum up a run whose sagas took *latencies* seconds each."""
        ordered = sorted(latencies)
        count = len(ordered)
        return cls(
            sagas_per_second=count / seconds,
            cpu_us_per_saga=cpu_seconds / count * 1e6,
            p50_ms=ordered[count // 2] * 1e3,
            p99_ms=ordered[min(count - 1, count * 99 // 100)] * 1e3,
        )


def median(figures: Sequence[Figures]) -> Figures:
    """Return the median of each figure over several rounds."""
    columns = zip(*(asdict(round_).values() for round_ in figures), strict=True)
    return Figures(*(statistics.median(column) for column in columns))


def open_database(path: Path) -> sqlite3.Connection:
    """Open a new database with the durable settings and the one table."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(
        "CREATE TABLE journal (id TEXT, seq INTEGER, kind TEXT, body BLOB, PRIMARY KEY (id, seq))"
    )
    return connection


class Writer:
    """Commits rows in groups from a thread of its own."""

    def __init__(self, path: Path) -> None:
        self._connection = open_database(path)
        self._loop = asyncio.get_running_loop()
        self._queue = queue.SimpleQueue[_Waiting | None]()
        self._thread = threading.Thread(target=self._run, name="writer")
        self._thread.start()

    def append(self, row: Row) -> asyncio.Future[None]:
        """Return a future that is done when *row* is durable."""
        committed = self._loop.create_future()
        self._queue.put((row, committed))
        return committed

    async def close(self) -> None:
        """Stop the thread and close the database."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._connection.close()

    def _run(self) -> None:
        execute = self._connection.execute
        while (first := self._queue.get()) is not None:
            batch = [first]
            while not self._queue.empty():
                waiting = self._queue.get()
                if waiting is None:
                    self._queue.put(None)
                    break
                batch.append(waiting)
            execute("BEGIN IMMEDIATE")
            self._connection.executemany(
                "INSERT INTO journal VALUES (?, ?, ?, ?)", [row for row, _ in batch]
            )
            execute("COMMIT")
            self._loop.call_soon_threadsafe(_wake, [committed for _, committed in batch])


def _wake(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        future.set_result(None)


async def run_saga(writer: Writer, saga_id: str, rows: int) -> None:
    """Run one saga: each row is durable before the next is made."""
    for seq in range(rows):
        await writer.append((saga_id, seq, "completed", BODY))


async def _measure(path: Path, sagas: int, rows: int, in_flight: int) -> Figures:
    writer = Writer(path)
    numbers = iter(range(sagas))
    latencies: list[float] = []

    async def lane() -> None:
        for number in numbers:
            started = time.perf_counter()
            await run_saga(writer, f"order-{number:08}", rows)
            latencies.append(time.perf_counter() - started)

    started, cpu_started = time.perf_counter(), time.process_time()
    await asyncio.gather(*(lane() for _ in range(in_flight)))
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    await writer.close()
    return Figures.of(seconds, cpu_seconds, latencies)


def measure(
    directory: Path | None = None,
    *,
    sagas: int = 20_000,
    rows: int = SAGA_ROWS,
    in_flight: int = IN_FLIGHT,
) -> Figures:
    """Run *sagas* on a new database in a new folder under *directory* and return the figures."""
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        return asyncio.run(_measure(Path(folder, "bare.db"), sagas, rows, in_flight))


def compare(directory: Path | None, *, sagas: int, rounds: int) -> dict[str, Figures]:
    """Measure every case in interleaved rounds and return the medians."""
    cases = {
        "saga, 100 in flight": (sagas, SAGA_ROWS, IN_FLIGHT),
        "failing twin, 100 in flight": (sagas, TWIN_ROWS, IN_FLIGHT),
        "saga, alone": (max(1, sagas // 20), SAGA_ROWS, 1),
        "failing twin, alone": (max(1, sagas // 20), TWIN_ROWS, 1),
    }
    seen: dict[str, list[Figures]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, (count, rows, in_flight) in cases.items():
            seen[name].append(measure(directory, sagas=count, rows=rows, in_flight=in_flight))
    return {name: median(figures) for name, figures in seen.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="The bare loop on this machine.")
    parser.add_argument("--sagas", type=int, default=20_000, help="sagas a round (20000)")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (5)")
    parser.add_argument("--directory", type=Path, help="where the databases are made")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    table = compare(options.directory, sagas=options.sagas, rounds=options.rounds)
    print(f"{'bare loop':28}{'sagas/s':>10}{'CPU µs/saga':>13}{'p50 ms':>9}{'p99 ms':>9}")
    for name, row in table.items():
        print(
            f"{name:28}{row.sagas_per_second:10,.0f}{row.cpu_us_per_saga:13.1f}"
            f"{row.p50_ms:9.2f}{row.p99_ms:9.2f}"
        )
    if options.json:
        figures = {name: asdict(row) for name, row in table.items()}
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
