"""Replay: records a second against records committed a second, and how time grows with length."""

import asyncio
import statistics
import time
from functools import partial
from pathlib import Path

import msgspec

from benchmarks import sagas
from benchmarks.case import Case, Line, Numbers, Options, Round
from benchmarks.orders import run_saga
from counterpoint import App, Service
from counterpoint.codecs.json import JsonCodec
from counterpoint.kernel.execution import Execution
from counterpoint.model import records as r
from counterpoint.model.rows import JournalRow
from counterpoint.runtime.journals import journal_records, journal_row

LENGTHS = (10, 100, 1_000, 10_000, 50_000)
SAGA_RECORDS = 8
"""Started, three times scheduled and completed, ended."""
COMMITTED = "committed, 100 in flight"
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


def _commit(folder: Path, *, sagas_: int) -> Numbers:
    figures = asyncio.run(sagas.run_engine(folder / "engine.db", run_saga, sagas_, 100))
    return {"records_per_second": figures.sagas_per_second * SAGA_RECORDS}


def _replay(_: Path, *, length: int, repeats: int) -> Numbers:
    app = App("tape", services=[tape], store="memory:")
    made = journal(length)
    records = sum(row.records for row in made)
    seconds = statistics.median(seconds_of(app, made) for _ in range(repeats))
    return {
        "records_count": records,
        "ms": seconds * 1e3,
        "records_per_second": records / seconds,
    }


def _name(length: int) -> str:
    return f"{length:,} records"


def _over_committed(length: int) -> Line:
    def value(found: Round) -> float:
        committed = found[COMMITTED]["records_per_second"]
        return found[_name(length)]["records_per_second"] / committed

    what = f"replay of {_name(length)}: records a second ÷ committed"
    return Line(what, value, at_least=10, detail=length not in (10, 1_000, 50_000))


def case(options: Options) -> Case:
    """Replay journals of growing length; compare with what the same machine commits."""
    lengths = LENGTHS[:3] if options.quick else LENGTHS
    short, long_ = _name(100), _name(lengths[-1])

    def linear(found: Round) -> float:
        return found[long_]["records_per_second"] / found[short]["records_per_second"]

    return Case(
        "Replay by length of the journal, beside what the same machine commits",
        {
            COMMITTED: partial(_commit, sagas_=options.count(4_000, 300)),
            **{
                _name(length): partial(_replay, length=length, repeats=max(3, 2_000 // length))
                for length in lengths
            },
        },
        [
            *(_over_committed(length) for length in lengths),
            # Linear, less what caches and the collector take: a square would be at 0.002.
            Line(f"replay is linear: speed at {long_} ÷ at {short}", linear, at_least=0.67),
        ],
    )
