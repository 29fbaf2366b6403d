"""Orders on PostgreSQL, beside a bare loop over the same driver and beside DBOS on the same server.

One server runs for the whole case; every run gets an empty database on it. DBOS runs in a process
and an environment of its own, which `python -m benchmarks.rivals --install-only` makes; without it
the case says so and goes on. Its figures end with the sagas that were started within some seconds,
not with a number of them.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from benchmarks import bare, bare_postgres
from benchmarks.bare import Figures
from benchmarks.case import Case, Line, Numbers, Options, Run, of, ratio
from benchmarks.choreographed import flows_of
from benchmarks.choreographed import make_app as make_flows_app
from benchmarks.load import Around, keep_in_flight, numbers_of
from benchmarks.orders import make_app, run_saga, run_twin
from benchmarks.postgres_server import Server, Watch
from benchmarks.rivals import environments
from benchmarks.rivals.conversation import Worker
from benchmarks.rivals.processes import cpu_seconds
from benchmarks.rivals.workers.protocol import Reply, Request
from counterpoint import App

MANY, ALONE = "100 in flight", "alone"
IN_FLIGHT = {MANY: 100, ALONE: 1}
SAGA, TWIN, FLOW = "order saga", "failing twin", "choreographed flow"
BARE, BARE_TWIN, DBOS = "bare loop, 4 rows", "bare loop, 6 rows", "DBOS"
ROWS = {BARE: bare.SAGA_ROWS, BARE_TWIN: bare.TWIN_ROWS}
SAGAS_MAX = 1_000_000
RUN_SECONDS_MAX = 120
PATIENCE_SECONDS = 30.0
NO_DBOS = "DBOS is not installed: `python -m benchmarks.rivals --install-only dbos` does it"

Load = Callable[[App, int, int, Around], Awaitable[Figures]]


async def _sagas(app: App, count: int, in_flight: int, around: Around) -> Figures:
    return await keep_in_flight(lambda name: run_saga(app, name), count, in_flight, around)


async def _twins(app: App, count: int, in_flight: int, around: Around) -> Figures:
    return await keep_in_flight(lambda name: run_twin(app, name), count, in_flight, around)


LOADS: dict[str, tuple[Callable[[str], App], Load]] = {
    SAGA: (make_app, _sagas),
    TWIN: (make_app, _twins),
    FLOW: (make_flows_app, flows_of),
}


async def run_engine(
    url: str, kind: str, count: int, in_flight: int, watch: Callable[[App], Around]
) -> Figures:
    """Run orders of one kind in an empty database and return the figures."""
    make, load = LOADS[kind]
    async with make(url) as app, asyncio.timeout(RUN_SECONDS_MAX):
        return await load(app, count, in_flight, watch(app))


def _engine(_: Path, *, server: Server, kind: str, count: int, in_flight: int) -> Numbers:
    watch = Watch(server)
    with server.database() as name:
        run = run_engine(
            server.url(name), kind, count, in_flight, lambda app: watch.of(lambda: commits_of(app))
        )
        figures = asyncio.run(run)
    return {**numbers_of(figures), **watch.each(count)}


def commits_of(app: App) -> int:
    """Return how many commits the app has made."""
    return app.health().commits


def _bare(_: Path, *, server: Server, rows: int, count: int, in_flight: int) -> Numbers:
    watch = Watch(server)
    with server.database() as name:
        run = bare_postgres.run(
            server.url(name),
            sagas=count,
            rows=rows,
            in_flight=in_flight,
            watch=lambda writer: watch.of(lambda: writer.commits),
        )
        figures = asyncio.run(run)
    return {**numbers_of(figures), **watch.each(count)}


def _dbos(folder: Path, *, server: Server, twin: bool, seconds: float, in_flight: int) -> Numbers:
    with (
        server.database() as name,
        Worker(_command(server, name, folder), folder / "worker.log") as worker,
    ):
        worker.facts()
        worker.ask(_request("warm", twin, 0.5, 10))
        before = cpu_seconds([server.pid])
        reply = worker.ask(_request("order", twin, seconds, in_flight))
        after = cpu_seconds([server.pid])
    return {
        **numbers_of(_figures(reply)),
        "server_cpu_us": ((after or 0) - (before or 0)) / reply.done * 1e6,
    }


def _command(server: Server, database: str, folder: Path) -> list[str]:
    settings = {"folder": str(folder), "url": server.url(database, "+psycopg")}
    interpreter = str(environments.python_of("dbos"))
    return [interpreter, "-m", "benchmarks.rivals.workers.on_dbos", json.dumps(settings)]


def _request(name: str, twin: bool, seconds: float, in_flight: int) -> Request:
    return Request(name, twin, in_flight, seconds, SAGAS_MAX, PATIENCE_SECONDS)


def _figures(reply: Reply) -> Figures:
    if reply.errors or reply.unfinished or not reply.done:
        raise AssertionError(f"DBOS: {reply}")
    cpu_us = reply.cpu_seconds / reply.done * 1e6
    rate = reply.done / reply.seconds
    return Figures(rate, cpu_us, reply.p50_ms or 0.0, reply.p99_ms or 0.0)


def _runs(server: Server, options: Options, *, dbos: bool) -> dict[str, Run]:
    runs: dict[str, Run] = {}
    for label, in_flight in IN_FLIGHT.items():
        many = in_flight > 1
        count = options.count(4_000, 200) if many else options.count(200, 20)
        for name, rows in ROWS.items():
            runs[f"{name}, {label}"] = partial(
                _bare, server=server, rows=rows, count=count, in_flight=in_flight
            )
        for kind in LOADS:
            runs[f"{kind}, {label}"] = partial(
                _engine, server=server, kind=kind, count=count, in_flight=in_flight
            )
    if dbos:
        for kind, twin in ((SAGA, False), (TWIN, True)):
            seconds = 0.5 if options.quick else 2.0
            runs[f"{DBOS}, {kind}, {MANY}"] = partial(
                _dbos, server=server, twin=twin, seconds=seconds, in_flight=IN_FLIGHT[MANY]
            )
    return runs


def _lines(*, dbos: bool) -> list[Line]:
    lines: list[Line] = []
    for kind, least in ((SAGA, BARE), (TWIN, BARE_TWIN)):
        run, over = f"{kind}, {MANY}", f"{least}, {MANY}"
        lines += [
            Line(f"{run}: sagas a second", of(run, "per_second")),
            Line(f"{run}: ÷ bare loop", ratio(run, over, "per_second"), at_least=0.5),
            Line(f"{run}: CPU ÷ bare loop's", ratio(run, over, "cpu_us")),
            Line(f"{run}: the server's CPU ÷ bare loop's", ratio(run, over, "server_cpu_us")),
            Line(f"{run}: bytes of the server's log ÷ bare loop's", ratio(run, over, "wal_bytes")),
        ]
        if dbos:
            rival = f"{DBOS}, {kind}, {MANY}"
            lines.append(Line(f"{run}: ÷ DBOS", ratio(run, rival, "per_second"), at_least=20))
    for kind, least in ((SAGA, BARE), (TWIN, BARE_TWIN)):
        run = f"{kind}, {ALONE}"
        lines.append(Line(f"{run}: p50 ÷ bare loop's", ratio(run, f"{least}, {ALONE}", "p50_ms")))
    flow = f"{FLOW}, {MANY}"
    return [
        *lines,
        Line(f"{flow}: flows a second", of(flow, "per_second")),
        Line(f"{flow}: ÷ order sagas", ratio(flow, f"{SAGA}, {MANY}", "per_second")),
    ]


def case(options: Options) -> Case:
    """Compare every kind of order with the bare loop and DBOS, in the same rounds."""
    server = Server()
    dbos = environments.python_of("dbos").exists()
    runs = _runs(server, options, dbos=dbos)
    if not dbos:
        server.notes.append(NO_DBOS)
    return Case(
        "Orders on PostgreSQL (3 steps each), beside a bare loop over the same driver",
        runs,
        _lines(dbos=dbos),
        beside=server.running,
        waits_for_disk=[name for name in runs if name.endswith(ALONE)],
        notes=server.notes,
    )
