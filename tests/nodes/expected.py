"""How every order has to end, computed from the shop's data alone."""

from collections.abc import Sequence
from dataclasses import replace

from examples.shop.catalog import Order, credit_limits, load_orders, load_products

STATUS = {"confirmed": "completed", "declined": "compensated", "undone": "compensated"}
"""How the saga of an order ends that ends so in the books."""
EVENTS = {
    "confirmed": ("PaymentAuthorized", "StockReserved", "OrderConfirmed"),
    "declined": ("PaymentRefused", "OrderRejected"),
    "undone": ("PaymentAuthorized", "StockShort", "PaymentRefunded", "OrderRejected"),
}
"""What follows from an order's placement, without an orchestrator."""


def choose_orders(count: int) -> list[Order]:
    """Return so many orders: those of the shop, again and again, under ids of their own."""
    every = load_orders()
    chosen = every[:count]
    for again in range(1, -(-count // len(every))):
        chosen += [replace(order, id=f"{order.id}-{again}") for order in every]
    return chosen[:count]


def outcomes(orders: Sequence[Order]) -> dict[str, str]:
    """Return how orders have to end in the books.

    A shelf that has too few is filled up: so what one order takes never decides about another.
    """
    limits = credit_limits(load_orders())
    shelves = {product.id: product.opening_stock for product in load_products()}
    found: dict[str, str] = {}
    for order in orders:
        if order.total > limits[order.customer_id]:
            found[order.id] = "declined"
        elif any(line.quantity > shelves[line.product_id] for line in order.lines):
            found[order.id] = "undone"
        else:
            found[order.id] = "confirmed"
    return found
