"""The order saga and its failing twin beside the bare loop, in interleaved rounds."""

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import bare
from benchmarks.bare import Figures
from benchmarks.orders import make_app, run_saga, run_twin
from benchmarks.table import Options, Table
from counterpoint import App

Run = Callable[[App, str], Awaitable[None]]
CASES = {
    "saga, 100 in flight": (run_saga, bare.SAGA_ROWS, 100),
    "failing twin, 100 in flight": (run_twin, bare.TWIN_ROWS, 100),
    "saga, alone": (run_saga, bare.SAGA_ROWS, 1),
    "failing twin, alone": (run_twin, bare.TWIN_ROWS, 1),
}
HEADINGS = (
    "case",
    "sagas/s",
    "CPU µs",
    "p50 ms",
    "p99 ms",
    "bare sagas/s",
    "CPU µs",
    "p50 ms",
    "sagas/s ratio",
    "CPU ratio",
    "p50 ratio",
)
RATIO_GOALS = {"saga, 100 in flight": "≥ 0.50", "saga, alone": "p50 ratio ≤ 1.50"}


async def run_engine(path: Path, run: Run, sagas: int, in_flight: int) -> Figures:
    """Run *sagas* on the database at *path* and return the figures."""
    numbers = iter(range(sagas))
    latencies: list[float] = []
    async with make_app(path) as app:
        for number in range(min(50, sagas)):  # the first ones compile statements and codecs
            await run(app, f"warm-{number}")

        async def lane() -> None:
            for number in numbers:
                started = time.perf_counter()
                await run(app, f"order-{number:08}")
                latencies.append(time.perf_counter() - started)

        started, cpu_started = time.perf_counter(), time.process_time()
        await asyncio.gather(*(lane() for _ in range(in_flight)))
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    return Figures.of(seconds, cpu_seconds, latencies)


def measure_engine(directory: Path | None, run: Run, sagas: int, in_flight: int) -> Figures:
    """Run *sagas* on a new database and return the figures."""
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        return asyncio.run(run_engine(Path(folder, "engine.db"), run, sagas, in_flight))


def measure(options: Options) -> Table:
    """Compare every case with the bare loop's, in the same rounds."""
    rounds, sagas = (1, 1_000) if options.quick else (5, 10_000)
    engine: dict[str, list[Figures]] = {name: [] for name in CASES}
    loop: dict[str, list[Figures]] = {name: [] for name in CASES}
    for _ in range(rounds):
        for name, (run, rows, in_flight) in CASES.items():
            count = sagas if in_flight > 1 else max(200, sagas // 20)
            loop[name].append(
                bare.measure(options.directory, sagas=count, rows=rows, in_flight=in_flight)
            )
            engine[name].append(measure_engine(options.directory, run, count, in_flight))
    rows_ = [_row(name, bare.median(engine[name]), bare.median(loop[name])) for name in CASES]
    return Table(
        "Order saga on SQLite, beside the bare loop (medians of interleaved rounds)",
        HEADINGS,
        rows_,
        {
            name: {
                "engine": asdict(bare.median(engine[name])),
                "bare": asdict(bare.median(loop[name])),
                "rounds": [asdict(figures) for figures in engine[name]],
            }
            for name in CASES
        },
        [f"goals: {', '.join(f'{name}: {goal}' for name, goal in RATIO_GOALS.items())}"],
    )


def _row(name: str, mine: Figures, least: Figures) -> Sequence[str]:
    return [
        name,
        f"{mine.sagas_per_second:,.0f}",
        f"{mine.cpu_us_per_saga:.0f}",
        f"{mine.p50_ms:.2f}",
        f"{mine.p99_ms:.2f}",
        f"{least.sagas_per_second:,.0f}",
        f"{least.cpu_us_per_saga:.0f}",
        f"{least.p50_ms:.2f}",
        f"{mine.sagas_per_second / least.sagas_per_second:.2f}",
        f"{mine.cpu_us_per_saga / least.cpu_us_per_saga:.2f}",
        f"{mine.p50_ms / least.p50_ms:.2f}",
    ]


async def _count(path: Path, run: Run) -> tuple[int, int, int]:
    async with make_app(path) as app:
        await run(app, "warm")
        await app.idle()
        commits, (journal, executions) = app.health().commits, _rows(path)
        await run(app, "counted")
        await app.idle()
        journal_after, executions_after = _rows(path)
        return (
            app.health().commits - commits,
            journal_after - journal,
            executions_after - executions,
        )


def _rows(path: Path) -> tuple[int, int]:
    connection = sqlite3.connect(path)
    journal, executions = (
        connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
        for table in ("journal", "executions")
    )
    connection.close()
    return journal, executions


def count_writes(options: Options) -> Table:
    """Count what one saga alone writes."""
    rows: list[list[str]] = []
    figures: dict[str, dict[str, int]] = {}
    for name, run, goal in (("saga", run_saga, 4), ("failing twin", run_twin, 6)):
        with tempfile.TemporaryDirectory(dir=options.directory) as folder:
            commits, journal, executions = asyncio.run(_count(Path(folder, "engine.db"), run))
        rows.append([name, str(commits), str(journal), str(executions), str(goal)])
        figures[name] = {"commits": commits, "journal_rows": journal, "execution_rows": executions}
    headings = ["one alone", "commits", "journal rows", "execution rows", "goal (commits)"]
    return Table("What one order saga writes", headings, rows, figures)
