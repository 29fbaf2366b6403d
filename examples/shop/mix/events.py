"""What sales, shipping and purchasing tell each other."""

from decimal import Decimal

from counterpoint import Event, Service

from examples.shop.catalog import Line

sales, shipping, purchasing = Service("sales"), Service("shipping"), Service("purchasing")


@sales.event(key="order_id", external=True)
class CheckedOut(Event):
    """A customer bought what was in the basket; the web shop says so."""

    order_id: str
    customer_id: str
    lines: tuple[Line, ...]
    total: Decimal


@sales.event(key="order_id")
class OrderSold(Event):
    """The order is paid, in stock and final: it can be shipped."""

    order_id: str
    lines: tuple[Line, ...]


@shipping.event(key="order_id")
class ParcelShipped(Event):
    """The order has left the house."""

    order_id: str
    parcel: int
    lines: tuple[Line, ...]


@purchasing.event(key="product_id")
class StockLow(Event):
    """So many units of a product have left the house and are not ordered anew yet."""

    product_id: int
    units: int
