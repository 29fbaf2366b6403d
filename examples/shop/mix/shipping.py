"""The shipping service: sends what is sold, and knows nothing of sagas."""

import sqlite3
from datetime import timedelta

from counterpoint import Retry, activity

from examples.shop.mix.events import OrderSold, ParcelShipped, shipping
from examples.shop.own_file import Answer, OwnFile
from examples.shop.weather import no_route, unreachable

file = OwnFile(
    "shipping",
    "CREATE TABLE IF NOT EXISTS parcels (id INTEGER PRIMARY KEY, order_id TEXT NOT NULL);",
)


@shipping.on(OrderSold, retry=Retry(first=timedelta(milliseconds=20)))
def send_parcel(event: OrderSold) -> ParcelShipped:
    """Hand the order to the carrier."""
    call = activity.info()

    def effect(db: sqlite3.Connection) -> Answer:
        sent = db.execute("INSERT INTO parcels (order_id) VALUES (?)", [event.order_id])
        return {"number": sent.lastrowid}

    if unreachable(call):
        file.note(call)
        raise no_route(call)
    number = file.once(call, effect)["number"]
    return ParcelShipped(order_id=event.order_id, parcel=number, lines=event.lines)
