"""Order saga, failing twin and choreographed order beside the bare loop, many in flight and alone.

A flow is one published event, three reactions in a row and the three events that they return; it
counts until the last event is durable.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from benchmarks import bare
from benchmarks.bare import Figures
from benchmarks.case import Case, Line, Numbers, Options, Run, of, ratio
from benchmarks.choreographed import run_flows
from benchmarks.load import keep_in_flight, numbers_of
from benchmarks.orders import make_app, run_saga, run_twin
from counterpoint import App

RunOne = Callable[[App, str], Awaitable[None]]
MANY, ALONE = "100 in flight", "alone"
IN_FLIGHT = {MANY: 100, ALONE: 1}
BARE, BARE_TWIN = "bare loop, 4 rows", "bare loop, 6 rows"


async def run_engine(
    path: Path,
    run: RunOne,
    sagas: int,
    in_flight: int,
    around: contextlib.AbstractContextManager[object] | None = None,
) -> Figures:
    """Run *sagas* on the database at *path* and return the figures."""
    async with make_app(path) as app:
        return await keep_in_flight(lambda name: run(app, name), sagas, in_flight, around)


def measure_engine(directory: Path | None, run: RunOne, sagas: int, in_flight: int) -> Figures:
    """Run *sagas* on a new database and return the figures."""
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        return asyncio.run(run_engine(Path(folder, "engine.db"), run, sagas, in_flight))


def _engine(folder: Path, *, run: RunOne, count: int, in_flight: int) -> Numbers:
    return numbers_of(asyncio.run(run_engine(folder / "engine.db", run, count, in_flight)))


def _flows(folder: Path, *, count: int, in_flight: int) -> Numbers:
    return numbers_of(asyncio.run(run_flows(folder / "flows.db", count, in_flight)))


def _bare(folder: Path, *, rows: int, count: int, in_flight: int) -> Numbers:
    return numbers_of(bare.measure(folder, sagas=count, rows=rows, in_flight=in_flight))


def _runs(many: int, alone: int) -> dict[str, Run]:
    runs: dict[str, Run] = {}
    for label, in_flight in IN_FLIGHT.items():
        count = many if in_flight > 1 else alone
        runs |= {
            f"{BARE}, {label}": partial(
                _bare, rows=bare.SAGA_ROWS, count=count, in_flight=in_flight
            ),
            f"order saga, {label}": partial(
                _engine, run=run_saga, count=count, in_flight=in_flight
            ),
            f"choreographed flow, {label}": partial(_flows, count=count, in_flight=in_flight),
            f"{BARE_TWIN}, {label}": partial(
                _bare, rows=bare.TWIN_ROWS, count=count, in_flight=in_flight
            ),
            f"failing twin, {label}": partial(
                _engine, run=run_twin, count=count, in_flight=in_flight
            ),
        }
    return runs


def _lines() -> list[Line]:
    saga, twin, flow = (
        f"{kind}, {MANY}" for kind in ("order saga", "failing twin", "choreographed flow")
    )
    least, least_twin = f"{BARE}, {MANY}", f"{BARE_TWIN}, {MANY}"
    alone = {
        "order saga": f"{BARE}, {ALONE}",
        "failing twin": f"{BARE_TWIN}, {ALONE}",
    }
    return [
        Line(f"{saga}: sagas a second", of(saga, "per_second")),
        Line(f"{saga}: ÷ bare loop", ratio(saga, least, "per_second"), at_least=0.5),
        Line(f"{saga}: CPU ÷ bare loop's", ratio(saga, least, "cpu_us"), at_most=2),
        Line(f"{twin}: sagas a second", of(twin, "per_second")),
        Line(f"{twin}: ÷ bare loop", ratio(twin, least_twin, "per_second"), at_least=0.5),
        Line(f"{twin}: CPU ÷ bare loop's", ratio(twin, least_twin, "cpu_us"), at_most=2),
        *(
            Line(
                f"{kind}, {ALONE}: p50 ÷ bare loop's",
                ratio(f"{kind}, {ALONE}", over, "p50_ms"),
                at_most=1.5,
            )
            for kind, over in alone.items()
        ),
        Line(f"{flow}: flows a second", of(flow, "per_second")),
        Line(f"{flow}: ÷ order sagas", ratio(flow, saga, "per_second"), at_least=1),
    ]


def case(options: Options) -> Case:
    """Compare every kind of order with the bare loop, in the same rounds."""
    runs = _runs(options.count(8_000, 300), options.count(300, 20))
    return Case(
        "Orders on SQLite (3 steps each), beside the bare loop",
        runs,
        _lines(),
        waits_for_disk=[name for name in runs if name.endswith(ALONE)],
    )
