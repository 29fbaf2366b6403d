"""The order process with no one in the middle: each service reacts to what the others did.

The reactions call the functions that the saga in `process.py` calls. A reaction may run again after
a crash, with the same idempotency key; so its effects happen once, as those of an activity do.
"""

from datetime import timedelta

from counterpoint import Choreography, Retry, activity

from examples.shop.catalog import Order
from examples.shop.events import (
    OrderConfirmed,
    OrderPlaced,
    OrderRejected,
    PaymentAuthorized,
    PaymentRefunded,
    PaymentRefused,
    StockReserved,
    StockShort,
)
from examples.shop.inventory import OutOfStock, hold, inventory, put_back
from examples.shop.orders import call_off, create, finish, orders
from examples.shop.own_file import part_of
from examples.shop.payments import PaymentDeclined, authorize, payments, void

SOON = Retry(first=timedelta(milliseconds=20))

fulfilment = Choreography(
    "fulfilment",
    starts=OrderPlaced,
    completes=[OrderConfirmed],
    fails=[OrderRejected],
    within=timedelta(seconds=30),
)


@orders.on(OrderPlaced)
async def enter_order(event: OrderPlaced) -> None:
    """Take the order into the books."""
    await create(Order(event.order_id, event.customer_id, event.lines, event.total))


@payments.on(OrderPlaced, retry=SOON)
async def take_payment(event: OrderPlaced) -> PaymentAuthorized | PaymentRefused:
    """Charge the order if the customer's limit allows it."""
    try:
        taken = await authorize(event.order_id, event.customer_id, event.total)
    except PaymentDeclined as declined:
        return PaymentRefused(order_id=event.order_id, reason=declined.reason)
    return PaymentAuthorized(order_id=event.order_id, authorization=taken.number, lines=event.lines)


@inventory.on(PaymentAuthorized, retry=SOON)
def reserve_stock(event: PaymentAuthorized) -> StockReserved | StockShort:
    """Set every line aside, or none: what is held is put back when a product is short."""
    call, short = activity.info(), []
    for line in event.lines:
        try:
            hold(part_of(call, line.product_id), event.order_id, line)
        except OutOfStock as out:
            short.append(out.product_id)
    if not short:
        return StockReserved(order_id=event.order_id)
    for line in event.lines:
        put_back(part_of(call, f"{line.product_id}c"), event.order_id, line)
    return StockShort(order_id=event.order_id, product_ids=tuple(short))


@payments.on(StockShort, retry=SOON)
async def refund(event: StockShort) -> PaymentRefunded:
    """Give the money back: the compensation of `take_payment`."""
    await void(event.order_id, None)
    return PaymentRefunded(order_id=event.order_id)


@orders.on(StockReserved)
def confirm_order(event: StockReserved) -> OrderConfirmed:
    """Tell the customer that the order is final."""
    finish(activity.info(), event.order_id)
    return OrderConfirmed(order_id=event.order_id)


@orders.on(PaymentRefused)
def reject_unpaid(event: PaymentRefused) -> OrderRejected:
    """Cancel an order that nobody paid."""
    return _reject(event.order_id)


@orders.on(PaymentRefunded)
def reject_short(event: PaymentRefunded) -> OrderRejected:
    """Cancel an order that found too little stock, once its money is back."""
    return _reject(event.order_id)


def _reject(order_id: str) -> OrderRejected:
    call_off(activity.info(), order_id)
    return OrderRejected(order_id=order_id)
