"""What orders write to PostgreSQL: round trips, rows, bytes of the log, bytes on disk.

The bytes of the log and on disk are those of many orders with 100 in flight, after a checkpoint;
`full pages` are the pages that the log holds whole because they were first changed after it.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import asyncpg

from benchmarks.case import Case, Line, Numbers, Options, Run, of
from benchmarks.load import WARM_UP
from benchmarks.postgres import ALONE, IN_FLIGHT, LOADS, MANY, SAGA, TWIN, commits_of
from benchmarks.postgres_server import Server, run_apart
from benchmarks.round_trips import Counter
from counterpoint import App

SCHEMA = "counterpoint"
TABLES = ("executions", "journal", "events", "reactions")
LOGGED = "SELECT wal_bytes::bigint, wal_records, wal_fpi FROM pg_stat_wal"
SIZES = """
SELECT relname, pg_total_relation_size(oid) FROM pg_class
WHERE relkind = 'r' AND relnamespace = to_regnamespace($1)
"""


class Tally(contextlib.AbstractContextManager[None]):
    """Counts round trips and commits while a block is open."""

    def __init__(self, app: App, counter: Counter) -> None:
        self._app, self._counter = app, counter
        self.numbers: dict[str, float] = {}

    def _now(self) -> dict[str, float]:
        counter = self._counter
        return {
            "round_trips_count": counter.round_trips,
            "commits_count": commits_of(self._app),
            "sent_bytes": counter.sent_bytes,
            "received_bytes": counter.received_bytes,
        }

    def __enter__(self) -> None:
        self._before = self._now()

    def __exit__(self, *_: object) -> None:
        after = self._now()
        self.numbers = {name: after[name] - before for name, before in self._before.items()}


def _trips(_: Path, *, server: Server, kind: str, count: int, in_flight: int) -> Numbers:
    async def run(database: str) -> Mapping[str, float]:
        make, load = LOADS[kind]
        counter = Counter()
        async with (
            counter.before(server.port) as port,
            make(f"postgresql://postgres@127.0.0.1:{port}/{database}?sslmode=disable") as app,
        ):
            tally = Tally(app, counter)
            await load(app, count, in_flight, tally)
            return tally.numbers

    with server.database() as name:
        numbers = asyncio.run(run(name))
    return {name: number / count for name, number in numbers.items()}


def _weigh(_: Path, *, server: Server, kind: str, count: int) -> Numbers:
    make, load = LOADS[kind]

    async def run(url: str, orders: int) -> None:
        async with make(url) as app:
            if orders:
                await load(app, orders, IN_FLIGHT[MANY], contextlib.nullcontext())

    with server.database() as name:
        asyncio.run(run(server.url(name), 0))  # makes the schema
        server.ask("CHECKPOINT")
        before = run_apart(_weights(server.url(name)))
        asyncio.run(run(server.url(name), count))
        after = run_apart(_weights(server.url(name)))
    orders = count + min(WARM_UP, count)
    return {what: (after[what] - before[what]) / orders for what in after}


async def _weights(url: str) -> dict[str, int]:
    connection = await asyncpg.connect(url)
    try:
        logged = await connection.fetchrow(LOGGED)
        sizes: dict[str, int] = dict(await connection.fetch(SIZES, SCHEMA))
    finally:
        await connection.close()
    return {
        "log_bytes": logged[0],
        "log_records_count": logged[1],
        "full_pages_count": logged[2],
        **{f"{table}_bytes": sizes.get(table, 0) for table in TABLES},
    }


def case(options: Options) -> Case:
    """Count and weigh; nothing is timed."""
    server = Server()
    runs: dict[str, Run] = {}
    for label, in_flight in IN_FLIGHT.items():
        count = options.count(2_000, 200) if in_flight > 1 else options.count(50, 20)
        for kind in LOADS:
            runs[f"{kind}, {label}"] = partial(
                _trips, server=server, kind=kind, count=count, in_flight=in_flight
            )
    weighed = options.count(5_000, 200)
    for kind in LOADS:
        runs[kind] = partial(_weigh, server=server, kind=kind, count=weighed)
    return Case(
        "What orders write to PostgreSQL, each",
        runs,
        [
            *(
                Line(f"round trips of {words} alone", of(f"{kind}, {ALONE}", "round_trips_count"))
                for kind, words in ((SAGA, "an order saga"), (TWIN, "its failing twin"))
            ),
            *(
                Line(f"bytes of the server's log: {kind}", of(kind, "log_bytes"), "bytes")
                for kind in LOADS
            ),
        ],
        beside=server.running,
        rounds=1,
        notes=server.notes,
    )
