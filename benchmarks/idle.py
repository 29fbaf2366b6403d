"""What nodes cost that have nothing to do: queries and CPU, of the node and of the server."""

import asyncio
import contextlib
import time
from functools import partial
from pathlib import Path

from benchmarks.case import Case, Line, Numbers, Options, of
from benchmarks.orders import make_app, run_saga
from benchmarks.postgres_server import Server
from benchmarks.rivals.processes import cpu_seconds
from benchmarks.round_trips import Counter

NODES = {1: "1 idle node", 3: "3 idle nodes, each"}
QUERIES_MAX = 5
CPU_US_MAX = 10_000
"""A hundredth of a core."""
SETTLE_SECONDS = 2.0


def _run(_: Path, *, server: Server, nodes: int, seconds: float) -> Numbers:
    counter = Counter()

    async def run(database: str) -> Numbers:
        async with contextlib.AsyncExitStack() as stack:
            for number in range(nodes):
                port = await stack.enter_async_context(counter.before(server.port))
                url = f"postgresql://postgres@127.0.0.1:{port}/{database}?sslmode=disable"
                app = await stack.enter_async_context(make_app(url))
                await run_saga(app, f"order-{number}")
            await asyncio.sleep(SETTLE_SECONDS)
            before = counter.round_trips, time.process_time(), cpu_seconds([server.pid]) or 0.0
            await asyncio.sleep(seconds)
            after = counter.round_trips, time.process_time(), cpu_seconds([server.pid]) or 0.0
        trips, cpu, server_cpu = (
            (late - soon) / seconds / nodes for late, soon in zip(after, before, strict=True)
        )
        return {
            "queries_count": trips,
            "cpu_us": cpu * 1e6,
            "server_cpu_us": server_cpu * 1e6,
        }

    with server.database() as name:
        return asyncio.run(run(name))


def case(options: Options) -> Case:
    """Wait beside nodes."""
    server = Server()
    seconds = 2.0 if options.quick else 10.0
    lines: list[Line] = []
    for name in NODES.values():
        lines += [
            Line(f"{name}: queries a second", of(name, "queries_count"), at_most=QUERIES_MAX),
            Line(f"{name}: CPU a second", of(name, "cpu_us"), "µs", at_most=CPU_US_MAX),
        ]
    return Case(
        "Nodes on PostgreSQL that have nothing to do, in a second",
        {
            name: partial(_run, server=server, nodes=nodes, seconds=seconds)
            for nodes, name in NODES.items()
        },
        lines,
        beside=server.running,
        rounds=1,
        notes=server.notes,
    )
