"""Services whose events the tests of event graphs read; nothing here ever runs."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Annotated, Any, Optional, cast

import counterpoint.workflow as engine
from counterpoint import Choreography, Event, Service, activity, workflow
from counterpoint.activity import publish as say

orders, payments, inventory = Service("orders"), Service("payments"), Service("inventory")
carrier = Service("carrier")


@orders.event(key="order")
class OrderPlaced(Event):
    """A customer placed an order."""

    order: str


@orders.event(key="order")
class OrderConfirmed(Event):
    order: str

    @classmethod
    def of(cls, order: str) -> "OrderConfirmed":
        return cls(order=order)


@orders.event(key="order")
class OrderRefused(Event):
    order: str


@payments.event(key="order", version=2)
class PaymentAuthorized(Event):
    order: str


@payments.event(key="order")
class PaymentRefused(Event):
    order: str


@payments.event(key="order")
class PaymentRefunded(Event):
    order: str


@inventory.event(key="order")
class StockReserved(Event):
    order: str


@inventory.event(key="order")
class StockShort(Event):
    order: str


@carrier.event(key="order", external=True)
class ParcelShipped(Event):
    order: str


# ---- a choreography ---------------------------------------------------------------------------


@payments.on(OrderPlaced)
async def take_payment(event: OrderPlaced) -> PaymentAuthorized | PaymentRefused:
    return PaymentAuthorized(order=event.order)


@inventory.on(PaymentAuthorized)
async def reserve_stock(event: PaymentAuthorized) -> StockReserved | StockShort:
    return StockReserved(order=event.order)


@payments.on(StockShort)
async def refund(event: StockShort) -> PaymentRefunded:
    return PaymentRefunded(order=event.order)


@orders.on(OrderPlaced)
async def note(event: OrderPlaced) -> None:
    """A side branch that ends nowhere."""


fulfilment = Choreography(
    "fulfilment",
    starts=OrderPlaced,
    completes=[StockReserved],
    fails=[PaymentRefused, PaymentRefunded],
    within=timedelta(seconds=30),
)

# ---- what workflows say -----------------------------------------------------------------------

Outcome = OrderConfirmed | OrderRefused
HELLO = OrderConfirmed(order="hello")
KINDS = (StockReserved, StockShort)


async def announce(event: OrderConfirmed | OrderRefused) -> None:
    await workflow.publish(event)


async def announce_any(event: Event) -> None:
    await workflow.publish(event)


async def announce_alias(event: "Outcome") -> None:
    await workflow.publish(event)


async def announce_untyped(event: Any, *more: Any) -> None:
    await workflow.publish(event)
    for one in more:
        await workflow.publish(one)


def made(order: str) -> Outcome:
    return OrderConfirmed(order=order) if order else OrderRefused(order=order)


def unsaid(order: str):  # type: ignore[no-untyped-def]  # what users write
    event = OrderRefused(order=order)
    return event  # noqa: RET504 - what users write


async def late(order: str) -> OrderConfirmed:
    found: OrderConfirmed = hidden[order]
    return found


async def outcomes(order: str) -> AsyncGenerator[OrderConfirmed]:
    yield OrderConfirmed(order=order)


@contextlib.asynccontextmanager
async def told(order: str) -> AsyncGenerator[None]:
    yield
    await workflow.publish(OrderConfirmed(order=order))


class Desk:
    async def tell(self, order: str) -> None:
        await self.say(OrderRefused(order=order))

    async def say(self, event: Any) -> None:
        await workflow.publish(event)


desk = Desk()
hidden: dict[str, Any] = {}


@orders.workflow
async def says_directly(order: str) -> None:
    await workflow.publish(OrderConfirmed(order=order))
    await engine.publish(OrderRefused(order=order))


@orders.workflow
async def says_names(order: str) -> None:
    event = OrderConfirmed(order=order)
    if not order:
        event = OrderRefused(order=order)  # type: ignore[assignment]  # what users write
    await workflow.publish(event)


@orders.workflow
async def says_what_it_copies(order: str) -> None:
    first = OrderConfirmed.of(order)
    second = first.model_copy(update={"order": "other"})
    await workflow.publish(second)
    await workflow.publish(OrderRefused.model_validate({"order": order}))
    await workflow.publish(HELLO)


@orders.workflow
async def says_what_helpers_make(order: str) -> None:
    await workflow.publish(made(order))


@orders.workflow
async def says_what_untyped_helpers_make(order: str) -> None:
    await workflow.publish(unsaid(order))


@orders.workflow
async def says_what_annotations_tell(order: str) -> None:
    event: OrderRefused = hidden[order]
    await workflow.publish(event)
    await workflow.publish(await late(order))


@orders.workflow
async def says_through_helpers(order: str) -> None:
    await announce(OrderConfirmed(order=order))


@orders.workflow
async def says_through_aliases(order: str) -> None:
    await announce_alias(hidden[order])


@orders.workflow
async def says_through_untyped_helpers(order: str) -> None:
    await announce_any(OrderConfirmed(order=order))
    await announce_untyped(OrderRefused(order=order))


@orders.workflow
async def says_through_methods(order: str) -> None:
    await desk.tell(order)
    await Desk().say(OrderConfirmed(order=order))


@orders.workflow
async def says_in_loops(order: str) -> None:
    for event in (OrderConfirmed(order=order), OrderRefused(order=order)):
        await workflow.publish(event)
    async for one in outcomes(order):
        await workflow.publish(one)


@orders.workflow
async def says_in_blocks(order: str) -> None:
    async with told(order):
        await asyncio.sleep(1)

    async def inside(reason: str) -> None:
        await workflow.publish(OrderRefused(order=reason))

    await inside(order)


@orders.workflow
async def says_through_others(order: str) -> None:
    await asyncio.gather(*map(announce, [OrderConfirmed(order=order)]))


@orders.workflow
async def says_what_nobody_knows(order: str) -> None:
    await workflow.publish(hidden[order])
    await announce_any(hidden[order])


@orders.workflow(emits=[OrderConfirmed])
async def says_what_it_declares(order: str) -> None:
    await workflow.publish(hidden[order])


@orders.workflow
async def says_after_an_import(order: str) -> None:
    from tests.unit.graph.choreographed import OrderRefused as Refused

    if (event := Refused(order=order)).order:
        await workflow.publish(event)


@orders.workflow
async def calls_itself(order: str) -> None:
    async def again(event: Any, left: int) -> None:
        if left:
            await again(event, left - 1)
        await workflow.publish(event)

    await again(OrderConfirmed(order=order), 3)
    await recurs(OrderRefused(order=order))


async def recurs(event: Any) -> None:
    await recurs(event)
    await workflow.publish(event)


async def announce_typed(
    first: Optional["OrderConfirmed"], rest: list[OrderRefused], *, last: Annotated[Outcome, 1]
) -> None:
    await workflow.publish(first)  # type: ignore[arg-type]  # what users write
    for one in rest:
        await workflow.publish(one)
    await workflow.publish(last)


@orders.workflow
async def says_through_annotations(order: str) -> None:
    await announce_typed(hidden[order], hidden[order], last=hidden[order])


@orders.workflow
async def says_what_it_picks(order: str) -> None:
    made = {"yes": OrderConfirmed(order=order), "no": OrderRefused(order=order)}
    await workflow.publish(made[order])
    first, [second, _] = OrderConfirmed(order=order), [OrderRefused(order=order), 1]
    await workflow.publish(first if order else second)
    both = [OrderConfirmed(order=one) for one in order]
    await workflow.publish([*both, HELLO][0])
    await workflow.publish(list(both)[0])  # noqa: RUF015 - what users write
    await workflow.publish(hidden[order] or cast("OrderRefused", hidden[order]))


@orders.workflow
async def says_through_lambdas(order: str) -> None:
    import tests.unit.graph.choreographed as here

    say_it: Any = lambda event: workflow.publish(event)  # noqa: E731 - what users write
    await say_it(OrderConfirmed(order=order))
    await here.announce(here.OrderRefused(order=order))


@orders.workflow
async def says_what_it_gave_up(order: str) -> None:
    event: Any = OrderConfirmed(order=order)
    event += 1
    (first, second) = hidden[order]
    async with hidden[order] as third, hidden[order] as (fourth, *fifth):
        match hidden[order]:
            case OrderRefused() as sixth:
                await workflow.publish(sixth)
            case [*_]:
                for _, seventh in hidden[order]:
                    await workflow.publish(seventh)
            case _:
                pass
    for one in (event, first, second, third, fourth, fifth):
        await workflow.publish(one)


# ---- what they wait for -----------------------------------------------------------------------


@orders.workflow
async def waits(order: str) -> None:
    await workflow.event(StockReserved, key=order)
    await workflow.event(type=StockShort, key=order)
    async with asyncio.timeout(5):
        await asyncio.wait_for(engine.event(ParcelShipped, order), 3)


@orders.workflow
async def waits_for_one_of(order: str) -> None:
    for kind in KINDS:
        await workflow.event(kind, key=order)


@orders.workflow
async def waits_for_what_nobody_knows(order: str) -> None:
    await workflow.event(hidden[order], key=order)


@orders.workflow
async def passes_on(order: str) -> None:
    refused = await workflow.event(OrderRefused, key=order)
    await workflow.publish(refused)


# ---- what activities say ----------------------------------------------------------------------


@payments.activity
async def charge(order: str) -> str:
    activity.publish(PaymentAuthorized(order=order))
    return order


@charge.compensation
async def void(order: str) -> None:
    say(PaymentRefunded(order=order))


@payments.activity(emits=[PaymentRefused])
def decline(order: str) -> None:
    for event in hidden[order]:
        activity.publish(event)


@inventory.activity
def count(order: str) -> int:
    return len(order)


@orders.activity
async def ask(order: str) -> None:
    await charge(order)
    activity.start(says_directly, order)


@orders.saga(on=StockReserved)
async def place(event: StockReserved) -> None:
    await count(event.order)
    await charge(event.order)
    await passes_on(event.order)


@orders.on(OrderRefused)
def follow_up(event: OrderRefused) -> None:
    activity.start(passes_on, event.order, id="x")
