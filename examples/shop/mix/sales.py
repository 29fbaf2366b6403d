"""The orchestrated half: a saga that an event starts, and that waits for an event."""

from datetime import timedelta

from counterpoint import workflow

from examples.shop.catalog import Order
from examples.shop.mix.events import CheckedOut, OrderSold, ParcelShipped, sales
from examples.shop.process import place_order


@sales.saga(on=CheckedOut, id=lambda event: f"sale-{event.order_id}", emits=[OrderSold])
async def sell(event: CheckedOut) -> int:
    """Take an order through its saga and see it shipped; returns the number of the parcel.

    An order that is not shipped in time is undone: `place_order` is a step like any other.
    """
    await place_order(Order(event.order_id, event.customer_id, event.lines, event.total))
    await workflow.publish(OrderSold(order_id=event.order_id, lines=event.lines))
    shipped = await workflow.event(ParcelShipped, key=event.order_id, timeout=timedelta(minutes=5))
    return shipped.parcel
