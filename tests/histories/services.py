"""The services whose executions are recorded here; they never change, so journals replay for ever.

What an activity really does is of no interest: `make.py` lets it fail, hang and return. A new way
for a journal to be gets new definitions and new journals, never other code for old ones.
"""

import asyncio
from datetime import timedelta
from decimal import Decimal

from counterpoint import (
    ActivityFailed,
    BusinessError,
    Event,
    NotDone,
    Retry,
    Service,
    activity,
    workflow,
)

SOON = Retry(max_attempts=3, first=timedelta(seconds=1), factor=2, jitter=0)

orders, payments, trips = Service("orders"), Service("payments"), Service("trips")
SERVICES = [orders, payments, trips]


class Declined(BusinessError):
    """The bank said no."""

    reason: str
    limit: Decimal


@orders.activity(retry=SOON)
async def create(order: str) -> dict[str, str]:
    return {"created": order}


@create.compensation(retry=SOON)
async def withdraw(order: str) -> None: ...


@orders.activity(retry=SOON)
async def reserve(order: str, line: int = 1) -> dict[str, int]:
    return {"reserved": line}


@reserve.compensation(retry=SOON)
async def release(order: str, line: int, result: dict[str, int] | None) -> None: ...


@orders.activity(retry=SOON)
async def unlock(shelf: str) -> None: ...


@orders.activity
async def look_up(order: str) -> str:
    return f"{order} is here"


@payments.activity(retry=SOON)
async def charge(order: str, amount: Decimal) -> str:
    if amount > 100:
        raise Declined(reason="over the limit", limit=Decimal(100))
    return f"charged {amount}"


@charge.compensation(retry=SOON)
async def refund(order: str, result: str | None) -> None: ...


@payments.activity(at_most_once=True)
async def transfer(order: str, amount: Decimal) -> str:
    raise ConnectionError("the bank does not answer")


@payments.activity(at_most_once=True, retry=SOON)
async def fetch(order: str) -> str:
    raise NotDone


@orders.saga
async def place(order: str, amount: Decimal) -> str:
    await create(order)
    await reserve(order)
    return await charge(order, amount)


@orders.saga
async def place_beside(order: str, amount: Decimal) -> list[str]:
    """Everything at once, in a group and a gather, with a deadline inside."""
    workflow.set_attributes(customer=order[:1], amount=amount)
    async with asyncio.timeout(3600), asyncio.TaskGroup() as group:
        group.create_task(create(order))
        reserved = group.create_task(asyncio.sleep(30))
    await reserved
    await asyncio.gather(*(reserve(order, line) for line in (1, 2, 3)))
    workflow.compensate_with(unlock, f"shelf of {order}")
    workflow.set_attributes(amount=None, reserved=True)
    return [str(workflow.uuid4()), await charge(order, amount), str(workflow.random().random())]


@orders.workflow
async def pay(order: str, amount: Decimal) -> str:
    try:
        return await charge(order, amount)
    except Declined as error:
        return f"{error.reason}: {error.limit}"


@orders.workflow
async def plain(order: str) -> dict[str, int]:
    return await reserve(order, line=2)


@orders.workflow
async def find(order: str) -> str:
    return await look_up(order)


@orders.saga
async def by_transfer(order: str) -> str:
    await create(order)
    return await transfer(order, Decimal("9.50"))


@orders.saga
async def forward(order: str) -> dict[str, int]:
    """Past the pivot nothing is undone."""
    await create(order)
    workflow.pivot()
    return await reserve(order)


@orders.saga(deadline=timedelta(minutes=5))
async def in_time(order: str) -> str:
    await create(order)
    approved = await workflow.signal("approval", str)
    await reserve(order)
    return approved


@orders.workflow
async def approval(order: str) -> str:
    """Whoever answers first: a person, or the reminder."""
    for _ in range(2):
        try:
            return await workflow.signal("approval", str, timeout=timedelta(hours=1))
        except TimeoutError:
            await reserve(order)
    if workflow.patched("third-chance"):
        return await workflow.signal("approval", str)
    return "nobody"


@orders.workflow
async def poll(seen: int) -> int:
    """Go on as new until it has seen three."""
    workflow.set_attributes(seen=seen)
    await workflow.signal("seen", int)
    if seen < 2:
        workflow.continue_as_new(seen + 1)
    return seen


@trips.saga(version=2)
async def leg(city: str) -> str:
    await reserve(city)
    if city == "Atlantis":
        raise Declined(reason="sunk", limit=Decimal(0))
    return f"to {city}"


@trips.saga
async def final_leg(city: str) -> str:
    await reserve(city)
    workflow.pivot()
    return f"to {city}, for good"


@trips.workflow
async def report(city: str) -> str:
    return await workflow.signal("report", str)


