"""The services whose activities an order calls; all deployments have the same ones."""

from dataclasses import dataclass
from datetime import timedelta

from tests.deployment import books

from counterpoint import BusinessError, Retry, Service, workflow

stock, parcels, payments = Service("stock"), Service("parcels"), Service("payments")
_TICK = timedelta(milliseconds=200)


@dataclass(frozen=True)
class Receipt:
    """What the provider answers to a charge."""

    number: int
    cents: int


class CardExpired(BusinessError):
    """The provider refuses the card."""

    month: str


@stock.activity
async def reserve(order: str) -> None:
    """Reserve the goods."""
    books.note_call(order)
    books.have_effect(order)


@reserve.compensation
async def release(order: str) -> None:
    """Give the goods back."""
    books.note_call(order)
    books.have_effect(order)


@stock.activity(retry=Retry(max_attempts=10_000, first=_TICK, cap=_TICK))
async def confirm(order: str) -> None:
    """Have the warehouse confirm that the goods are there; it is closed at times."""
    books.note_call(order)
    if (books.folder() / books.CLOSED).exists():
        raise ConnectionError("the warehouse is closed")


@parcels.activity
async def book(order: str) -> None:
    """Book a place on the van."""
    books.note_call(order)
    books.have_effect(order)


@book.compensation
async def unbook(order: str) -> None:
    """Give the place back."""
    books.note_call(order)
    books.have_effect(order)


@parcels.activity
async def send(order: str) -> None:
    """Send the parcel."""
    books.note_call(order)
    books.have_effect(order)


@payments.activity(at_most_once=True)
async def charge(order: str, cents: int) -> Receipt:
    """Charge the card; the provider knows no idempotency keys, so nobody may ask twice."""
    books.note_call(order)
    lost = books.lose_answer(order)
    if lost is False:
        raise ConnectionError("the provider did not answer")
    number = books.have_effect(order, cents)
    if lost:
        raise ConnectionError("the provider did not answer")
    return Receipt(number, cents)


@charge.compensation
async def refund(order: str, cents: int) -> None:
    """Give the money back."""
    books.note_call(order)
    books.have_effect(order, -cents)


async def until_ready(order: str, waits_for: str, pause_seconds: float) -> None:
    """Wait for what an order waits for; workflow code of all deployments."""
    if waits_for == "approval":
        await workflow.signal("approved", bool)
    elif waits_for == "pause":
        await workflow.sleep(pause_seconds)
    else:
        await confirm(order)
