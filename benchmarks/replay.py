"""Replay: records a second against records committed a second, and how time grows with length."""

import asyncio
import contextlib
import statistics
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec

from benchmarks import sagas
from benchmarks.bare import Figures
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


def seconds_of(app: App, rows: list[JournalRow]) -> tuple[float, float]:
    """Return the time and the CPU that it takes to bring an execution to where the rows end."""
    program = app.registry.program("tape.long")
    assert program is not None
    started, cpu_started = time.perf_counter(), time.thread_time()
    execution = Execution("one", 1, program)
    execution.replay(journal_records(rows, codec))
    seconds, cpu = time.perf_counter() - started, time.thread_time() - cpu_started
    assert execution.divergence is None, execution.divergence
    execution.evict()
    return seconds, cpu


def _commit(folder: Path, *, sagas_: int) -> Numbers:
    figures = asyncio.run(sagas.run_engine(folder / "engine.db", run_saga, sagas_, 100))
    return {
        "of_a_record_cpu_us": figures.cpu_us_per_saga / SAGA_RECORDS,
        "records_per_second": figures.sagas_per_second * SAGA_RECORDS,
    }


def _replay(_: Path, *, length: int, repeats: int) -> Numbers:
    app = App("tape", services=[tape], store="memory:")
    made = journal(length)
    records = sum(row.records for row in made)
    taken = [seconds_of(app, made) for _ in range(repeats)]
    seconds, cpu = (statistics.median(column) for column in zip(*taken, strict=True))
    return {
        "records_count": records,
        "ms": seconds * 1e3,
        "of_a_record_cpu_us": cpu / records * 1e6,
        "records_per_second": records / seconds,
    }


def replay_often(count: int, around: contextlib.AbstractContextManager[object]) -> Figures:
    """Replay *count* records inside *around*, a thousand at a time; a unit of work is a record."""
    app = App("tape", services=[tape], store="memory:")
    made = journal(1_000)
    records = sum(row.records for row in made)
    latencies: list[float] = []
    seconds_of(app, made)
    with around:
        started, cpu_started = time.perf_counter(), time.process_time()
        while len(latencies) < count:
            seconds, _cpu = seconds_of(app, made)
            latencies += [seconds / records] * records
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu_started
    return Figures.of(seconds, cpu, latencies)


def _name(length: int) -> str:
    return f"{length:,} records"


def _over_committed(length: int) -> Sequence[Line]:
    """Return the line of the goal, and the same in CPU: a busy machine takes less from that one."""

    def rate(found: Round) -> float:
        committed = found[COMMITTED]["records_per_second"]
        return found[_name(length)]["records_per_second"] / committed

    def cpu(found: Round) -> float:
        committed = found[COMMITTED]["of_a_record_cpu_us"]
        return committed / found[_name(length)]["of_a_record_cpu_us"]

    what, detail = f"replay of {_name(length)}", length not in (10, 1_000, 50_000)
    return (
        Line(f"{what}: records a second ÷ committed", rate, at_least=10, detail=detail),
        Line(f"{what}: records of a CPU second ÷ committed", cpu, detail=detail),
    )


def case(options: Options) -> Case:
    """Replay journals of growing length; compare with what the same machine commits."""
    lengths = LENGTHS[:3] if options.quick else LENGTHS
    short, long_ = _name(100), _name(lengths[-1])

    def growth(found: Round) -> float:
        return found[long_]["of_a_record_cpu_us"] / found[short]["of_a_record_cpu_us"]

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
            *(line for length in lengths for line in _over_committed(length)),
            # Linear, but for caches and the collector: were it a square, 500 times.
            Line(f"replay is linear: CPU of a record, {long_} ÷ {short}", growth, at_most=1.5),
        ],
        notes=[
            "Beside other processes short journals are replayed between two turns of theirs, "
            "long ones are not: compare lengths by their CPU."
        ],
    )
