"""Events, reactions and choreographies, as both type checkers see them.

Each `type: ignore` marks an error that has to be there. Most functions are read by the checkers and
never run.
"""

from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, assert_type

from counterpoint import App, Choreography, Event, Service, activity, workflow
from counterpoint.authoring.reaction import Reaction
from counterpoint.authoring.workflow import Workflow

orders, payments = Service("orders"), Service("payments")


@orders.event(key="order_id")
class OrderPlaced(Event):
    order_id: str
    total: int = 0


@payments.event(key="order_id", version=2)
class PaymentTaken(Event):
    order_id: str


@payments.event(key="order_id", external=True)
class PaymentRefused(Event):
    order_id: str


@PaymentTaken.upcaster(1)
def rename(data: dict[str, Any]) -> dict[str, Any]:
    return {"order_id": data["order"]}


@payments.on(OrderPlaced, lane="cards", on_dead="skip")
async def take_payment(event: OrderPlaced) -> PaymentTaken | PaymentRefused:
    return PaymentTaken(order_id=event.order_id)


@payments.on(OrderPlaced)
def note(event: OrderPlaced) -> None: ...


@orders.saga(on=PaymentTaken, id=lambda event: f"order-{event.order_id}", emits=[OrderPlaced])
async def ship(event: PaymentTaken) -> int:
    placed = await workflow.event(OrderPlaced, key=event.order_id, timeout=timedelta(days=1))
    assert_type(placed, OrderPlaced)
    assert_type(placed.total, int)
    await workflow.publish(PaymentTaken(order_id=placed.order_id))
    await workflow.publish("paid")  # type: ignore[arg-type]  # no event
    await workflow.event("OrderPlaced", key="1")  # type: ignore[arg-type]  # no class
    return 1


@payments.activity(emits=[PaymentTaken])
async def charge(order_id: str) -> None:
    activity.publish(PaymentTaken(order_id=order_id))
    activity.publish(PaymentTaken)  # type: ignore[arg-type]  # the class of it


fulfilment = Choreography(
    "fulfilment", starts=OrderPlaced, completes=PaymentTaken, fails=[PaymentRefused]
)


async def read_by_the_checkers() -> None:
    assert_type(rename({}), dict[str, Any])
    assert_type(take_payment, Reaction[OrderPlaced, PaymentTaken | PaymentRefused])
    assert_type(note, Reaction[OrderPlaced, None])
    assert_type(ship, Workflow[int, PaymentTaken])
    placed = OrderPlaced(order_id="1")
    called: Coroutine[Any, Any, PaymentTaken | PaymentRefused] = take_payment(placed)
    assert_type(await called, PaymentTaken | PaymentRefused)
    await note(placed)
    await take_payment(PaymentTaken(order_id="1"))  # type: ignore[arg-type]  # another event
    OrderPlaced(order=1)  # type: ignore[call-arg]  # no such field

    @payments.on(OrderPlaced)  # type: ignore[arg-type]  # takes another event
    async def wrong(event: PaymentTaken) -> None: ...

    payments.on(str)  # type: ignore[type-var]  # no event
    payments.on(OrderPlaced, on_dead="drop")  # type: ignore[arg-type]  # neither of the two
    orders.event()  # type: ignore[call-arg]  # no key
    Choreography("x", starts=placed, completes=[])  # type: ignore[arg-type]  # one event of it
    Choreography("x", starts=OrderPlaced)  # type: ignore[call-arg]  # no end
    app = App("shop", services=[orders, payments], choreographies=[fulfilment])
    assert_type(app.choreographies, dict[str, Choreography])


def test_what_the_checkers_read_can_be_built() -> None:
    app = App("shop", services=[orders, payments], choreographies=[fulfilment], store="memory:")

    assert list(app.choreographies) == ["fulfilment"]
