"""Services whose reactions fail where a test says so, for tests of what operators do about it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from counterpoint import App, Event, Retry, Service, activity
from counterpoint.runtime.client import Client

orders, shipping = Service("orders"), Service("shipping")
ONCE = Retry(max_attempts=1)
broken: set[str] = set()
"""Orders that cannot be packed."""
packed: list[tuple[str, int]] = []
"""(order, quantity) in the order of packing."""
replayed: list[str] = []


@orders.event(key="order_id", version=2)
class Ordered(Event):
    """Somebody ordered something."""

    order_id: str
    quantity: int


@Ordered.upcaster(1)
def count_one(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "quantity": data.get("quantity", 1)}


@shipping.event(key="order_id")
class Packed(Event):
    """A parcel is packed."""

    order_id: str


class NoBoxError(Exception):
    """There is no box that fits."""


@shipping.on(Ordered, retry=ONCE)
async def pack(event: Ordered) -> Packed:
    if event.order_id in broken:
        raise NoBoxError(f"no box for {event.order_id}")
    packed.append((event.order_id, event.quantity))
    if activity.info().is_replay:
        replayed.append(event.order_id)
    return Packed(order_id=event.order_id)


@shipping.on(Packed, lane="labels")
async def label(event: Packed) -> None:
    """Print nothing."""


@shipping.on(Ordered, retry=ONCE, lane="statistics", on_dead="skip")
async def count(event: Ordered) -> None:
    if event.quantity < 0:
        raise NoBoxError("fewer than none")


def app_on(store: Any, **settings: Any) -> App:
    return App(
        "parcels",
        services=[orders, shipping],
        store=store,
        stop_within=timedelta(0),
        poll_interval=timedelta(milliseconds=5),
        **settings,
    )


def url_in(directory: Path) -> str:
    return f"sqlite:///{directory / 'parcels.db'}"


def forget() -> None:
    broken.clear()
    packed.clear()
    replayed.clear()


@asynccontextmanager
async def reached(app: App, how: str) -> AsyncIterator[Client]:
    """Reach a running app: as the node itself, or as a client beside it."""
    if how == "node":
        yield app
    else:
        async with app_on(app.store).client() as client:
            yield client


async def taken(app: App) -> None:
    """Wait until the node has taken all letters."""
    async with asyncio.timeout(30):
        while [letter async for letter in app.posted()]:  # noqa: ASYNC110 - of other connections
            await asyncio.sleep(0.002)


async def settled(app: App) -> None:
    """Wait until the node has taken all letters, and done what they ask for."""
    await taken(app)
    await app.idle(30)


async def id_of_dead(client: Client, key: str | None = None) -> str:
    """Return the id of the only dead letter (of a key)."""
    (letter,) = [one async for one in client.dead_letters(key=key)]
    return letter.id
