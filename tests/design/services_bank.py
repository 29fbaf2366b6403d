"""The bank whose transfers tests resolve: an at-most-once call, its compensation, other calls."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from counterpoint import ActivityFailed, BusinessError, Execution, Retry, Service, workflow
from counterpoint.testing import Harness

HOUR = timedelta(hours=1)
LOST = OSError("connection lost")
bank = Service("bank")


class Declined(BusinessError):
    reason: str


class Receipt(BaseModel):
    number: str
    amount: Decimal


@bank.activity(at_most_once=True)
async def transfer(amount: Decimal) -> Receipt:
    return Receipt(number="r-1", amount=amount)


@transfer.compensation(retry=Retry(max_attempts=2, first=HOUR, cap=HOUR, jitter=0))
async def send_back(amount: Decimal, result: Receipt | None) -> None: ...


@bank.activity(at_most_once=True)
async def notify(text: str) -> None: ...


@bank.activity(retry=Retry(first=HOUR, cap=HOUR, jitter=0))
async def book(amount: Decimal) -> str:
    return "booked"


@bank.activity
async def unlock() -> None: ...


@bank.activity(timeout=None)
def print_slip(amount: Decimal) -> str:
    return "printed"


@print_slip.compensation
async def unprint(amount: Decimal) -> None: ...


@bank.activity
async def refuse() -> None:
    raise TypeError("never")


@bank.saga
async def pay_beside_printing(amount: Decimal) -> None:
    await transfer(amount)
    await asyncio.gather(print_slip(amount), refuse())


@bank.saga
async def pay(amount: Decimal) -> str:
    receipt = await transfer(amount)
    assert type(receipt) is Receipt
    return f"{receipt.number}: {receipt.amount + 1}"


@bank.saga
async def pay_and_book(amount: Decimal) -> str:
    await transfer(amount)
    return await book(amount)


@bank.saga
async def lock_and_book(amount: Decimal) -> str:
    workflow.compensate_with(unlock)
    return await book(amount)


@bank.saga
async def pay_in_a_child(amount: Decimal) -> str:
    return await pay(amount)


@bank.saga
async def book_past_pivot(amount: Decimal) -> str:
    workflow.pivot()
    return await book(amount)


@bank.workflow
async def tell(text: str) -> str:
    await notify(text)
    return "told"


@bank.workflow
async def see(amount: Decimal) -> str:
    """Say what the code sees of a transfer."""
    try:
        return (await transfer(amount)).number
    except ActivityFailed as failed:
        unknown = "unknown" if failed.outcome_unknown else "known"
        return f"{failed.type}: {failed.message}, {unknown}, {failed.attempts}"
    except Declined as declined:
        return declined.reason


AMOUNT = Decimal("9.50")
GIVEN = {"number": "r-7", "amount": "9.50"}


async def unknown(harness: Harness, flow: Any = pay) -> Execution[Any]:
    """Begin an execution of which nobody knows whether its transfer happened."""
    harness.fail(transfer, LOST)
    execution: Execution[Any] = await harness.start(flow, AMOUNT, id="one")
    return execution
