"""`retry()` of a failed execution: the failure is taken back, and the code goes on from there."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.kernel.driving import SECOND, Driver

from counterpoint import ActivityFailed, BusinessError, Service, workflow
from counterpoint.model import records as r

service = Service("shop")
Code = Callable[..., Awaitable[Any]]


class Declined(BusinessError):
    call: str = "a field of this name is the user's own"


@service.activity
async def first(n: int) -> int:
    return n


@service.activity
async def second(n: int) -> int:
    return n


def begin(code: Code, **options: Any) -> Driver:
    service.workflows.clear()
    decorate: Any = service.workflow(name="shop.main", **options)
    return Driver(service, decorate(code)).start()


def with_code(driver: Driver, code: Code) -> Driver:
    """Return the same journal under other code."""
    other = begin(code)
    other.execution.evict()
    other.journal, other.now = [*driver.journal], driver.now
    return other


def checked(driver: Driver) -> Driver:
    """Check that a replay agrees with the live execution, and return that."""
    replayed = driver.replayed()
    assert replayed.execution.divergence is None, replayed.execution.divergence
    assert replayed.state == driver.state
    assert replayed.execution.take_pending() == []
    return driver


def going_on(driver: Driver) -> Driver:
    """Return the replay of a driver after the same checks."""
    return checked(driver).replayed()


async def one() -> int:
    return await first(1)


async def one_in_time() -> int:
    async with asyncio.timeout(3600):
        return await first(1)


async def one_beside_two() -> int:
    one, two = await asyncio.gather(first(1), second(2))
    return one + two


async def one_in_a_group() -> int:
    async with asyncio.TaskGroup() as group:
        one = group.create_task(first(1))
        group.create_task(asyncio.sleep(50))
    return one.result()


@pytest.mark.parametrize("code", [one, one_in_time])
def test_the_failed_call_is_tried_again_and_the_code_goes_on(code: Code) -> None:
    driver = begin(code).fail(1)
    assert driver.status == "failed"

    driver.retry()

    assert driver.status == "running"
    assert driver.kinds()[-2:] == ["RetryRequested", "AttemptStarted"]
    assert going_on(driver).complete(1, 5).result == 5
    assert checked(driver.complete(1, 5)).result == 5


def test_a_deadline_does_not_stand_in_the_way_of_a_retry() -> None:
    driver = begin(one, deadline=timedelta(hours=1)).fail(1)
    failed_at = driver.now
    driver.now += 7200 * SECOND
    driver.retry()

    assert driver.status == "running"
    over = driver.now - failed_at
    assert list(driver.state.timers.values()) == [driver.state.started_at + 3600 * SECOND + over]
    assert checked(driver).complete(1, 5).result == 5


def test_calls_that_were_under_way_beside_the_failed_one_begin_again() -> None:
    driver = begin(one_beside_two).fail(1)
    assert "CallCancelled" in driver.kinds()

    driver.retry()

    assert driver.kinds()[-3:] == ["RetryRequested", "AttemptStarted", "AttemptStarted"]
    assert driver.state.open_steps[2].may_have_happened
    assert checked(driver.complete(2, 2).complete(1, 1)).result == 3


def test_what_settled_beside_the_failed_call_stays_settled() -> None:
    async def waits_for_both() -> int:
        results = await asyncio.gather(first(1), second(2), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return 7

    driver = begin(waits_for_both).fail(1).complete(2, 2)
    assert driver.status == "failed"

    driver.retry()

    assert list(driver.state.open_steps) == [1]
    assert going_on(driver).complete(1, 1).result == 7


def test_a_call_that_failed_within_a_task_group_is_tried_again() -> None:
    driver = begin(one_in_a_group).fail(1)
    assert driver.error.type == "builtins.ExceptionGroup"

    driver.retry()

    assert checked(driver.complete(1, 1).advance(60)).result == 1


@pytest.mark.parametrize("how", ["from", "during"])
def test_a_call_because_of_which_an_error_was_raised_is_tried_again(how: str) -> None:
    async def explains() -> int:
        try:
            return await first(1)
        except ActivityFailed as error:
            if how == "from":
                raise ValueError("no luck") from error
            raise ValueError("no luck")  # noqa: B904 - what users write

    driver = begin(explains).fail(1)
    assert driver.error.type == "builtins.ValueError"

    assert checked(driver.retry().complete(1, 1)).result == 1


def test_circular_causes_end() -> None:
    async def goes_round() -> None:
        first_error, second_error = ValueError(), TypeError()
        first_error.__cause__, second_error.__cause__ = second_error, first_error
        raise first_error

    assert begin(goes_round).state.failed_call is None


def test_what_the_code_decided_because_of_the_failure_never_happened() -> None:
    async def waits_before_it_gives_up() -> int:
        try:
            return await first(1)
        except ActivityFailed:
            await asyncio.sleep(5)
            await workflow.signal("sure")
            raise

    driver = begin(waits_before_it_gives_up).fail(1).signal("other", 3).advance(5).signal("sure")
    assert driver.status == "failed"

    driver.retry()

    assert driver.status == "running"
    assert driver.state.timers == {}
    assert list(driver.state.unread) == ["other", "sure"]
    assert going_on(driver).complete(1, 5).result == 5


def test_inputs_that_came_meanwhile_are_seen_by_the_code_that_goes_on() -> None:
    async def takes_signals() -> int:
        total = 0
        try:
            total += await first(1)
        except ActivityFailed:
            await asyncio.sleep(5)
            raise
        total += await workflow.signal("n", int)
        return total + await workflow.signal("n", int)

    driver = begin(takes_signals).fail(1).signal("n", 10).signal("n", 20).advance(5).retry()

    assert checked(driver.complete(1, 1)).result == 31


def test_a_call_made_after_the_failure_stays_made() -> None:
    async def makes_good() -> int:
        try:
            return await first(1)
        except ActivityFailed:
            await second(2)
            raise

    driver = begin(makes_good).fail(1).complete(2, 2)
    assert driver.status == "failed"

    driver.retry()

    assert driver.status == "failed"
    assert driver.calls() == ["first", "second"]
    assert driver.kinds()[-2:] == ["RetryRequested", "Ended"]


async def divides_by_zero() -> int:
    async with asyncio.timeout(60):
        n = await first(1)
        late = asyncio.ensure_future(second(n))
        await asyncio.sleep(0)
        n = n // 0
        return n + await late


async def divides_by_one() -> int:
    async with asyncio.timeout(60):
        n = await first(1)
        late = asyncio.ensure_future(second(n))
        await asyncio.sleep(0)
        n = n // 1
        return n + await late


def test_mended_code_goes_on_where_the_old_one_failed() -> None:
    driver = begin(divides_by_zero).complete(1, 4)
    assert driver.status == "failed"
    assert driver.kinds()[-4:] == ["CallScheduled", "TimerCancelled", "CallCancelled", "Ended"]

    mended = with_code(driver, divides_by_one).retry()

    assert mended.status == "running"
    assert mended.calls() == ["first", "second"]
    assert going_on(mended).complete(2, 2).result == 6


def test_mended_code_may_set_a_timer_first() -> None:
    async def fails_at_once() -> int:
        await first(1)
        raise ValueError

    async def sleeps_now() -> int:
        await first(1)
        await asyncio.sleep(5)
        return await second(2)

    driver = begin(fails_at_once).complete(1, 4)

    mended = with_code(driver, sleeps_now).retry()

    assert mended.execution.divergence is None
    assert going_on(mended).advance(5).complete(2, 2).result == 2


def test_mended_code_that_ends_within_the_retry_ends_after_it() -> None:
    async def fails_at_once() -> int:
        raise ValueError

    async def returns_now() -> int:
        return 3

    driver = begin(fails_at_once)
    driver.now += SECOND

    mended = with_code(driver, returns_now).retry()

    assert mended.result == 3
    end = mended.journal[-1]
    assert isinstance(end, r.Ended)
    assert end.at == mended.now


def test_a_retry_on_code_that_differs_is_reported() -> None:
    async def other() -> int:
        return await second(1)

    driver = begin(one).fail(1)

    mended = with_code(driver, other)
    before = len(mended.journal)
    mended.retry()

    assert mended.execution.divergence is not None
    assert mended.kinds()[before] == "RetryRequested"


def test_a_timer_that_was_never_written_is_set_when_its_cancellation_is_taken_back() -> None:
    async def gives_the_second_a_minute() -> int:
        try:
            return await first(1)
        except ActivityFailed:
            async with asyncio.timeout(60):
                return await second(2)

    driver = begin(gives_the_second_a_minute)
    driver.hold = True
    driver.fail(1).fail(2)
    driver.hold = False
    driver.commit()
    assert "TimerSet" not in driver.kinds()

    driver.retry()

    assert driver.kinds()[-3:] == ["RetryRequested", "TimerSet", "AttemptStarted"]
    assert going_on(driver).complete(2, 2).result == 2


def test_a_timer_that_was_never_written_may_be_cancelled_again_after_a_retry() -> None:
    async def beside() -> None:
        try:
            await asyncio.sleep(1)
        except Exception:  # noqa: BLE001 - what users write
            await second(2)

    async def fails() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(beside())
            group.create_task(first(1))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            raise ValueError

    driver = begin(fails)
    assert driver.kinds() == ["Started", "CallScheduled", "CallCancelled", "Ended"]

    driver.retry()

    assert driver.kinds()[-3:] == ["RetryRequested", "CallCancelled", "Ended"]
    assert driver.calls() == ["first"]


def test_a_failure_can_be_taken_back_again_and_again() -> None:
    driver = begin(one_in_time)
    for _ in range(3):
        driver.fail(1)
        assert checked(driver).status == "failed"
        driver.retry()
        assert checked(driver).status == "running"

    assert checked(driver.complete(1, 5)).result == 5


def test_doubt_about_earlier_attempts_outlives_a_retry() -> None:
    async def asks() -> str:
        try:
            await first(1)
        except ActivityFailed as error:
            if error.type == "shop.NotThere":
                raise
            return f"unknown: {error.outcome_unknown}"
        return ""

    driver = begin(one).fail(1, unknown=True).retry()
    other = with_code(driver, one).replayed().fail(1, unknown=False)

    assert other.state.calls[1].outcome_unknown
    del asks


def test_a_call_that_surely_did_not_happen_stays_sure() -> None:
    driver = begin(one).fail(1, Declined())
    assert driver.state.failed_call == 1

    driver.retry().fail(1, unknown=False)

    assert not driver.state.calls[1].outcome_unknown


def test_a_field_of_a_business_error_may_be_called_call() -> None:
    async def reads() -> str:
        try:
            await first(1)
        except Declined as declined:
            return declined.call
        return ""

    driver = begin(reads).fail(1, Declined(call="by phone"))

    assert checked(driver).result == "by phone"


def test_an_attribute_of_a_users_error_is_not_taken_for_a_call() -> None:
    class Odd(Exception):
        call = 1

    async def code() -> int:
        await first(1)
        raise Odd

    driver = begin(code).complete(1, 1)

    assert driver.state.failed_call is None


def test_a_saga_that_had_nothing_to_undo_is_undone_when_its_retry_fails() -> None:
    shop = Service("shop")

    @shop.activity
    async def reserve(n: int) -> int:
        return n

    @reserve.compensation
    async def release(n: int) -> None: ...

    @shop.activity
    async def pay(n: int) -> int:
        return n

    @shop.saga(name="shop.main")
    async def main() -> int:
        await reserve(1)
        return await pay(2)

    driver = Driver(shop, main).start().fail(1, unknown=False)
    assert driver.status == "failed"

    driver.retry().complete(1, 1).fail(2, unknown=False)
    assert driver.status == "compensating"
    assert going_on(driver).complete(-1).status == "compensated"


def test_calls_cancelled_before_the_end_settle_after_a_retry() -> None:
    async def gives_up_waiting() -> int:
        try:
            async with asyncio.timeout(5):
                await second(2)
        except TimeoutError:
            pass
        return await first(1)

    driver = begin(gives_up_waiting).advance(5).fail(2)
    assert driver.status == "failed"

    driver.retry()

    assert list(driver.state.open_steps) == [2]
    assert checked(driver.complete(2, 4)).result == 4
