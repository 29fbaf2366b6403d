"""The purchasing service: counts what leaves the house, and orders it anew by the lot."""

import sqlite3

from counterpoint import activity

from examples.shop.mix.events import ParcelShipped, StockLow, purchasing
from examples.shop.own_file import Answer, OwnFile

LOT = 100
"""Units of a product that are ordered at a time."""

file = OwnFile(
    "purchasing",
    """
    CREATE TABLE IF NOT EXISTS shipped (
      product_id INTEGER PRIMARY KEY, units INTEGER NOT NULL, ordered INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS purchases (product_id INTEGER NOT NULL, units INTEGER NOT NULL);
    """,
)


@purchasing.on(ParcelShipped)
def count_goods(event: ParcelShipped) -> list[StockLow]:
    """Count what a parcel held; each product of which a lot is gone runs low."""

    def effect(db: sqlite3.Connection) -> Answer:
        low = [(line.product_id, _lots(db, line.product_id, line.quantity)) for line in event.lines]
        return {"low": [(product, units) for product, units in low if units]}

    answer = file.once(activity.info(), effect)
    return [StockLow(product_id=product, units=units) for product, units in answer["low"]]


@purchasing.on(StockLow)
def restock(event: StockLow) -> None:
    """Order units from the supplier."""

    def effect(db: sqlite3.Connection) -> Answer:
        db.execute("INSERT INTO purchases VALUES (?, ?)", [event.product_id, event.units])
        return {}

    file.once(activity.info(), effect)


def _lots(db: sqlite3.Connection, product_id: int, quantity: int) -> int:
    """Count units that left; return how many are to be ordered now."""
    units, ordered = db.execute(
        "INSERT INTO shipped VALUES (?, ?, 0) "
        "ON CONFLICT DO UPDATE SET units = units + excluded.units RETURNING units, ordered",
        [product_id, quantity],
    ).fetchone()
    low: int = (units - ordered) // LOT * LOT
    db.execute("UPDATE shipped SET ordered = ordered + ? WHERE product_id = ?", [low, product_id])
    return low
