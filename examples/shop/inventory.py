"""The inventory service: holds stock for orders, and orders more where it runs low."""

import sqlite3
from datetime import timedelta

from counterpoint import BusinessError, Retry, Service, activity

from examples.shop.catalog import Line
from examples.shop.own_file import Answer, OwnFile
from examples.shop.weather import no_route, unreachable

inventory = Service("inventory")
file = OwnFile(
    "inventory",
    """
    CREATE TABLE IF NOT EXISTS products (
      product_id INTEGER PRIMARY KEY, name TEXT NOT NULL, opening INTEGER NOT NULL,
      stock INTEGER NOT NULL, reorder_level INTEGER NOT NULL, discontinued INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS deliveries (product_id INTEGER NOT NULL, quantity INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS reservations (
      id INTEGER PRIMARY KEY, order_id TEXT NOT NULL, product_id INTEGER NOT NULL,
      quantity INTEGER NOT NULL, key TEXT NOT NULL
    );
    CREATE INDEX IF NOT EXISTS reservations_order ON reservations (order_id, product_id);
    CREATE TABLE IF NOT EXISTS shortages (
      order_id TEXT NOT NULL, product_id INTEGER NOT NULL, available INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS releases (
      id INTEGER PRIMARY KEY, order_id TEXT NOT NULL, product_id INTEGER NOT NULL,
      quantity INTEGER NOT NULL, key TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS released (
      order_id TEXT, product_id INTEGER, PRIMARY KEY (order_id, product_id)
    ) WITHOUT ROWID;
    """,
)
DELIVERY = 200


class OutOfStock(BusinessError):
    """There is less of a product than the order needs."""

    product_id: int
    wanted: int
    available: int


class AlreadyReleased(BusinessError):
    """The reservation was released before it arrived."""

    order_id: str


@inventory.activity(retry=Retry(first=timedelta(milliseconds=20)))
def reserve(order_id: str, line: Line) -> int:
    """Set units of a product aside for an order; returns the reservation's number."""
    call = activity.info()

    def effect(db: sqlite3.Connection) -> Answer:
        if db.execute(
            "SELECT 1 FROM released WHERE order_id = ? AND product_id = ?",
            [order_id, line.product_id],
        ).fetchone():
            return {"released": True}
        (stock,) = db.execute(
            "SELECT stock FROM products WHERE product_id = ?", [line.product_id]
        ).fetchone()
        if stock < line.quantity:
            db.execute("INSERT INTO shortages VALUES (?, ?, ?)", [order_id, line.product_id, stock])
            _restock(db, line.product_id, wanted=line.quantity)
            return {"available": stock}
        _move(db, line.product_id, -line.quantity)
        reserved = db.execute(
            "INSERT INTO reservations (order_id, product_id, quantity, key) VALUES (?, ?, ?, ?)",
            [order_id, line.product_id, line.quantity, call.idempotency_key],
        )
        _restock(db, line.product_id)
        return {"number": reserved.lastrowid}

    if unreachable(call):
        file.note(call)
        raise no_route(call)
    answer = file.once(call, effect)
    if "released" in answer:
        raise AlreadyReleased(order_id=order_id)
    if "available" in answer:
        raise OutOfStock(
            product_id=line.product_id, wanted=line.quantity, available=answer["available"]
        )
    number: int = answer["number"]
    return number


@reserve.compensation
def release(order_id: str, line: Line, result: int | None) -> None:
    """Put a reservation back on the shelf; one that arrives after this is refused."""
    call = activity.info()

    def effect(db: sqlite3.Connection) -> Answer:
        product = line.product_id
        db.execute("INSERT OR IGNORE INTO released VALUES (?, ?)", [order_id, product])
        held = db.execute(
            "SELECT coalesce(sum(quantity), 0) FROM reservations "
            "WHERE order_id = ? AND product_id = ?",
            [order_id, product],
        ).fetchone()[0]
        if held:
            _move(db, product, held)
            db.execute(
                "INSERT INTO releases (order_id, product_id, quantity, key) VALUES (?, ?, ?, ?)",
                [order_id, product, held, call.idempotency_key],
            )
        return {"units": held, "was_known": result is not None}

    file.once(call, effect)


def _move(db: sqlite3.Connection, product_id: int, quantity: int) -> None:
    db.execute("UPDATE products SET stock = stock + ? WHERE product_id = ?", [quantity, product_id])


def _restock(db: sqlite3.Connection, product_id: int, *, wanted: int = 0) -> None:
    """Have a delivery of what is down to its reorder level, or too little, if it is still made."""
    low = db.execute(
        "SELECT 1 FROM products WHERE product_id = ? AND discontinued = 0 "
        "AND (stock <= reorder_level OR stock < ?)",
        [product_id, wanted],
    ).fetchone()
    if low:
        db.execute("INSERT INTO deliveries VALUES (?, ?)", [product_id, DELIVERY])
        _move(db, product_id, DELIVERY)
