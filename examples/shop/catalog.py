"""What the shop trades: orders, products and credit limits, read from the Northwind data."""

import csv
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from statistics import mean

DATA = Path(__file__).parent / "data"
CENT = Decimal("0.01")

STOCK_FACTOR = 3
"""A full shelf holds this times `units_in_stock`."""
CREDIT_FACTOR = Decimal("1.9")
"""A customer's limit for one order is this times the mean of the customer's orders."""


@dataclass(frozen=True)
class Line:
    """So many units of one product."""

    product_id: int
    quantity: int


@dataclass(frozen=True)
class Order:
    """What a customer wants; `total` is what it costs, discounts taken off."""

    id: str
    customer_id: str
    lines: tuple[Line, ...]
    total: Decimal


@dataclass(frozen=True)
class Product:
    """A product, and how many units of it a full shelf holds."""

    id: int
    name: str
    opening_stock: int


def load_orders() -> list[Order]:
    """Return all orders, oldest first."""
    lines: dict[str, list[Line]] = {}
    totals: dict[str, Decimal] = {}
    for row in _rows("order_lines"):
        order = row["order_id"]
        line = Line(int(row["product_id"]), int(row["quantity"]))
        price = Decimal(row["unit_price"]) * line.quantity * (1 - Decimal(row["discount"]))
        lines.setdefault(order, []).append(line)
        totals[order] = totals.get(order, Decimal()) + price.quantize(CENT)
    return [
        Order(id, row["customer_id"], tuple(lines[id]), totals[id])
        for row in _rows("orders")
        for id in [row["order_id"]]
    ]


def load_products() -> list[Product]:
    """Return all products, each with a full shelf."""
    return [
        Product(int(row["product_id"]), row["name"], STOCK_FACTOR * int(row["units_in_stock"]))
        for row in _rows("products")
    ]


def credit_limits(orders: list[Order]) -> dict[str, Decimal]:
    """Return what each customer may spend on one order: a bit more than is usual for them."""
    totals: dict[str, list[Decimal]] = {}
    for order in orders:
        totals.setdefault(order.customer_id, []).append(order.total)
    return {
        customer: (CREDIT_FACTOR * mean(spent)).quantize(CENT) for customer, spent in totals.items()
    }


def cents(amount: Decimal) -> int:
    """Return money as the integer that the services' files keep."""
    return int((amount / CENT).to_integral_value())


def _rows(name: str) -> list[dict[str, str]]:
    with (DATA / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
