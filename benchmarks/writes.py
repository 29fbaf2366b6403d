"""What one order saga alone writes: commits and rows."""

import asyncio
import sqlite3
from functools import partial
from pathlib import Path

from benchmarks.case import Case, Line, Numbers, Options, of
from benchmarks.orders import make_app, run_saga, run_twin
from benchmarks.sagas import RunOne


async def _count(path: Path, run: RunOne) -> Numbers:
    async with make_app(path) as app:
        await run(app, "warm")
        await app.idle()
        commits, (journal, executions) = app.health().commits, _rows(path)
        await run(app, "counted")
        await app.idle()
        journal_after, executions_after = _rows(path)
        return {
            "commits_count": app.health().commits - commits,
            "journal_rows_count": journal_after - journal,
            "execution_rows_count": executions_after - executions,
        }


def _rows(path: Path) -> tuple[int, int]:
    connection = sqlite3.connect(path)
    journal, executions = (
        connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
        for table in ("journal", "executions")
    )
    connection.close()
    return journal, executions


def _run(folder: Path, *, run: RunOne) -> Numbers:
    return asyncio.run(_count(folder / "engine.db", run))


def case(_: Options) -> Case:
    """Count; nothing is timed."""
    return Case(
        "What one order saga alone writes",
        {"order saga": partial(_run, run=run_saga), "failing twin": partial(_run, run=run_twin)},
        [
            Line("commits of an order saga alone", of("order saga", "commits_count"), at_most=4),
            Line("commits of its failing twin", of("failing twin", "commits_count"), at_most=6),
        ],
        rounds=1,
    )
