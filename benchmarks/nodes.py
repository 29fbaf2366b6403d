"""One, two and three nodes on one PostgreSQL server, each a process with orders of its own.

Every node keeps 100 orders in flight for some seconds. The nodes and the server share the cores of
this machine: on two of them a second node finds little room.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.case import Case, Line, Numbers, Options, of, ratio
from benchmarks.postgres import IN_FLIGHT, MANY, PATIENCE_SECONDS, SAGAS_MAX
from benchmarks.postgres_server import LOG_POSITION, Server
from benchmarks.rivals.conversation import Worker
from benchmarks.rivals.processes import cpu_seconds
from benchmarks.rivals.workers.protocol import Reply, Request

NODES = {1: "1 node", 2: "2 nodes", 3: "3 nodes"}
ROUNDS = 3
WORKER = "benchmarks.rivals.workers.on_counterpoint"


def _run(folder: Path, *, server: Server, nodes: int, seconds: float) -> Numbers:
    with server.database() as name, ExitStack() as stack:
        settings = json.dumps({"folder": str(folder), "url": server.url(name)})
        command = [sys.executable, "-m", WORKER, settings]
        workers: list[Worker] = []
        for number in range(nodes):
            workers.append(stack.enter_context(Worker(command, folder / f"{number}.log")))
            workers[-1].facts()  # it has joined
        _ask(workers, "warm", seconds=0.5)
        log, used = int(server.ask(LOG_POSITION)), cpu_seconds([server.pid]) or 0.0
        replies = _ask(workers, "order", seconds=seconds)
        log = int(server.ask(LOG_POSITION)) - log
        used = (cpu_seconds([server.pid]) or 0.0) - used
    return _numbers(replies, used, log)


def _ask(workers: list[Worker], name: str, *, seconds: float) -> list[Reply]:
    """Let all of them begin at one moment."""

    def ask(number: int) -> Reply:
        named, in_flight = f"{name}-{number}", IN_FLIGHT[MANY]
        request = Request(named, False, in_flight, seconds, SAGAS_MAX, PATIENCE_SECONDS)
        return workers[number].ask(request)

    with ThreadPoolExecutor(len(workers)) as threads:
        replies = list(threads.map(ask, range(len(workers))))
    for reply in replies:
        if reply.errors or reply.unfinished:
            raise AssertionError(f"a node: {reply}")
    return replies


def _numbers(replies: list[Reply], server_cpu_seconds: float, log_bytes: int) -> Numbers:
    done = sum(reply.done for reply in replies)
    return {
        "per_second": done / max(reply.seconds for reply in replies),
        "cpu_us": sum(reply.cpu_seconds for reply in replies) / done * 1e6,
        "p50_ms": median(reply.p50_ms or 0.0 for reply in replies),
        "p99_ms": max(reply.p99_ms or 0.0 for reply in replies),
        "server_cpu_us": server_cpu_seconds / done * 1e6,
        "wal_bytes": log_bytes / done,
    }


def case(options: Options) -> Case:
    """Add nodes."""
    server = Server()
    seconds = 0.5 if options.quick else 2.5
    return Case(
        "Order sagas on nodes that share one PostgreSQL server, 100 in flight on each",
        {
            name: partial(_run, server=server, nodes=nodes, seconds=seconds)
            for nodes, name in NODES.items()
        },
        [
            *(Line(f"{name}: sagas a second", of(name, "per_second")) for name in NODES.values()),
            *(
                Line(f"{name}: ÷ {NODES[1]}", ratio(name, NODES[1], "per_second"))
                for nodes, name in NODES.items()
                if nodes > 1
            ),
        ],
        beside=server.running,
        rounds=ROUNDS,
        notes=server.notes,
    )
