"""The order saga that most tests of the runtime run; what happened is in `harness.calls`."""

from decimal import Decimal

from counterpoint import BusinessError, Service
from counterpoint.testing import Harness

shop = Service("shop")


class PaymentDeclined(BusinessError):
    """The customer's bank said no."""

    reason: str
    amount: Decimal


@shop.activity
async def create(order: str) -> dict[str, str]:
    return {"created": order}


@create.compensation
async def withdraw(order: str) -> None: ...


@shop.activity
async def reserve(order: str) -> dict[str, str]:
    return {"reserved": order}


@reserve.compensation
async def release(order: str, result: dict[str, str] | None) -> None: ...


@shop.activity
async def charge(order: str, amount: Decimal) -> dict[str, str]:
    if amount > 100:
        raise PaymentDeclined(reason="over the limit", amount=amount)
    return {"charged": order}


@charge.compensation
async def refund(order: str, result: dict[str, str] | None) -> None: ...


@shop.saga
async def place_order(order: str, amount: Decimal) -> str:
    await create(order)
    await reserve(order)
    await charge(order, amount)
    return f"{order} confirmed"


@shop.workflow
async def check_payment(order: str, amount: Decimal) -> str:
    """Say what a workflow sees of a declined payment."""
    try:
        await charge(order, amount)
    except PaymentDeclined as error:
        return f"{error.reason}: {error.amount + 1}"
    return "paid"


@shop.workflow
async def pay(order: str, amount: Decimal) -> str:
    await create(order)
    await charge(order, amount)
    return "paid"


GOOD = Decimal(10)
TOO_MUCH = Decimal(1000)


def called(harness: Harness) -> list[str]:
    """Return the names of the attempts that began, without the service."""
    return [call.name.partition(".")[2] for call in harness.calls]
