"""A bank that keeps its books in the store's own database, and what its tests look at."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from counterpoint import App, BusinessError, Event, Retry, Service, Transaction, activity, workflow

BOOKS = "CREATE TABLE books (entry TEXT, cents INTEGER)"
SOON = Retry(first=timedelta(seconds=1), factor=1, jitter=0)


class Declined(BusinessError):
    reason: str


@dataclass
class Plan:
    """What happens inside the functions, after they have written their entry."""

    then: dict[str, list[Callable[[Any], Awaitable[None]]]] = field(
        default_factory=dict[str, list[Callable[[Any], Awaitable[None]]]]
    )
    began: list[str] = field(default_factory=list[str])
    books: str = "books"
    """The table, where several tests share a database."""

    def next(self, entry: str, *what: Callable[[Any], Awaitable[None]] | Exception) -> None:
        """Let the next attempts at an entry do this, one after the other."""
        for one in what:
            self.then.setdefault(entry, []).append(
                raising(one) if isinstance(one, Exception) else one
            )

    async def write(self, tx: Transaction, entry: str, cents: int) -> None:
        """Write an entry, and do what is planned."""
        self.began.append(entry)
        statement = f"INSERT INTO {self.books} VALUES ($1, $2)"  # noqa: S608 - our own table
        await tx.execute(statement, entry, cents)
        if self.then.get(entry):
            await self.then[entry].pop(0)(tx)

    async def has(self, tx: Transaction, entry: str) -> bool:
        """Whether an entry is in the books."""
        query = f"SELECT count(*) FROM {self.books} WHERE entry = $1"  # noqa: S608 - our own table
        return bool(await tx.fetchval(query, entry))


def raising(error: Exception) -> Callable[[Any], Awaitable[None]]:
    async def fail(_: Any) -> None:
        raise error

    return fail


async def hang(_: Any) -> None:
    await asyncio.Future()


def bank(plan: Plan) -> list[Service]:
    """Return a bank with `buy`, a saga, and `take_payment`, a reaction."""
    service = Service("bank")

    @service.event(key="order_id")
    class Ordered(Event):
        order_id: str

    @service.event(key="order_id")
    class Paid(Event):
        order_id: str
        cents: int

    @service.on(Ordered, retry=SOON)
    async def take_payment(event: Ordered, tx: Transaction) -> Paid:
        await plan.write(tx, f"take {event.order_id}", 3)
        return Paid(order_id=event.order_id, cents=3)

    _sell(service, _charging(service, plan, Paid))
    return [service]


def _charging(service: Service, plan: Plan, paid: Any) -> Any:
    """Declare the activity that charges, and what gives it back."""

    @service.workflow
    async def thank(order_id: str) -> str:
        return order_id

    @service.activity(retry=SOON, timeout=timedelta(seconds=60))
    async def charge(tx: Transaction, order_id: str, cents: int) -> int:
        await plan.write(tx, f"charge {order_id} {cents}", cents)
        activity.publish(paid(order_id=order_id, cents=cents))
        activity.start(thank, order_id, id=f"thanks {order_id} {cents}")
        return cents

    @charge.compensation(retry=SOON)
    async def give_back(order_id: str, cents: int, result: int | None, tx: Transaction) -> None:
        entry = f"charge {order_id} {cents}"
        there = await plan.has(tx, entry)
        assert there or result is None
        if there:
            await plan.write(tx, f"give back {order_id} {cents}", -cents)

    return charge


def _sell(service: Service, charge: Any) -> None:
    """Declare the workflows, and what they do besides."""

    @service.activity
    async def look(order_id: str) -> str:
        return order_id

    @service.activity
    async def ship(order_id: str) -> None:
        if order_id.startswith("bad"):
            raise Declined(reason="nobody is there")

    @service.saga
    async def buy(order_id: str) -> int:
        await look(order_id)
        paid = await asyncio.gather(charge(order_id, 5), charge(order_id, 7), look(order_id))
        await ship(order_id)
        return int(paid[0]) + int(paid[1])

    @service.saga
    async def buy_or_leave(order_id: str) -> str:
        try:
            async with asyncio.timeout(10):
                await charge(order_id, 5)
        except TimeoutError:
            return "left"
        return "paid"

    @service.workflow
    async def wait(name: str) -> str:
        return await workflow.signal("go", str) + name


def entries(path: Path) -> list[str]:
    """Return what is in the books, sorted."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT entry FROM books ORDER BY entry")
        return [entry for (entry,) in found]


def open_books(path: Path, *statements: str) -> None:
    """Make the bank's table in the store's file."""
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements or (BOOKS,):
            connection.execute(statement)


def work(app: App, name: str) -> Any:
    """Return a workflow or an event of the bank."""
    found = app.registry.workflows.get(f"bank.{name}")
    return found or app.registry.contracts[f"bank.{name}"].event_class
