"""What a node makes of the calls that were open when another one died."""

import asyncio

from tests.unit.kernel.driving import Driver

from counterpoint import BusinessError, Retry, Service
from counterpoint.kernel import attempts
from counterpoint.model import records as r
from counterpoint.model.policies import StepPolicy
from counterpoint.model.states import Status

service = Service("shop")


class Refused(BusinessError):
    pass


@service.activity
async def reserve(line: int) -> int:
    return line


@reserve.compensation
async def release(line: int, result: int | None) -> None: ...


@service.saga
async def order() -> None:
    await asyncio.gather(reserve(1), reserve(2))


def recovered(driver: Driver) -> Driver:
    """Return the execution as the next node finds it."""
    other = driver.replayed()
    attempts.recover_attempts(other.execution, lambda _: StepPolicy(Retry()), other.now)
    attempts.begin_due_attempts(other.execution, other.now + 3600 * 1_000_000)
    other.commit()
    return other


def test_call_that_was_cancelled_while_it_waited_for_a_retry_settles() -> None:
    driver = Driver(service, order).start()
    driver.fail(1, final=False).fail(2, Refused(), unknown=False)
    assert driver.state.calls[1].cancelled

    found = recovered(driver)

    assert found.state.calls[1].outcome_unknown  # the failed attempt may have happened
    assert [x.call for x in found.journal if isinstance(x, r.CompensationScheduled)] == [1]
    assert not [x for x in found.journal if isinstance(x, r.AttemptStarted)]
    assert found.complete(-1).status is Status.COMPENSATED


def test_cancelled_call_whose_attempts_all_failed_before_they_began_is_not_undone() -> None:
    driver = Driver(service, order).start()
    driver.fail(1, final=False, unknown=False).fail(2, Refused(), unknown=False)

    found = recovered(driver)

    assert not found.state.calls[1].outcome_unknown
    assert found.status is Status.COMPENSATED
