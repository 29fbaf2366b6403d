"""The choreographed order: one published event, three reactions in a row, three more events."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from benchmarks.bare import Figures
from benchmarks.load import Around, keep_in_flight
from counterpoint import App, Event, Service
from counterpoint.model.messages import EventRow

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


def make_app(where: Path | str) -> App:
    """Return the app on the SQLite file at a path, or on the store of a URL."""
    store = where if isinstance(where, str) else f"sqlite:///{where}"
    return App("bench", services=[orders, payments, inventory], store=store)


async def run_flows(
    path: Path, flows: int, in_flight: int, around: Around | None = None
) -> Figures:
    """Run *flows* on the database at *path* and return the figures."""
    async with make_app(path) as app:
        return await flows_of(app, flows, in_flight, around)


async def flows_of(app: App, flows: int, in_flight: int, around: Around | None = None) -> Figures:
    """Run *flows* on an app that runs and return the figures."""
    finish = Finish(app)
    return await keep_in_flight(lambda name: finish.flow(app, name), flows, in_flight, around)
