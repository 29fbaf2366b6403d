"""The same change made well: orders that began before it go on in the old order."""

from tests.deployment.participants import (
    book,
    charge,
    parcels,
    payments,
    reserve,
    send,
    stock,
    until_ready,
)

from counterpoint import App, Service, workflow

orders = Service("orders")


@orders.saga
async def place_order(order: str, cents: int, waits_for: str, pause_seconds: float) -> int:
    """Sell something; returns the number of the provider's receipt."""
    if workflow.patched("book-first"):
        await book(order)
        await reserve(order)
    else:
        await reserve(order)
        await book(order)
    await until_ready(order, waits_for, pause_seconds)
    receipt = await charge(order, cents)
    await send(order)
    return receipt.number


app = App("shop", services=[orders, stock, parcels, payments])
