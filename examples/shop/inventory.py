"""The inventory service: holds stock for orders, and has more delivered where it runs out."""

import sqlite3
from datetime import timedelta

from counterpoint import BusinessError, Retry, Service, activity
from counterpoint.activity import AttemptInfo

from examples.shop.catalog import Line
from examples.shop.own_file import Answer, OwnFile
from examples.shop.weather import no_route, unreachable

inventory = Service("inventory")
file = OwnFile(
    "inventory",
    """
    CREATE TABLE IF NOT EXISTS products (
      product_id INTEGER PRIMARY KEY, name TEXT NOT NULL, opening INTEGER NOT NULL,
      stock INTEGER NOT NULL
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


class OutOfStock(BusinessError):
    """A full shelf holds less of a product than the order needs."""

    product_id: int
    wanted: int
    available: int


class AlreadyReleased(BusinessError):
    """The reservation was released before it arrived."""

    order_id: str


@inventory.activity(retry=Retry(first=timedelta(milliseconds=20)))
def reserve(order_id: str, line: Line) -> int:
    """Set units of a product aside for an order; returns the reservation's number."""
    return hold(activity.info(), order_id, line)


@reserve.compensation
def release(order_id: str, line: Line) -> None:
    """Put a reservation back on the shelf; one that arrives after this is refused."""
    put_back(activity.info(), order_id, line)


def hold(call: AttemptInfo, order_id: str, line: Line) -> int:
    """Set units aside, once for the call's key; a shelf that has too few is filled up first."""

    def effect(db: sqlite3.Connection) -> Answer:
        if db.execute(
            "SELECT 1 FROM released WHERE order_id = ? AND product_id = ?",
            [order_id, line.product_id],
        ).fetchone():
            return {"released": True}
        full, stock = db.execute(
            "SELECT opening, stock FROM products WHERE product_id = ?", [line.product_id]
        ).fetchone()
        if full < line.quantity:
            db.execute("INSERT INTO shortages VALUES (?, ?, ?)", [order_id, line.product_id, full])
            return {"available": full}
        if stock < line.quantity:
            db.execute("INSERT INTO deliveries VALUES (?, ?)", [line.product_id, full - stock])
            _move(db, line.product_id, full - stock)
        _move(db, line.product_id, -line.quantity)
        reserved = db.execute(
            "INSERT INTO reservations (order_id, product_id, quantity, key) VALUES (?, ?, ?, ?)",
            [order_id, line.product_id, line.quantity, call.idempotency_key],
        )
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


def put_back(call: AttemptInfo, order_id: str, line: Line) -> None:
    """Put what an order holds of a product back on the shelf, once for the call's key."""

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
        return {"units": held}

    file.once(call, effect)


def _move(db: sqlite3.Connection, product_id: int, quantity: int) -> None:
    db.execute("UPDATE products SET stock = stock + ? WHERE product_id = ?", [quantity, product_id])
