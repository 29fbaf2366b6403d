"""Signals to one workflow: from the node that hosts it, and from another process (the mailbox).

A signal is sent when whoever sent it has been told that it is durable, and received when the
workflow has recorded it. A round trip is one signal, alone, until its sender has the result of the
workflow that waited for it.
"""

import asyncio
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.case import Case, Line, Numbers, Options, of
from benchmarks.children import beside
from benchmarks.units import share
from counterpoint import App, Service, workflow
from counterpoint.runtime.client import Client

LANES = 100
desk = Service("desk")


@desk.workflow
async def collect(count: int) -> int:
    total = 0
    for _ in range(count):
        total += await workflow.signal("item", type=int)
    return total


@desk.workflow
async def echo() -> int:
    return await workflow.signal("item", type=int)


def make_app(path: Path) -> App:
    """Return the app on a database at *path*."""
    return App("desk", services=[desk], store=f"sqlite:///{path}")


async def send_all(client: Client, to: str, count: int) -> float:
    """Send *count* signals, many at a time; return the seconds until all are durable."""
    numbers = iter(range(count))
    execution = client.execution(to)

    async def lane() -> None:
        for _ in numbers:
            await execution.signal("item", 1)

    started = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(LANES)))
    return time.perf_counter() - started


async def round_trips(client: Client, count: int, name: str = "echo") -> list[float]:
    """Return the seconds that each of *count* round trips took, one after the other."""
    seconds: list[float] = []
    for number in range(count):
        execution = await client.start(echo, id=f"{name}-{number}")
        started = time.perf_counter()
        await execution.signal("item", number)
        assert await execution.result() == number
        seconds.append(time.perf_counter() - started)
    return seconds


def be_the_other(path: str, to: str, count: int, trips: int) -> dict[str, Any]:
    """Send from another process."""

    async def send() -> dict[str, Any]:
        async with make_app(Path(path)).client() as client:
            began = time.time()
            sent = await send_all(client, to, count)
            return {"began": began, "sent": sent, "trips": await round_trips(client, trips)}

    return asyncio.run(send())


def _numbers(count: int, sent: float, received: float, trips: list[float]) -> Numbers:
    return {
        "sent_per_second": count / sent,
        "received_per_second": count / received,
        "round_trip_p50_ms": share(trips, 50) * 1e3,
        "round_trip_p99_ms": share(trips, 99) * 1e3,
    }


async def _on_the_node(path: Path, count: int, trips: int) -> Numbers:
    async with make_app(path) as app:
        await round_trips(app, 10, "warm")
        execution = await app.start(collect, count, id="collector")
        began = time.perf_counter()
        sent = await send_all(app, execution.id, count)
        assert await execution.result() == count
        received = time.perf_counter() - began
        return _numbers(count, sent, received, await round_trips(app, trips))


async def _through_the_mailbox(path: Path, count: int, trips: int) -> Numbers:
    async with make_app(path) as app:
        execution = await app.start(collect, count, id="collector")

        async def received() -> float:
            assert await execution.result() == count
            return time.time()

        arguments = {"path": str(path), "to": execution.id, "count": count, "trips": trips}
        async with asyncio.TaskGroup() as group:
            other = group.create_task(beside("benchmarks.signals:be_the_other", **arguments))
            ended = group.create_task(received())
        told = other.result()
        return _numbers(count, told["sent"], ended.result() - told["began"], told["trips"])


def on_the_node(folder: Path, *, count: int, trips: int) -> Numbers:
    """Send from the process that hosts the workflow."""
    return asyncio.run(_on_the_node(folder / "signals.db", count, trips))


def through_the_mailbox(folder: Path, *, count: int, trips: int) -> Numbers:
    """Send from a process of its own."""
    return asyncio.run(_through_the_mailbox(folder / "signals.db", count, trips))


def case(options: Options) -> Case:
    """Send both ways."""
    node, mailbox = "from the node", "from another process"
    return Case(
        f"Signals to one workflow ({LANES} senders), and round trips alone",
        {
            node: partial(
                on_the_node, count=options.count(5_000, 500), trips=options.count(200, 20)
            ),
            mailbox: partial(
                through_the_mailbox, count=options.count(1_500, 100), trips=options.count(40, 5)
            ),
        },
        [
            Line(f"signals received a second, {way}", of(way, "received_per_second"))
            for way in (node, mailbox)
        ]
        + [
            Line(f"round trip of a signal, p50, {way}", of(way, "round_trip_p50_ms"), "ms")
            for way in (node, mailbox)
        ],
        waits_for_disk=[mailbox],
    )
