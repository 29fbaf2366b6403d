"""Where should a node commit: in a writer thread, or on the event loop's own thread?

The standard library's sqlite3 gives the interpreter lock up around each step of a statement, and a
thread that wants it back while another one computes has to wait. So each way of committing runs
beside an idle loop and beside loops that activities keep busy, with short turns (a third of a
millisecond: the loop polls its selector often) and with long ones (ten milliseconds), in two
workloads:

* groups: one commit of 100 rows at a time, every few milliseconds;
* sagas: the bare loop of `benchmarks.bare`, 100 in flight and one alone.

`transaction` is BEGIN to COMMIT, `seen` is from handing rows over to the loop's learning of it.

    python -m benchmarks.committers [--seconds S] [--rounds N] [--directory DIR] [--json FILE]
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
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain, count
from pathlib import Path

from benchmarks.bare import BODY, SAGA_ROWS, Row, open_database

GROUP_ROWS = 100
LOAD_TASKS = 50
LOADS = {"idle": 0, "busy, short turns": 400, "busy, long turns": 14_000}
"""Spins of plain Python in each task, each turn: about 7 and 200 µs."""
Insert = Callable[[sqlite3.Connection, Sequence[Row]], object]


def insert_each(connection: sqlite3.Connection, rows: Sequence[Row]) -> object:
    """Insert with one step a row."""
    return connection.executemany("INSERT INTO journal VALUES (?, ?, ?, ?)", rows)


def insert_at_once(connection: sqlite3.Connection, rows: Sequence[Row]) -> object:
    """Insert with one step in all."""
    values = ", ".join(["(?, ?, ?, ?)"] * len(rows))
    return connection.execute(f"INSERT INTO journal VALUES {values}", [*chain(*rows)])  # noqa: S608


class Committer:
    """Group commit; `transactions` collects how long each took, in seconds."""

    def __init__(self, path: Path, insert: Insert) -> None:
        self.transactions: list[float] = []
        self._connection = open_database(path)
        self._insert = insert
        self._loop = asyncio.get_running_loop()

    def append(self, rows: Sequence[Row]) -> asyncio.Future[None]:
        """Return a future that is done when *rows* are durable."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def _write(self, rows: Sequence[Row]) -> None:
        started = time.perf_counter()
        self._connection.execute("BEGIN IMMEDIATE")
        self._insert(self._connection, rows)
        self._connection.execute("COMMIT")
        self.transactions.append(time.perf_counter() - started)


