"""The order process: one saga over three services."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from examples.shop.catalog import Order
from examples.shop.inventory import reserve
from examples.shop.orders import confirm, create, orders
from examples.shop.payments import authorize


@dataclass(frozen=True)
class Receipt:
    """What the customer gets."""

    order_id: str
    authorization: int
    total: Decimal


@orders.saga(deadline=timedelta(minutes=5))
async def place_order(order: Order) -> Receipt:
    """Take, charge and reserve an order; when one of these fails, undo the others."""
    await create(order)
    authorization = await authorize(order.id, order.customer_id, order.total)
    await asyncio.gather(*(reserve(order.id, line) for line in order.lines))
    await confirm(order)
    return Receipt(order.id, authorization.number, order.total)
