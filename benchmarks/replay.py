"""Replay: records a second against records committed a second, and how time grows with length."""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import msgspec

from benchmarks import sagas
from benchmarks.orders import run_saga
from benchmarks.table import Options, Table
from counterpoint import App, Service
from counterpoint.codecs.json import JsonCodec
from counterpoint.kernel.execution import Execution
from counterpoint.model import records as r
from counterpoint.model.rows import JournalRow
from counterpoint.runtime.journals import journal_records, journal_row

LENGTHS = (10, 100, 1_000, 10_000, 50_000)
SAGA_RECORDS = 8
"""Started, three times scheduled and completed, ended."""
tape = Service("tape")
codec = JsonCodec()


@tape.activity
async def step(number: int) -> dict[str, int]:
    return {"number": number}


@tape.workflow
async def long(steps: int) -> int:
    total = 0
    for number in range(steps):
        total += (await step(number))["number"]
    return total


def journal(length: int) -> list[JournalRow]:
    """Return the rows of about *length* records of an execution that waits for its last call."""
    steps = length // 2
    arguments = msgspec.Raw(b'{"steps":%d}' % (steps + 1))
    records: list[r.Record] = [r.Started(1, "tape.long", 1, arguments)]
    rows: list[JournalRow] = []
    seq = 1
    for number in range(1, steps + 1):
        call = r.CallScheduled(number, "tape.step", msgspec.Raw(b'{"number":%d}' % number))
        rows.append(journal_row(1, seq, [*records, call], codec))
        seq += len(records) + 1
        records = [r.CallCompleted(number + 1, number, msgspec.Raw(b'{"number":%d}' % number))]
    last = r.CallScheduled(steps + 1, "tape.step", msgspec.Raw(b'{"number":0}'))
    rows.append(journal_row(1, seq, [*records, last], codec))
    return rows


def seconds_of(app: App, rows: list[JournalRow]) -> float:
    """Return how long it takes to read the rows and bring an execution to where they end."""
    program = app.registry.program("tape.long")
    assert program is not None
    started = time.perf_counter()
    execution = Execution("one", 1, program)
    execution.replay(journal_records(rows, codec))
    seconds = time.perf_counter() - started
    assert execution.divergence is None, execution.divergence
    execution.evict()
    return seconds


def measure(options: Options) -> Table:
    """Replay journals of growing length; compare with what the same machine commits."""
    app = App("tape", services=[tape], store="memory:")
    with tempfile.TemporaryDirectory(dir=options.directory) as folder:
        count = 500 if options.quick else 10_000
        committed = asyncio.run(sagas.run_engine(Path(folder, "engine.db"), run_saga, count, 100))
    written = committed.sagas_per_second * SAGA_RECORDS
    rows: list[list[str]] = []
    figures: dict[str, object] = {"committed_records_per_second": written}
    for length in LENGTHS[:3] if options.quick else LENGTHS:
        made = journal(length)
        records = sum(row.records for row in made)
        rounds = max(3, 2_000 // length)
        seconds = statistics.median(seconds_of(app, made) for _ in range(rounds))
        rate = records / seconds
        rows.append(
            [f"{records:,}", f"{seconds * 1e3:.2f}", f"{rate:,.0f}", f"{rate / written:.1f}"]
        )
        figures[f"{length}"] = {"records": records, "seconds": seconds}
    headings = ["records", "ms", "records/s", "÷ committed records/s"]
    notes = [f"committed at 100 in flight: {written:,.0f} records/s; goal: linear, at least 10"]
    return Table("Replay", headings, rows, figures, notes)
