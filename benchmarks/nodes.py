"""One, two and three nodes on one PostgreSQL server, each a process with orders of its own.

Every node keeps so many orders in flight for some seconds. The nodes and the server share the cores
of this machine: on two of them a second node finds little room. In other runs the services are
spread: the second and third call of each order travel to another node. The CPU is that of the nodes
on which the orders began.
"""

import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.case import Case, Line, Numbers, Options, Run, of, ratio
from benchmarks.postgres import ALONE, IN_FLIGHT, MANY, PATIENCE_SECONDS, SAGAS_MAX
from benchmarks.postgres_server import LOG_POSITION, Server
from benchmarks.rivals.conversation import Worker
from benchmarks.rivals.processes import cpu_seconds
from benchmarks.rivals.workers.protocol import Reply, Request

ROUNDS = 3
WORKER = "benchmarks.rivals.workers.on_counterpoint"
EVERYTHING, ORDERS, OTHERS = "orders payments inventory", "orders", "payments inventory"
NODES = {
    "1 node": [EVERYTHING],
    "2 nodes": [EVERYTHING] * 2,
    "3 nodes": [EVERYTHING] * 3,
}
"""What each node hosts."""
HERE, APART = "1 node", "2 of 3 calls to another node"
APART_NODES = [ORDERS, OTHERS]


@dataclass(frozen=True)
class Load:
    """What is asked of every node that hosts the workflow."""

    in_flight: int
    seconds: float


def _run(folder: Path, *, server: Server, hosts: Sequence[str], load: Load) -> Numbers:
    with server.database() as name, ExitStack() as stack:
        asked: list[Worker] = []
        for number, hosted in enumerate(hosts):
            settings = {"folder": str(folder), "url": server.url(name), "hosts": hosted}
            command = [sys.executable, "-m", WORKER, json.dumps(settings)]
            worker = stack.enter_context(Worker(command, folder / f"{number}.log"))
            worker.facts()  # it has joined
            if ORDERS in hosted.split():
                asked.append(worker)
        _ask(asked, "warm", Load(load.in_flight, 0.5))
        log, used = int(server.ask(LOG_POSITION)), cpu_seconds([server.pid]) or 0.0
        replies = _ask(asked, "order", load)
        log = int(server.ask(LOG_POSITION)) - log
        used = (cpu_seconds([server.pid]) or 0.0) - used
    return _numbers(replies, used, log)


def _ask(workers: Sequence[Worker], name: str, load: Load) -> list[Reply]:
    """Let all of them begin at one moment."""

    def ask(number: int) -> Reply:
        named = f"{name}-{number}"
        request = Request(named, False, load.in_flight, load.seconds, SAGAS_MAX, PATIENCE_SECONDS)
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
    """Add nodes; then let one call activities of another one."""
    server = Server()
    seconds = 0.5 if options.quick else 2.5
    runs: dict[str, Run] = {}
    for label, in_flight in IN_FLIGHT.items():
        load = Load(in_flight, seconds)
        layouts = NODES if label == MANY else {HERE: NODES[HERE]}
        for name, hosts in {**layouts, APART: APART_NODES}.items():
            runs[f"{name}, {label}"] = partial(_run, server=server, hosts=hosts, load=load)
    one, *more = (f"{name}, {MANY}" for name in NODES)
    apart = f"{APART}, {MANY}"
    return Case(
        "Order sagas on nodes that share one PostgreSQL server, so many in flight on each",
        runs,
        [
            *(Line(f"{run}: sagas a second", of(run, "per_second")) for run in (one, *more, apart)),
            *(Line(f"{run}: ÷ 1 node", ratio(run, one, "per_second")) for run in (*more, apart)),
            Line(
                f"{APART}, {ALONE}: p50 ÷ 1 node's",
                ratio(f"{APART}, {ALONE}", f"{HERE}, {ALONE}", "p50_ms"),
            ),
        ],
        beside=server.running,
        rounds=ROUNDS,
        waits_for_disk=[name for name in runs if name.endswith(ALONE)],
        notes=server.notes,
    )
