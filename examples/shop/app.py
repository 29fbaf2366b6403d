"""The shop: its services composed, its files opened, the executions beside them."""

from pathlib import Path

from counterpoint import App

from examples.shop import inventory, orders, payments
from examples.shop.catalog import Order, cents, credit_limits, load_orders, load_products
from examples.shop.own_file import folder
from examples.shop.process import place_order

FILES = (orders.file, payments.file, inventory.file)
STORE = "counterpoint.db"


def make_app(directory: Path) -> App:
    """Return the shop's app with its executions in a folder."""
    return App(
        "shop",
        services=[orders.orders, payments.payments, inventory.inventory],
        store=f"sqlite:///{directory / STORE}",
    )


app = make_app(folder())


def open_shop() -> None:
    """Fill the services' files with limits and stock, unless they have some; close them again."""
    folder().mkdir(parents=True, exist_ok=True)
    limits = [(customer, cents(limit)) for customer, limit in credit_limits(load_orders()).items()]
    stock = [(p.id, p.name, p.opening_stock, p.opening_stock) for p in load_products()]

    orders.file.write(lambda _: None)
    payments.file.write(
        lambda db: db.executemany("INSERT OR IGNORE INTO limits VALUES (?, ?)", limits)
    )
    inventory.file.write(
        lambda db: db.executemany("INSERT OR IGNORE INTO products VALUES (?, ?, ?, ?)", stock)
    )
    for file in FILES:
        file.close()


def execution_id(order: Order) -> str:
    """Return the id under which an order is started; starting it twice is starting it once."""
    return f"order-{order.id}"


__all__ = ["app", "execution_id", "make_app", "open_shop", "place_order"]