class InlineCommitter(Committer):
    """Commits on the loop's own thread, once everything that was ready has run."""

    def __init__(self, path: Path, insert: Insert) -> None:
        super().__init__(path, insert)
        self._rows: list[Row] = []
        self._waiting: list[asyncio.Future[None]] = []

    def append(self, rows: Sequence[Row]) -> asyncio.Future[None]:
        """Return a future that is done when *rows* are durable."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._rows.extend(rows)
        committed = self._loop.create_future()
        self._waiting.append(committed)
        return committed

    def _flush(self) -> None:
        rows, self._rows = self._rows, []
        waiting, self._waiting = self._waiting, []
        self._write(rows)
        _wake(waiting)


class ThreadCommitter(Committer):
    """Commits in a writer thread whatever gathered while it was busy; wakes the loop once."""

    def __init__(self, path: Path, insert: Insert) -> None:
        super().__init__(path, insert)
        self._queue = queue.SimpleQueue[tuple[Sequence[Row], asyncio.Future[None]] | None]()
        self._thread = threading.Thread(target=self._run, name="writer")
        self._thread.start()

    def append(self, rows: Sequence[Row]) -> asyncio.Future[None]:
        """Return a future that is done when *rows* are durable."""
        committed = self._loop.create_future()
        self._queue.put((rows, committed))
        return committed

    def close(self) -> None:
        """Stop the thread and close the database."""
        self._queue.put(None)
        self._thread.join()
        super().close()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            while not self._queue.empty():
                more = self._queue.get()
                if more is None:
                    self._queue.put(None)
                    break
                batch.append(more)
            self._write([*chain(*(rows for rows, _ in batch))])
            self._loop.call_soon_threadsafe(_wake, [committed for _, committed in batch])


def _wake(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        future.set_result(None)


STEP_A_ROW = "thread, a step a row"
COMMITTERS: dict[str, Callable[[Path], Committer]] = {
    STEP_A_ROW: lambda path: ThreadCommitter(path, insert_each),
    "thread, one statement": lambda path: ThreadCommitter(path, insert_at_once),
    "inline, one statement": lambda path: InlineCommitter(path, insert_at_once),
}


class Load:
    """Tiny CPU-bound tasks that keep the loop busy; `turns` counts what they got done."""

    def __init__(self, spins: int) -> None:
        self.turns = 0
        tasks = LOAD_TASKS if spins else 0
        self._tasks = [asyncio.ensure_future(self._compute(spins)) for _ in range(tasks)]

    async def _compute(self, spins: int) -> None:
        while True:
            for _ in range(spins):
                pass
            self.turns += 1
            await asyncio.sleep(0)

    def stop(self) -> None:
        """Cancel the tasks."""
        for task in self._tasks:
            task.cancel()


@dataclass(frozen=True)
class Figures:
    """What one run showed; times in ms."""

    units_per_second: float
    transaction_p50_ms: float
    transaction_p99_ms: float
    seen_p50_ms: float
    seen_p99_ms: float
    load_turns_per_second: float


async def commit_groups(committer: Committer, until: float, seen: list[float]) -> int:
    """Commit groups of rows with pauses between them; return how many."""
    for number in count():
        if time.perf_counter() >= until:
            return number
        rows = [(f"group-{number:08}", seq, "completed", BODY) for seq in range(GROUP_ROWS)]
        started = time.perf_counter()
        await committer.append(rows)
        seen.append(time.perf_counter() - started)
        await asyncio.sleep(0.003)
    raise AssertionError


async def run_sagas(committer: Committer, until: float, seen: list[float], in_flight: int) -> int:
    """Run sagas, each row durable before the next; return how many."""
    numbers = count()
    done = 0

    async def lane() -> None:
        nonlocal done
        while time.perf_counter() < until:
            saga = f"order-{next(numbers):08}"
            for seq in range(SAGA_ROWS):
                started = time.perf_counter()
                await committer.append([(saga, seq, "completed", BODY)])
                seen.append(time.perf_counter() - started)
            done += 1

    await asyncio.gather(*(lane() for _ in range(in_flight)))
    return done


WORKLOADS: dict[str, Callable[[Committer, float, list[float]], Awaitable[int]]] = {
    "groups of 100 rows": commit_groups,
    "sagas, 100 in flight": lambda c, until, seen: run_sagas(c, until, seen, 100),
    "sagas, alone": lambda c, until, seen: run_sagas(c, until, seen, 1),
}
STEP_A_ROW_WORKLOADS = {"groups of 100 rows"}  # the others would take minutes a run


@contextmanager
def folder(directory: Path | None) -> Generator[Path]:
    """Give a folder for one database."""
    with tempfile.TemporaryDirectory(dir=directory) as name:
        yield Path(name)


async def measure(
    committer_name: str, workload: str, *, load_name: str, path: Path, seconds: float
) -> Figures:
    """Run one case for *seconds*."""
    committer = COMMITTERS[committer_name](path)
    load = Load(LOADS[load_name])
    seen: list[float] = []
    started = time.perf_counter()
    units = await WORKLOADS[workload](committer, started + seconds, seen)
    took = time.perf_counter() - started
    load.stop()
    committer.close()
    return Figures(
        units / took,
        *_percentiles_ms(committer.transactions),
        *_percentiles_ms(seen),
        load.turns / took,
    )


def _percentiles_ms(times: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(times)
    return ordered[len(ordered) // 2] * 1e3, ordered[len(ordered) * 99 // 100] * 1e3


Case = tuple[str, str, str]


def compare(directory: Path | None, *, seconds: float, rounds: int) -> dict[Case, Figures]:
    """Measure every case in interleaved rounds and return the medians."""
    cases = [
        (workload, load, committer)
        for workload in WORKLOADS
        for load in LOADS
        for committer in COMMITTERS
        if committer != STEP_A_ROW or workload in STEP_A_ROW_WORKLOADS
    ]
    runs: dict[Case, list[Figures]] = {case: [] for case in cases}
    for _ in range(rounds):
        for workload, load, committer in cases:
            with folder(directory) as place:
                run = measure(
                    committer, workload, load_name=load, path=place / "c.db", seconds=seconds
                )
                runs[workload, load, committer].append(asyncio.run(run))
    return {
        case: Figures(
            *(
                statistics.median(column)
                for column in zip(*(asdict(f).values() for f in figures), strict=True)
            )
        )
        for case, figures in runs.items()
    }


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Writer thread against inline commits.")
    parser.add_argument("--seconds", type=float, default=2, help="of one run (2)")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (5)")
    parser.add_argument("--directory", type=Path, help="where the databases are made")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    table = compare(options.directory, seconds=options.seconds, rounds=options.rounds)
    heads = (
        f"{'':26}{'units/s':>10}{'transaction p50/p99':>22}{'seen p50/p99 ms':>20}{'load/s':>10}"
    )
    previous = None
    for (workload, load, committer), f in table.items():
        if (workload, load) != previous:
            print(f"\n{workload}, loop {load}\n{heads}")
            previous = (workload, load)
        transaction = f"{f.transaction_p50_ms:.2f} / {f.transaction_p99_ms:.2f}"
        seen = f"{f.seen_p50_ms:.2f} / {f.seen_p99_ms:.2f}"
        print(
            f"{committer:26}{f.units_per_second:10,.0f}{transaction:>22}{seen:>20}"
            f"{f.load_turns_per_second:10,.0f}"
        )
    if options.json:
        figures = {"; ".join(case): asdict(f) for case, f in table.items()}
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
