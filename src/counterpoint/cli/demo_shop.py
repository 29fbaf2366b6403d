"""The small shop of `counterpoint demo`: three services that write all they do into one ledger.

The ledger stands for the outside world, where an effect cannot be taken back by a rollback: each
effect is one line, appended at once, with the idempotency key of its attempt.
"""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from counterpoint import App, BusinessError, Service, activity

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
    line = json.dumps({"key": activity.info().idempotency_key, "what": what, "order": order})
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


app = App("demo", services=[orders, payments, inventory])
