"""The shop: its services composed, its files opened, the executions and events beside them."""

from pathlib import Path

from counterpoint import App, Service

from examples.shop import inventory, orders, payments
from examples.shop.catalog import Order, cents, credit_limits, load_orders, load_products
from examples.shop.choreography import fulfilment
from examples.shop.events import OrderPlaced
from examples.shop.mix.events import CheckedOut, purchasing, sales, shipping
from examples.shop.mix.purchasing import file as purchasing_file
from examples.shop.mix.sales import sell
from examples.shop.mix.shipping import file as shipping_file
from examples.shop.own_file import folder
from examples.shop.process import place_order

FILES = (orders.file, payments.file, inventory.file)
MIX_FILES = (shipping_file, purchasing_file)
STORE = "counterpoint.db"


def make_app(directory: Path, *more: Service) -> App:
    """Return the shop's app with its executions in a folder.

    It hosts both forms: an order that is started runs through the saga `place_order`, one that is
    published as `OrderPlaced` from service to service.
    """
    return App(
        "shop",
        services=[orders.orders, payments.payments, inventory.inventory, *more],
        choreographies=[fulfilment],
        store=f"sqlite:///{directory / STORE}",
    )


def make_mixed_app(directory: Path) -> App:
    """Return the app with sales, shipping and purchasing: `CheckedOut` starts a sale."""
    return make_app(directory, sales, shipping, purchasing)


app = make_app(folder())


def open_shop() -> None:
    """Fill the services' files with limits and stock, unless they have some; close them again."""
    folder().mkdir(parents=True, exist_ok=True)
    limits = [(customer, cents(limit)) for customer, limit in credit_limits(load_orders()).items()]
    stock = [(p.id, p.name, p.opening_stock, p.opening_stock) for p in load_products()]

    payments.file.write(
        lambda db: db.executemany("INSERT OR IGNORE INTO limits VALUES (?, ?)", limits)
    )
    inventory.file.write(
        lambda db: db.executemany("INSERT OR IGNORE INTO products VALUES (?, ?, ?, ?)", stock)
    )
    for file in (orders.file, *MIX_FILES):
        file.write(lambda _: None)
    for file in (*FILES, *MIX_FILES):
        file.close()


def execution_id(order: Order) -> str:
    """Return the id under which an order is started; starting it twice is starting it once."""
    return f"order-{order.id}"


def order_placed(order: Order) -> OrderPlaced:
    """Return the event with which an order begins in the choreographed form."""
    return OrderPlaced(
        order_id=order.id, customer_id=order.customer_id, lines=order.lines, total=order.total
    )


def checked_out(order: Order) -> CheckedOut:
    """Return the event with which an order begins in the mix."""
    return CheckedOut(
        order_id=order.id, customer_id=order.customer_id, lines=order.lines, total=order.total
    )


__all__ = [
    "app",
    "checked_out",
    "execution_id",
    "fulfilment",
    "make_app",
    "make_mixed_app",
    "open_shop",
    "order_placed",
    "place_order",
    "sell",
]
