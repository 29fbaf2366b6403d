"""The choreographed order beside the orchestrated one and the bare loop, in interleaved rounds.

A flow is one published event, three reactions in a row and the three events that they return. It
counts from the call of `publish` until the last event is durable.
"""

import asyncio
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import bare
from benchmarks.bare import Figures
from benchmarks.orders import run_saga
from benchmarks.sagas import measure_engine
from benchmarks.table import Options, Table
from counterpoint import App, Event, Service
from counterpoint.model.messages import EventRow

EVENTS_A_FLOW = 4
HEADINGS = (
    "in flight",
    "flows/s",
    "events/s",
    "CPU µs",
    "p50 ms",
    "p99 ms",
    "sagas/s",
    "CPU µs",
    "p50 ms",
    "bare/s",
    "flows/sagas",
    "flows/bare",
)

orders, payments, inventory = Service("orders"), Service("payments"), Service("inventory")


@orders.event(key="order_id")
class Placed(Event):
    order_id: str
    amount: int


@orders.event(key="order_id")
class Created(Event):
    order_id: str
    amount: int


@payments.event(key="order_id")
class Paid(Event):
    order_id: str
    authorization: str


@inventory.event(key="order_id")
class Reserved(Event):
    order_id: str
    reservation: str


@orders.on(Placed)
async def create(event: Placed) -> Created:
    return Created(order_id=event.order_id, amount=event.amount)


@payments.on(Created)
async def pay(event: Created) -> Paid:
    return Paid(order_id=event.order_id, authorization=f"auth-{event.amount}")


@inventory.on(Paid)
async def reserve(event: Paid) -> Reserved:
    return Reserved(order_id=event.order_id, reservation="shelf-1")


class Finish:
    """Tells who waits for the last event of a flow that it is durable."""

    def __init__(self, app: App) -> None:
        self._waiting: dict[str, asyncio.Future[None]] = {}
        streams = app.node.messaging.streams
        self._appended = streams.appended
        streams.appended = self._look  # type: ignore[method-assign]

    def _look(self, events: Sequence[EventRow]) -> None:
        self._appended(events)
        for event in events:
            if event.type == "inventory.Reserved":
                self._waiting.pop(event.key).set_result(None)

    async def flow(self, app: App, order_id: str) -> None:
        """Run one flow to its end."""
        over = self._waiting[order_id] = asyncio.get_running_loop().create_future()
        await app.publish(Placed(order_id=order_id, amount=1000))
        await over


async def run_flows(path: Path, flows: int, in_flight: int) -> Figures:
    """Run *flows* on the database at *path* and return the figures."""
    numbers = iter(range(flows))
    latencies: list[float] = []
    app = App("bench", services=[orders, payments, inventory], store=f"sqlite:///{path}")
    async with app:
        finish = Finish(app)
        for number in range(min(50, flows)):  # the first ones compile statements and codecs
            await finish.flow(app, f"warm-{number}")

        async def lane() -> None:
            for number in numbers:
                started = time.perf_counter()
                await finish.flow(app, f"order-{number:08}")
                latencies.append(time.perf_counter() - started)

        started, cpu_started = time.perf_counter(), time.process_time()
        await asyncio.gather(*(lane() for _ in range(in_flight)))
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    return Figures.of(seconds, cpu_seconds, latencies)


def measure(options: Options) -> Table:
    """Compare both styles and the bare loop, in the same rounds."""
    rounds, flows = (1, 1_000) if options.quick else (5, 10_000)
    kinds = ("flows", "sagas", "bare")
    found: dict[int, dict[str, list[Figures]]] = {}
    for _ in range(rounds):
        for in_flight in (100, 1):
            count = flows if in_flight > 1 else max(200, flows // 20)
            of = found.setdefault(in_flight, {kind: [] for kind in kinds})
            of["bare"].append(
                bare.measure(
                    options.directory, sagas=count, rows=bare.SAGA_ROWS, in_flight=in_flight
                )
            )
            of["sagas"].append(measure_engine(options.directory, run_saga, count, in_flight))
            with tempfile.TemporaryDirectory(dir=options.directory) as folder:
                run = run_flows(Path(folder, "flows.db"), count, in_flight)
                of["flows"].append(asyncio.run(run))
    medians = {n: {kind: bare.median(of[kind]) for kind in kinds} for n, of in found.items()}
    return Table(
        "Choreographed order (3 reactions, 4 events) beside the orchestrated one, on SQLite",
        HEADINGS,
        [_row(in_flight, of) for in_flight, of in medians.items()],
        {str(n): {kind: asdict(of[kind]) for kind in kinds} for n, of in medians.items()},
        ["goal: as many flows/s as orchestrated sagas, or more"],
    )


def _row(in_flight: int, of: dict[str, Figures]) -> Sequence[str]:
    flows, sagas, least = of["flows"], of["sagas"], of["bare"]
    rate = flows.sagas_per_second
    return [
        str(in_flight),
        f"{rate:,.0f}",
        f"{rate * EVENTS_A_FLOW:,.0f}",
        f"{flows.cpu_us_per_saga:.0f}",
        f"{flows.p50_ms:.2f}",
        f"{flows.p99_ms:.2f}",
        f"{sagas.sagas_per_second:,.0f}",
        f"{sagas.cpu_us_per_saga:.0f}",
        f"{sagas.p50_ms:.2f}",
        f"{least.sagas_per_second:,.0f}",
        f"{rate / sagas.sagas_per_second:.2f}",
        f"{rate / least.sagas_per_second:.2f}",
    ]
