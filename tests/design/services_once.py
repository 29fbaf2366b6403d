"""Calls that are made at most once, and workflows that make them."""

import asyncio
from datetime import timedelta
from typing import Any

from tests.runtime.shop import called

from counterpoint import (
    ActivityFailed,
    BusinessError,
    Execution,
    Retry,
    Service,
    Status,
    workflow,
)
from counterpoint.model.states import Cause
from counterpoint.testing import Harness

bank = Service("bank")
SECOND = timedelta(seconds=1)
RETRY = Retry(max_attempts=3, first=SECOND, factor=1, jitter=0)


class Declined(BusinessError):
    reason: str


@bank.activity
async def prepare() -> None: ...


@bank.activity(at_most_once=True, retry=RETRY, timeout=SECOND)
async def asks(amount: int) -> int:
    return amount


@bank.activity(at_most_once=True, on_unknown="fail", retry=RETRY, timeout=SECOND)
async def fails(amount: int) -> int:
    return amount


@bank.activity(at_most_once=True)
async def wrong_result(amount: int) -> int:
    value: Any = "many"
    return value  # type: ignore[no-any-return]


@bank.activity(at_most_once=True)
def in_a_thread(amount: int) -> int:
    return amount


@bank.activity
async def breaks() -> None:
    raise TypeError("wrong")


@fails.compensation
async def take_back(amount: int, result: int | None) -> None: ...


@bank.workflow
async def pay(how: str) -> str:
    await prepare()
    call = {"asks": asks, "fails": fails, "wrong": wrong_result, "thread": in_a_thread}[how]
    try:
        await call(5)
    except Declined as declined:
        return declined.reason
    except ActivityFailed as failed:
        unknown = "unknown" if failed.outcome_unknown else "not done"
        return f"{unknown}, {failed.attempts}: {failed.message}"
    return "paid"


@bank.workflow
async def give_up() -> str:
    try:
        async with asyncio.timeout(0.5):
            await asks(5)
    except TimeoutError:
        await workflow.signal("go")
        return "gave up"
    return "paid"


@bank.workflow
async def pay_and_fail() -> str:
    await fails(5)
    return "paid"


@bank.workflow
async def pay_beside_a_failure() -> list[Any]:
    return list(await asyncio.gather(asks(5), breaks()))


@bank.saga
async def pay_saga() -> str:
    await fails(5)
    return "paid"


@bank.saga
async def pay_past_pivot() -> str:
    workflow.pivot()
    await fails(5)
    return "paid"


def paid(harness: Harness) -> int:
    """Return how often money was sent, or may have been."""
    return sum(name in ("asks", "fails", "wrong_result", "in_a_thread") for name in called(harness))


async def asked(execution: Execution[Any]) -> None:
    """Check that the execution asks a person about an unknown outcome."""
    known = await execution.describe()
    assert known.status is Status.INCIDENT
    assert [incident.cause for incident in known.incidents] == [Cause.UNKNOWN_OUTCOME]
    assert "may be called only once: look, then state its outcome with resolve" in str(
        known.incident
    )
