"""Orders with no one in the middle, made to be crashed: events, reactions and sagas beside them.

Keys of orders have few events each, keys of visitors many. Attempts fail before and after their
effect, are slow, die at once (a `BusinessError`) or after their last attempt; how, follows from the
ledger, so that every process of a round sees the same.
"""

import asyncio
import time
from datetime import timedelta
from pathlib import Path

from tests.crash.ledger import Attempt, Ledger

from counterpoint import App, BusinessError, Event, Retry, RetryAfter, Service, activity, workflow

STORE = "counterpoint.db"
STOCK = 60
"""Of each product."""
CREDIT_CENTS = 9_000
REMOVABLE = "orders.rank_order"
"""The reaction that some nodes do not have."""
SKIPS = frozenset({"payments.score"})
"""Reactions that let later events pass a dead letter."""
REPLAYABLE = ("orders.audit", "orders.greet", "inventory.guess")
ATTEMPTS_MAX = 4
RETRY = Retry(
    max_attempts=ATTEMPTS_MAX,
    first=timedelta(milliseconds=4),
    cap=timedelta(milliseconds=20),
)
HANG_SECONDS = 0.06

orders, payments, inventory = Service("orders"), Service("payments"), Service("inventory")
_ledgers: list[Ledger] = []


class Refused(BusinessError):
    """The order will not be; what was done for it is undone."""

    order_id: str


class Poisoned(BusinessError):
    """The reaction cannot do anything with this event."""

    key: str


@orders.event(key="order_id")
class OrderPlaced(Event):
    """A customer placed an order."""

    order_id: str
    cents: int
    product: str
    quantity: int
    checked: bool = False
    """Whether the customer is asked twice."""
    poison: bool = False
    """Nobody can take the payment as long as this is set."""


@orders.event(key="order_id")
class OrderClosed(Event):
    """It is known what becomes of the order."""

    order_id: str
    how: str


@orders.event(key="customer")
class Visited(Event):
    """A customer was here."""

    customer: str
    number: int


@orders.event(key="order_id")
class Audited(Event):
    """Somebody has looked at the closed order."""

    order_id: str


@orders.event(key="order_id")
class Filed(Event):
    """The papers of the order are put away."""

    order_id: str


@orders.event(key="order_id")
class Followed(Event):
    """Nobody looks after the order any more."""

    order_id: str
    how: str


@orders.event(key="order_id")
class CheckAnswered(Event):
    """The customer answered."""

    order_id: str
    number: int


@payments.event(key="order_id")
class PaymentAuthorized(Event):
    """The money is there."""

    order_id: str
    cents: int
    product: str
    quantity: int


@payments.event(key="order_id")
class PaymentRefused(Event):
    """There is no money."""

    order_id: str


@payments.event(key="order_id")
class PaymentRefunded(Event):
    """The money went back."""

    order_id: str


@payments.event(key="order_id")
class CheckAsked(Event):
    """The customer is asked something."""

    order_id: str
    number: int


@payments.event(key="customer")
class Scored(Event):
    """What a visit is worth."""

    customer: str
    number: int


@inventory.event(key="order_id")
class StockReserved(Event):
    """The goods are there."""

    order_id: str
    quantity: int


@inventory.event(key="order_id")
class StockShort(Event):
    """The goods are not there."""

    order_id: str
    cents: int


@inventory.event(key="order_id")
class ParcelPacked(Event):
    """The goods are in a parcel."""

    order_id: str


@inventory.event(key="order_id")
class ParcelShipped(Event):
    """The parcel is on its way."""

    order_id: str


@inventory.event(key="customer")
class Guessed(Event):
    """What a visitor may want."""

    customer: str
    number: int


def ledger() -> Ledger:
    """Return the ledger that this process writes."""
    return _ledgers[-1]


def open_ledger(directory: Path, seed: str) -> None:
    """Begin another life of this process: what is in the ledger is known from before."""
    close_ledger()
    _ledgers[:] = [Ledger(directory, seed)]


def close_ledger() -> None:
    """End the life of this process: what goes on in its threads does nothing any more."""
    for ledger in _ledgers:
        ledger.close()


def make_app(directory: Path, seed: str) -> App:
    """Return the app of a round's folder, and have its reactions write the ledger there."""
    open_ledger(directory, seed)
    return App(
        "crashed", services=[orders, payments, inventory], store=f"sqlite:///{directory / STORE}"
    )


