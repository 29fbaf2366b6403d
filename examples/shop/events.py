"""What the services tell each other in the choreographed form: facts, each with one owner."""

from decimal import Decimal

from counterpoint import Event

from examples.shop.catalog import Line
from examples.shop.inventory import inventory
from examples.shop.orders import orders
from examples.shop.payments import payments


@orders.event(key="order_id")
class OrderPlaced(Event):
    """A customer placed an order."""

    order_id: str
    customer_id: str
    lines: tuple[Line, ...]
    total: Decimal


@payments.event(key="order_id")
class PaymentAuthorized(Event):
    """The customer's money is there for these lines."""

    order_id: str
    authorization: int
    lines: tuple[Line, ...]


@payments.event(key="order_id")
class PaymentRefused(Event):
    """The customer's credit does not reach that far; no money moved."""

    order_id: str
    reason: str


@inventory.event(key="order_id")
class StockReserved(Event):
    """Every line is set aside for the order."""

    order_id: str


@inventory.event(key="order_id")
class StockShort(Event):
    """There is too little of these products; nothing is set aside for the order any more."""

    order_id: str
    product_ids: tuple[int, ...]


@payments.event(key="order_id")
class PaymentRefunded(Event):
    """The customer has the money back."""

    order_id: str


@orders.event(key="order_id")
class OrderConfirmed(Event):
    """The order is paid, in stock and final."""

    order_id: str


@orders.event(key="order_id")
class OrderRejected(Event):
    """The order came to nothing; whatever was done for it has been undone."""

    order_id: str
