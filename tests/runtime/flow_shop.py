"""A shop whose flows the tests look at: orchestrated, choreographed, and both at once."""

import asyncio
from datetime import timedelta

from counterpoint import BusinessError, Event, Retry, Service, activity, workflow

orders, payments, stock, parcels = map(Service, ("orders", "payments", "stock", "parcels"))
SOON = Retry(max_attempts=4, first=timedelta(milliseconds=100), jitter=0)


FAILS: dict[str, int] = {}
"""How often each function fails before it succeeds; tests clear it."""


def perhaps(name: str) -> None:
    """Fail, if a test wants that."""
    if FAILS.get(name, 0) > 0:
        FAILS[name] -= 1
        raise ConnectionError(f"no route to the bank of {name}")


class Short(BusinessError):
    """There is not enough of it."""

    item: str


@orders.event(key="order")
class OrderPlaced(Event):
    order: str
    item: str = "tea"


@orders.event(key="order")
class OrderNoted(Event):
    order: str


@payments.event(key="order")
class PaymentTaken(Event):
    order: str
    item: str = "tea"


@stock.event(key="order")
class StockShort(Event):
    order: str


@parcels.event(key="order")
class ParcelShipped(Event):
    order: str


# ---- orchestrated -----------------------------------------------------------------------------


@orders.activity
async def create(order: str) -> str:
    return order


@create.compensation
async def withdraw(order: str) -> None: ...


@payments.activity(retry=SOON)
async def authorize(order: str) -> str:
    perhaps("authorize")
    return order


@authorize.compensation(retry=SOON)
async def void(order: str) -> None:
    perhaps("void")


@stock.activity
async def reserve(order: str, item: str) -> str:
    if item == "gold":
        raise Short(item=item)
    return item


@reserve.compensation
async def release(order: str, item: str) -> None: ...


@orders.saga
async def place(order: str, item: str) -> str:
    await create(order)
    await authorize(order)
    await reserve(order, item)
    return order


# ---- choreographed ----------------------------------------------------------------------------


@payments.on(OrderPlaced, retry=SOON)
async def take_payment(event: OrderPlaced) -> PaymentTaken:
    perhaps("take_payment")
    return PaymentTaken(order=event.order, item=event.item)


@stock.on(PaymentTaken, retry=SOON)
async def set_aside(event: PaymentTaken) -> StockShort | None:
    return StockShort(order=event.order) if event.item == "gold" else None


@payments.on(StockShort, retry=SOON)
async def give_back(event: StockShort) -> None:
    perhaps("give_back")


# ---- both -------------------------------------------------------------------------------------


@orders.activity(emits=[OrderNoted])
async def note(order: str) -> None:
    activity.publish(OrderNoted(order=order))


@parcels.activity
async def pack(order: str) -> str:
    return order


@parcels.workflow
async def wrap(order: str) -> str:
    return await pack(order)


@parcels.saga(on=OrderNoted, id=lambda event: f"ship-{event.order}", emits=[ParcelShipped])
async def ship(event: OrderNoted) -> None:
    await wrap(event.order)
    await workflow.sleep(1)
    await workflow.publish(ParcelShipped(order=event.order))


@orders.activity
async def write(order: str) -> None: ...


@orders.workflow
async def thank(order: str) -> None:
    await write(order)


@orders.on(ParcelShipped, retry=SOON)
async def remember(event: ParcelShipped) -> None:
    activity.start(thank, event.order, id=f"thank-{event.order}")


@orders.saga
async def sell(order: str) -> str:
    await asyncio.gather(create(order), authorize(order))
    await note(order)
    shipped = await workflow.event(ParcelShipped, key=order)
    return shipped.order


SERVICES = (orders, payments, stock, parcels)
