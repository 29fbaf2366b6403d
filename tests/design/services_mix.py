"""What the tests of the mix share: events, a desk that works, sagas that wait and publish."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from counterpoint import (
    Description,
    Event,
    NodeStoppedError,
    Retry,
    Service,
    StoreError,
    activity,
    workflow,
)
from counterpoint.model.messages import DeadLetterQuery, DeadLetterRow, EventQuery, EventRow
from counterpoint.model.rows import Query
from counterpoint.ports.store import Store
from counterpoint.stores.memory import MemoryStore
from counterpoint.stores.sqlite import SqliteStore
from counterpoint.testing import Harness

ALL = 1_000_000
SOON = Retry(max_attempts=3, first=timedelta(seconds=1), factor=1, jitter=0)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
MakeStore = Callable[[Path], Store]
STORES = [
    pytest.param(lambda _: MemoryStore(), id="memory"),
    pytest.param(lambda folder: SqliteStore(folder / "mix.db"), id="sqlite"),
]

orders, shipping, desk = Service("orders"), Service("shipping"), Service("desk")
SERVICES = [orders, shipping, desk]


@orders.event(key="order_id")
class Placed(Event):
    """An order was placed."""

    order_id: str
    number: int = 0


@orders.event(key="order_id")
class Confirmed(Event):
    """An order was confirmed."""

    order_id: str
    number: int = 0


@shipping.event(key="order_id")
class Shipped(Event):
    """A parcel left."""

    order_id: str
    number: int = 0


@desk.activity(retry=SOON, timeout=timedelta(minutes=1))
async def work(what: str) -> str:
    return f"{what} done"


@desk.activity(retry=SOON)
async def note(order_id: str, number: int) -> None:
    """Publishes with its result."""
    activity.publish(Confirmed(order_id=order_id, number=number))


@orders.workflow
async def waits(order_id: str, count: int = 1) -> list[int]:
    """Wait for so many parcels."""
    return [(await workflow.event(Shipped, key=order_id)).number for _ in range(count)]


@orders.workflow
async def waits_in_time(order_id: str, seconds: float = 3600) -> int:
    """Wait for one parcel, and not for ever."""
    try:
        return (await workflow.event(Shipped, key=order_id, timeout=seconds)).number
    except TimeoutError:
        return -1


@orders.workflow
async def publishes(order_id: str, count: int = 1) -> str:
    """Publish so many events, with a step between them."""
    for number in range(1, count + 1):
        await workflow.publish(Confirmed(order_id=order_id, number=number))
        await work(f"{order_id}-{number}")
    return "published"


async def ship(harness: Harness, *numbers: int, key: str = "k") -> None:
    """Publish that parcels of one order have left, one after the other."""
    for number in numbers:
        await harness.app.publish(Shipped(order_id=key, number=number))
    await harness.settle()


async def logged(harness: Harness, on: type[Event] | None = None) -> list[EventRow]:
    """Return the events that are in the log."""
    rows = await harness.store.inner.events(EventQuery(limit=ALL))
    return [row for row in rows if on is None or row.type.endswith(f".{on.__name__}")]


async def published(harness: Harness, on: type[Any] = Confirmed) -> list[int]:
    """Return the numbers of the events of a class, in the order of the log."""
    return [on.model_validate_json(row.data).number for row in await logged(harness, on)]


async def dead(harness: Harness) -> list[DeadLetterRow]:
    """Return all dead letters."""
    return await harness.store.inner.dead_letters(DeadLetterQuery(limit=ALL))


async def executions(harness: Harness, name: str) -> list[str]:
    """Return the ids of a workflow's executions, oldest first."""
    rows = await harness.store.inner.executions(Query(limit=500))
    return [row.id for row in reversed(rows) if row.name == name]


async def open_waits(harness: Harness, key: str = "k") -> list[str]:
    """Return who waits, as the store knows it, for parcels of an order."""
    waits_of = await harness.store.inner.waits_for([("shipping.Shipped", key)])
    return [wait.execution_id for wait in waits_of]


async def described(harness: Harness, id: str = "one") -> Description:
    """Return the description of an execution once everything has settled."""
    await harness.settle()
    return await harness.execution(id).describe()


async def types(harness: Harness, id: str = "one") -> list[str]:
    """Return the types of an execution's records, oldest first."""
    return [entry.type for entry in await harness.execution(id).journal()]


async def lives(harness: Harness, act: Callable[[], Any]) -> Any:
    """Do something again and again until the node outlives it; return what it returned."""
    for _ in range(20):
        try:
            found = await act()
            await harness.settle()
        except (NodeStoppedError, StoreError):
            await revived(harness)
            continue
        if harness.running and harness.app.node.fault is None:
            return found
        await revived(harness)
    raise AssertionError("the node does not come to rest")


async def revived(harness: Harness) -> None:
    """Start a node that has died; wait for one whose store has failed."""
    await harness.settle()
    while not harness.running or harness.app.node.fault is not None:
        if harness.running:
            await harness.advance(seconds=1)
        else:
            try:
                await harness.restart()
            except (NodeStoppedError, StoreError):
                continue