def enter(call: Attempt) -> None:
    """Let an attempt fail before it has done anything, if that is its fate."""
    dice = call.dice("before")
    if call.fate("dies at once") < 0.03 and call.before == 0:
        raise Poisoned(key=call.key)
    if call.fate("dies at last") < 0.02 and call.before < ATTEMPTS_MAX:
        raise ConnectionError("nobody answers, and nobody will for a while")
    if dice < 0.06:
        raise ConnectionError("no route")
    if dice < 0.07:
        raise RetryAfter(timedelta(milliseconds=6))


def leave(call: Attempt) -> None:
    """Let an attempt fail after it has done everything, if that is its fate."""
    if call.dice("after") < 0.05:
        raise ConnectionError("the answer was lost")


async def work(call: Attempt) -> None:
    """Take the time that an attempt takes; one that hangs runs into its timeout."""
    dice = call.dice("time")
    if dice < 0.005:
        await asyncio.sleep(HANG_SECONDS * 100)
    elif dice < 0.1:
        await asyncio.sleep(dice / 10)
    elif dice < 0.4:
        await asyncio.sleep(0)


# ---- orders that are placed ------------------------------------------------------------------


@payments.on(OrderPlaced, retry=RETRY, timeout=timedelta(seconds=HANG_SECONDS))
async def take_payment(event: OrderPlaced) -> PaymentAuthorized | PaymentRefused:
    with Attempt(ledger()) as call:
        enter(call)
        if event.poison:
            raise Poisoned(key=event.order_id)
        await work(call)
        refused = event.cents > CREDIT_CENTS
        if not refused:
            call.effect("charge", order=event.order_id, cents=event.cents)
        if event.checked:
            activity.start(check_customer, event.order_id, id=f"check-{event.order_id}")
        leave(call)
        if refused:
            return call.gives(PaymentRefused(order_id=event.order_id))
        return call.gives(
            PaymentAuthorized(
                order_id=event.order_id,
                cents=event.cents,
                product=event.product,
                quantity=event.quantity,
            )
        )


@inventory.on(PaymentAuthorized, retry=RETRY)
def reserve_stock(event: PaymentAuthorized) -> StockReserved | StockShort:
    with Attempt(ledger()) as call:
        enter(call)
        if call.dice("time") < 0.1:
            time.sleep(call.dice("time") / 10)
        there = call.ledger.reserve(call.key, event.product, event.order_id, event.quantity, STOCK)
        leave(call)
        if there:
            return call.gives(StockReserved(order_id=event.order_id, quantity=event.quantity))
        return call.gives(StockShort(order_id=event.order_id, cents=event.cents))


@payments.on(StockShort, retry=RETRY)
async def refund(event: StockShort) -> PaymentRefunded:
    with Attempt(ledger()) as call:
        enter(call)
        call.effect("refund", order=event.order_id, cents=event.cents)
        leave(call)
        return call.gives(PaymentRefunded(order_id=event.order_id))


@inventory.on(StockReserved, retry=RETRY, timeout=timedelta(seconds=HANG_SECONDS))
async def ship(event: StockReserved) -> tuple[ParcelPacked, ParcelShipped]:
    with Attempt(ledger()) as call:
        enter(call)
        await work(call)
        call.effect("ship", order=event.order_id, quantity=event.quantity)
        leave(call)
        packed, shipped = (
            ParcelPacked(order_id=event.order_id),
            ParcelShipped(order_id=event.order_id),
        )
        return call.gives((packed, shipped))


@orders.on(ParcelPacked, retry=RETRY)
async def note_packed(event: ParcelPacked) -> None:
    with Attempt(ledger()) as call:
        enter(call)
        call.effect("packed", order=event.order_id)


@orders.on(ParcelShipped, retry=RETRY)
async def confirm(event: ParcelShipped) -> OrderClosed:
    with Attempt(ledger()) as call:
        enter(call)
        call.effect("confirm", order=event.order_id)
        leave(call)
        return call.gives(OrderClosed(order_id=event.order_id, how="confirmed"))


@orders.on(PaymentRefused, retry=RETRY)
async def turn_down(event: PaymentRefused) -> OrderClosed:
    with Attempt(ledger()) as call:
        enter(call)
        call.effect("cancel", order=event.order_id)
        return call.gives(OrderClosed(order_id=event.order_id, how="refused"))


@orders.on(PaymentRefunded, retry=RETRY)
async def give_up(event: PaymentRefunded) -> OrderClosed:
    with Attempt(ledger()) as call:
        enter(call)
        call.effect("cancel", order=event.order_id)
        return call.gives(OrderClosed(order_id=event.order_id, how="undone"))


