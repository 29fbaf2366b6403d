"""The orders service: takes orders, confirms them, cancels them."""

import sqlite3

from counterpoint import BusinessError, Service, activity
from counterpoint.activity import AttemptInfo

from examples.shop.catalog import Order, cents
from examples.shop.own_file import Answer, OwnFile

orders = Service("orders")
file = OwnFile(
    "orders",
    """
    CREATE TABLE IF NOT EXISTS orders (
      order_id TEXT PRIMARY KEY, customer_id TEXT NOT NULL, total_cents INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS order_lines (order_id TEXT, product_id INTEGER, quantity INTEGER);
    CREATE TABLE IF NOT EXISTS endings (
      id INTEGER PRIMARY KEY, order_id TEXT NOT NULL, ending TEXT NOT NULL, key TEXT NOT NULL
    );
    """,
)


class OrderCancelled(BusinessError):
    """The order was cancelled before the call arrived."""

    order_id: str


@orders.activity
def create(order: Order) -> None:
    """Take an order into the books."""

    def effect(db: sqlite3.Connection) -> Answer:
        if _cancelled(db, order.id):
            return {"cancelled": True}
        db.execute(
            "INSERT INTO orders VALUES (?, ?, ?)", [order.id, order.customer_id, cents(order.total)]
        )
        db.executemany(
            "INSERT INTO order_lines VALUES (?, ?, ?)",
            [(order.id, line.product_id, line.quantity) for line in order.lines],
        )
        return {}

    if file.once(activity.info(), effect).get("cancelled"):
        raise OrderCancelled(order_id=order.id)


@create.compensation
def cancel(order: Order) -> None:
    """Cancel an order, known or not: one that is still on its way will be refused."""
    call_off(activity.info(), order.id)


@orders.activity
def confirm(order: Order) -> None:
    """Tell the customer that the order is paid, in stock and final."""
    finish(activity.info(), order.id)


def finish(call: AttemptInfo, order_id: str) -> None:
    """Confirm an order, unless it was cancelled; once for the call's key."""

    def effect(db: sqlite3.Connection) -> Answer:
        if _cancelled(db, order_id):
            return {"cancelled": True}
        _end(db, order_id, "confirmed", call.idempotency_key)
        return {}

    if file.once(call, effect).get("cancelled"):
        raise OrderCancelled(order_id=order_id)


def call_off(call: AttemptInfo, order_id: str) -> None:
    """Cancel an order, known or not; once for the call's key."""

    def effect(db: sqlite3.Connection) -> Answer:
        _end(db, order_id, "cancelled", call.idempotency_key)
        return {}

    file.once(call, effect)


def _cancelled(db: sqlite3.Connection, order_id: str) -> bool:
    ending = "SELECT 1 FROM endings WHERE order_id = ? AND ending = 'cancelled'"
    return db.execute(ending, [order_id]).fetchone() is not None


def _end(db: sqlite3.Connection, order_id: str, ending: str, key: str) -> None:
    db.execute(
        "INSERT INTO endings (order_id, ending, key) VALUES (?, ?, ?)", [order_id, ending, key]
    )
