"""The small shop of `counterpoint demo`: three services that write all they do into one ledger.

An order that is started runs through the saga `place_order`, one that is published as `OrderPlaced`
from service to service, with no one in the middle.

The ledger stands for the outside world, where an effect cannot be taken back by a rollback: each
effect is one line, appended at once, with the idempotency key of its attempt, and with the step
that had it: that key, or the execution of a reaction.
"""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from counterpoint import App, BusinessError, Choreography, Event, Service, activity

LEDGER = "COUNTERPOINT_DEMO_LEDGER"
"""The environment variable that names the ledger's file."""
CREDIT = 100
STOCK = 3
EFFECT_SECONDS = 0.03

orders, payments, inventory = Service("orders"), Service("payments"), Service("inventory")


class PaymentDeclined(BusinessError):  # noqa: N818 - an outcome
    """The customer's credit does not cover the order."""

    total: int
    credit: int


class OutOfStock(BusinessError):  # noqa: N818 - an outcome
    """There are not enough pieces."""

    wanted: int
    left: int


async def effect(what: str, order: str) -> None:
    """Do something to the outside world that takes a moment."""
    await asyncio.sleep(EFFECT_SECONDS)
    info = activity.info()
    step = info.idempotency_key if info.event is None else info.execution_id
    line = json.dumps({"key": info.idempotency_key, "step": step, "what": what, "order": order})
    descriptor = os.open(os.environ[LEDGER], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line.encode() + b"\n")
    finally:
        os.close(descriptor)


async def undo(what: str, how: str, order: str) -> None:
    """Undo an effect, if it happened: a call whose outcome is unknown is undone too."""
    if any((e["order"], e["what"]) == (order, what) for e in read_ledger(Path(os.environ[LEDGER]))):
        await effect(how, order)


def read_ledger(path: Path) -> list[dict[str, Any]]:
    """Return all effects, oldest first."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


@orders.activity
async def create(order: str) -> str:
    """Write the order down."""
    await effect("created", order)
    return order


@create.compensation
async def discard(order: str) -> None:
    """Strike the order out."""
    await undo("created", "discarded", order)


@payments.activity
async def charge(order: str, total: int) -> str:
    """Charge the customer, unless the credit is too small."""
    if total > CREDIT:
        raise PaymentDeclined(total=total, credit=CREDIT)
    await effect("charged", order)
    return f"receipt-{order}"


@charge.compensation
async def refund(order: str) -> None:
    """Give the money back."""
    await undo("charged", "refunded", order)


@inventory.activity
async def reserve(order: str, pieces: int) -> int:
    """Put pieces aside; the warehouse is sometimes slow to answer."""
    if activity.info().attempt == 1 and order.endswith("4"):
        raise ConnectionError("the warehouse does not answer")  # the next attempt gets through
    if pieces > STOCK:
        raise OutOfStock(wanted=pieces, left=STOCK)
    await effect("reserved", order)
    return pieces


@reserve.compensation
async def release(order: str) -> None:
    """Put the pieces back."""
    await undo("reserved", "released", order)


@orders.activity
async def confirm(order: str) -> None:
    """Tell the customer."""
    await effect("confirmed", order)


@orders.saga
async def place_order(order: str, total: int, pieces: int) -> str:
    """Create, charge, reserve, confirm; what happened is undone if a step fails."""
    await create(order)
    receipt = await charge(order, total)
    await reserve(order, pieces)
    await confirm(order)
    return receipt


# ---- the same, choreographed -------------------------------------------------------------------


@orders.event(key="order")
class OrderPlaced(Event):
    """A customer placed an order."""

    order: str
    total: int
    pieces: int


@payments.event(key="order")
class PaymentTaken(Event):
    """The customer has paid for so many pieces."""

    order: str
    pieces: int


@payments.event(key="order")
class PaymentRefused(Event):
    """The customer's credit does not cover the order."""

    order: str


@inventory.event(key="order")
class StockReserved(Event):
    """The pieces are put aside."""

    order: str


@inventory.event(key="order")
class StockShort(Event):
    """There are not enough pieces."""

    order: str


@payments.event(key="order")
class PaymentReturned(Event):
    """The customer has the money back."""

    order: str


@orders.event(key="order")
class OrderConfirmed(Event):
    """The customer was told."""

    order: str


@orders.event(key="order")
class OrderRejected(Event):
    """The order came to nothing, and is undone."""

    order: str


@orders.on(OrderPlaced)
async def enter_order(event: OrderPlaced) -> None:
    """Write the order down."""
    await create(event.order)


@payments.on(OrderPlaced)
async def take_payment(event: OrderPlaced) -> PaymentTaken | PaymentRefused:
    """Charge the customer, unless the credit is too small."""
    try:
        await charge(event.order, event.total)
    except PaymentDeclined:
        return PaymentRefused(order=event.order)
    return PaymentTaken(order=event.order, pieces=event.pieces)


@inventory.on(PaymentTaken)
async def reserve_stock(event: PaymentTaken) -> StockReserved | StockShort:
    """Put pieces aside, if there are enough."""
    try:
        await reserve(event.order, event.pieces)
    except OutOfStock:
        return StockShort(order=event.order)
    return StockReserved(order=event.order)


@payments.on(StockShort)
async def return_payment(event: StockShort) -> PaymentReturned:
    """Give the money back: the compensation of `take_payment`."""
    await refund(event.order)
    return PaymentReturned(order=event.order)


@orders.on(StockReserved)
async def confirm_order(event: StockReserved) -> OrderConfirmed:
    """Tell the customer."""
    await confirm(event.order)
    return OrderConfirmed(order=event.order)


@orders.on(PaymentRefused)
async def reject_unpaid(event: PaymentRefused) -> OrderRejected:
    """Strike out an order that nobody paid."""
    await discard(event.order)
    return OrderRejected(order=event.order)


@orders.on(PaymentReturned)
async def reject_short(event: PaymentReturned) -> OrderRejected:
    """Strike out an order for which there are not enough pieces."""
    await discard(event.order)
    return OrderRejected(order=event.order)


fulfilment = Choreography(
    "fulfilment", starts=OrderPlaced, completes=OrderConfirmed, fails=OrderRejected
)


def __getattr__(name: str) -> App:
    """Build the app when it is asked for: the command line imports this for every command."""
    if name != "app":
        raise AttributeError(name)
    services = [orders, payments, inventory]
    app = App(
        "demo",
        services=services,
        choreographies=[fulfilment],
        hosts=[service.name for service in services],  # whatever COUNTERPOINT_HOSTS says
    )
    globals()["app"] = app
    return app