@trips.saga
async def trip(cities: list[str]) -> list[str]:
    """A child a city, two kinds beside, and a payment."""
    legs = await asyncio.gather(*(leg(city) for city in cities))
    last = await workflow.child(final_leg, cities[0], id=f"final-{cities[0]}")
    await charge("trip", Decimal(10 * len(legs)))
    return [*legs, last]


@trips.workflow
async def ask(city: str) -> str:
    return await report(city)


@trips.workflow
async def dice(sides: int) -> list[int]:
    """Chance and children in a prefix that a reset keeps."""
    first = workflow.random().randrange(sides)
    await plain(f"dice-{first}")
    await workflow.signal("again", int)
    return [first, workflow.random().randrange(sides)]


@orders.activity(concurrency=1, retry=SOON)
async def pack(order: str) -> str:
    return f"{order} packed"


@orders.workflow
async def packing(order: str) -> str:
    return await pack(order)


@orders.saga
async def forward_if(order: str) -> str:
    """What fails past the pivot waits for a person, and is not caught."""
    await create(order)
    workflow.pivot()
    answer = await workflow.signal("go", str)
    if answer == "no":
        raise Declined(reason=answer, limit=Decimal(0))
    return answer


@orders.saga(deadline=timedelta(minutes=5))
async def forward_in_time(order: str) -> str:
    await create(order)
    workflow.pivot()
    await reserve(order)
    return await workflow.signal("go", str)


@payments.activity(at_most_once=True, on_unknown="fail")
async def call_bank(order: str) -> str:
    raise ConnectionError("the bank does not answer")


@orders.saga
async def by_call(order: str) -> str:
    await create(order)
    try:
        return await call_bank(order)
    except ActivityFailed as failed:
        return f"unknown: {failed.outcome_unknown}"


@trips.saga
async def cruise(city: str) -> str:
    """A child that is undone by a compensation of its own."""
    return str(await reserve(city))


@cruise.compensation(retry=SOON)
async def sell_cruise(city: str, result: str | None) -> None: ...


@trips.saga
async def by_ship(city: str) -> None:
    await cruise(city)
    workflow.compensate_with(unlock, city)
    raise Declined(reason="seasick", limit=Decimal(0))


@trips.workflow
async def reader(count: int) -> list[str]:
    """Reads signals that came before it asked."""
    await look_up("reader")
    return [await workflow.signal("page", str) for _ in range(count)]


shipping = Service("shipping")
SERVICES.append(shipping)


@orders.event(key="order")
class OrderPlaced(Event):
    order: str


@shipping.event(key="order")
class Shipped(Event):
    order: str
    parcel: int = 1


@orders.event(key="order")
class OrderDone(Event):
    order: str
    parcels: list[int]


@orders.activity(retry=SOON)
async def announce(order: str) -> str:
    """Publishes with its result, and starts another execution."""
    activity.publish(OrderDone(order=order, parcels=[0]))
    return activity.start(await_parcel, order, id=f"parcel-of-{order}")


@orders.saga(on=OrderPlaced, id=lambda event: f"order-{event.order}")
async def by_event(event: OrderPlaced) -> list[int]:
    """Started by an event, waits for two more, publishes what came of it."""
    await create(event.order)
    parcels = [
        (await workflow.event(Shipped, key=event.order)).parcel,
        (await workflow.event(Shipped, key=event.order)).parcel,
    ]
    await workflow.publish(OrderDone(order=event.order, parcels=parcels))
    return parcels


@orders.workflow
async def await_parcel(order: str) -> int:
    """Waits in time; reaches an hour back."""
    for _ in range(2):
        try:
            found = await workflow.event(
                Shipped, key=order, keep=timedelta(hours=1), timeout=timedelta(hours=1)
            )
        except TimeoutError:
            await reserve(order)
        else:
            return found.parcel
    return 0


@orders.workflow
async def announcing(order: str) -> str:
    return await announce(order)


@orders.workflow
async def parcels(order: str, seen: list[int]) -> list[int]:
    """Go on as new after each parcel, until it has seen three."""
    first, second = await asyncio.gather(
        workflow.event(Shipped, key=order), workflow.event(Shipped, key=f"{order}-too")
    )
    seen = [*seen, first.parcel, second.parcel]
    if len(seen) < 4:
        workflow.continue_as_new(order, seen)
    return seen


@orders.workflow
async def ship_and_fail(order: str) -> int:
    """A wait that a failure cuts off, and a retry takes up again."""
    waiting = asyncio.ensure_future(workflow.event(Shipped, key=order))
    await reserve(order)
    return (await waiting).parcel


@orders.event(key="order")
class OrderMoved(Event):
    order: str


@orders.workflow(on=OrderMoved)
async def moved(event: OrderMoved) -> dict[str, int]:
    """Its child knows how many events have led to it."""
    return await plain(event.order)
