"""What functions with a transaction are to those who call them, as both type checkers see it.

Each `type: ignore` marks an error that has to be there: mypy reports those that are not needed.
The functions are read by the checkers and never run.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import assert_type

from counterpoint import Event, Service, Transaction, postgres, sqlite
from counterpoint.authoring.call import Call
from counterpoint.authoring.reaction import Reaction

shop = Service("shop")


@shop.event(key="order_id")
class Ordered(Event):
    order_id: str


@shop.event(key="order_id")
class Paid(Event):
    order_id: str


@shop.activity
async def charge(tx: postgres.Transaction, order_id: str, amount: Decimal) -> int:
    async with tx.transaction():
        assert_type(await tx.execute("SELECT 1"), str)
    await tx.executemany("INSERT INTO charges VALUES ($1)", [[1], [2]])
    async for row in tx.cursor("SELECT 1"):
        assert_type(row, postgres.Row)
    return int(await tx.fetchval("SELECT 1"))


@shop.activity(concurrency=2)
async def book(tx: sqlite.Transaction, order_id: str) -> list[str]:
    assert_type(tx.closed, bool)
    assert_type(await tx.fetch("SELECT 1"), Sequence[sqlite.Row])
    return []


@shop.activity
async def note(tx: Transaction, *, text: str = "") -> None:
    assert_type(await tx.fetchrow("SELECT 1"), sqlite.Row | None)


@shop.activity
async def show(value: object, times: int) -> int:
    return times


@charge.compensation
async def give_back(order_id: str, result: int | None, tx: postgres.Transaction) -> None: ...


@shop.on(Ordered)
async def take_payment(event: Ordered, tx: Transaction) -> Paid:
    return Paid(order_id=event.order_id)


@shop.on(Ordered)
async def take_note(tx: Transaction, event: Ordered) -> None: ...


@shop.saga
async def place_order(order_id: str, amount: Decimal) -> int:
    assert_type(await charge(order_id, amount), int)
    assert_type(await charge(order_id, amount=amount), int)
    assert_type(await book(order_id), list[str])
    assert_type(charge(order_id, amount), Call[int])
    assert_type(await show(order_id, 1), int)
    await note(text="hello")
    await note()
    await charge(order_id)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await charge(order_id, order_id)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    return 1


async def elsewhere(connection: postgres.Transaction, file: sqlite.Transaction) -> None:
    assert_type(await charge.within(connection, "o-1", Decimal(5)), int)
    await note.within(connection, text="on PostgreSQL")
    await note.within(file)
    await charge.within(file, "o-1", Decimal(5))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def kinds() -> None:
    assert_type(take_payment, Reaction[Ordered, Paid])
    assert_type(take_note, Reaction[Ordered, None])