@orders.on(OrderClosed, retry=RETRY, lane="audit")
async def audit(event: OrderClosed) -> Audited | None:
    with Attempt(ledger()) as call:
        enter(call)
        call.effect("audit", order=event.order_id)
        leave(call)
        return call.gives(Audited(order_id=event.order_id) if event.how != "refused" else None)


@orders.on(OrderPlaced, retry=RETRY, start="beginning")
async def rank_order(event: OrderPlaced) -> None:
    with Attempt(ledger()) as call:
        enter(call)
        call.effect("rank", order=event.order_id)


@orders.on(Followed, retry=RETRY)
async def count_followed(event: Followed) -> None:
    with Attempt(ledger()) as call:
        enter(call)
        call.effect("followed", order=event.order_id)


# ---- visitors: few keys, many events -----------------------------------------------------------


@orders.on(Visited, retry=RETRY, timeout=timedelta(seconds=HANG_SECONDS))
async def greet(event: Visited) -> None:
    with Attempt(ledger()) as call:
        enter(call)
        await work(call)
        call.effect("greet", visitor=event.customer)


@payments.on(Visited, retry=RETRY, lane="scores", on_dead="skip")
async def score(event: Visited) -> Scored | None:
    with Attempt(ledger()) as call:
        enter(call)
        call.effect("score", visitor=event.customer)
        leave(call)
        scored = Scored(customer=event.customer, number=event.number)
        return call.gives(scored if event.number % 3 else None)


@orders.on(Scored, retry=RETRY)
async def rank_visitor(event: Scored) -> None:
    with Attempt(ledger()) as call:
        enter(call)
        call.effect("rank", visitor=event.customer)


@inventory.on(Visited, retry=RETRY, lane="guesses")
async def guess(event: Visited) -> list[Guessed]:
    with Attempt(ledger()) as call:
        enter(call)
        call.effect("guess", visitor=event.customer)
        leave(call)
        found = [Guessed(customer=event.customer, number=n) for n in range(event.number % 3)]
        return call.gives(found)


@inventory.on(Guessed, retry=RETRY, lane="guesses")
async def learn(event: Guessed) -> None:
    with Attempt(ledger()) as call:
        enter(call)
        call.effect("learn", visitor=event.customer)


# ---- workflows that events start, and that wait for events -------------------------------------


@orders.activity(retry=Retry(first=timedelta(milliseconds=4)))
async def open_case(order_id: str) -> str:
    with Attempt(ledger()) as call:
        call.effect("open", order=order_id)
        return order_id


@open_case.compensation
async def close_case(order_id: str) -> None:
    with Attempt(ledger()) as call:
        call.effect("close", order=order_id)


@orders.activity(retry=Retry(first=timedelta(milliseconds=4)), emits=[Filed])
async def file_away(order_id: str) -> str:
    with Attempt(ledger()) as call:
        call.effect("file", order=order_id)
        call.publish(Filed(order_id=order_id))
        leave(call)
        return order_id


@orders.saga(
    on=OrderPlaced,
    id=lambda event: f"follow-{event.order_id}",
    start="beginning",
    emits=[Followed],
)
async def follow(event: OrderPlaced) -> str:
    await open_case(event.order_id)
    try:
        closed = await workflow.event(OrderClosed, key=event.order_id, timeout=0.02)
    except TimeoutError:
        closed = await workflow.event(OrderClosed, key=event.order_id)
    if closed.how == "refused":
        raise Refused(order_id=event.order_id)
    await file_away(event.order_id)
    await workflow.publish(Followed(order_id=event.order_id, how=closed.how))
    return closed.how


@orders.on(CheckAsked, retry=RETRY, lane="checks")
async def answer_check(event: CheckAsked) -> CheckAnswered:
    with Attempt(ledger()) as call:
        enter(call)
        call.effect("answer", order=event.order_id)
        return call.gives(CheckAnswered(order_id=event.order_id, number=event.number))


@payments.workflow(emits=[CheckAsked])
async def check_customer(order_id: str) -> list[int]:
    """Ask twice, and wait for each answer; the answers come in order, each once."""
    answers: list[int] = []
    for number in range(2):
        await workflow.publish(CheckAsked(order_id=order_id, number=number))
        answered = await workflow.event(CheckAnswered, key=order_id)
        answers.append(answered.number)
    return answers
