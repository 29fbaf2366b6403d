"""Activity functions in unit tests, without an app."""

import pytest

from counterpoint import Service, activity
from counterpoint.errors import NotInActivityError, PayloadError
from counterpoint.testing import attempt

service = Service("service")


@service.activity
async def copy(count: int) -> str:
    for number in range(activity.last_heartbeat() or 0, count):
        activity.heartbeat(number)
    facts = activity.info()
    return f"{facts.idempotency_key}, attempt {facts.attempt}"


async def test_function_learns_the_facts_that_the_test_gives() -> None:
    with attempt(idempotency_key="order-1/1/2", attempt=3, last_heartbeat=2) as running:
        assert await copy(4) == "order-1/1/2, attempt 3"

    assert running.heartbeats == [2, 3]


async def test_facts_have_defaults() -> None:
    with attempt() as running:
        assert await copy(0) == "unit-test/1/1, attempt 1"

    assert running.info().correlation_id == "unit-test"
    assert running.info().deadline is None


async def test_heartbeat_that_is_no_json_is_refused_as_it_would_be_live() -> None:
    with attempt(), pytest.raises(PayloadError, match="JSON"):
        activity.heartbeat(object())


async def test_outside_of_the_block_the_error_names_it() -> None:
    with attempt():
        pass

    with pytest.raises(NotInActivityError, match=r"counterpoint\.testing\.attempt"):
        await copy(1)
