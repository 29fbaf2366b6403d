"""What an execution says of itself while a person is needed, and once one has spoken."""

import pytest

from counterpoint import BusinessError, ExecutionFailed, NotDone, Retry, Service, workflow
from counterpoint.testing import Harness

bank = Service("bank")


class Refused(BusinessError):
    """The bank said no."""


@bank.activity(at_most_once=True)
async def transfer() -> int:
    raise ConnectionError("lost")


@bank.workflow
async def pay() -> int:
    return await transfer()


@bank.activity(retry=Retry(max_attempts=1))
async def print_receipt() -> None:
    raise OSError("no paper")


@bank.saga
async def close_account() -> None:
    workflow.pivot()
    await print_receipt()


async def test_incident_of_a_call_is_one_thing_that_is_waited_for() -> None:
    async with Harness(services=[bank]) as harness:
        unknown = await harness.start(pay, id="unknown")
        stuck = await harness.start(close_account, id="stuck")

        for execution in (unknown, stuck):
            known = await execution.describe()
            assert known.waits_for == [f"a person: {known.incident}"]


async def test_word_of_a_person_that_nothing_happened_is_no_failed_attempt() -> None:
    async with Harness(services=[bank]) as harness:
        execution = await harness.start(pay, id="one")
        await execution.resolve(1, error=NotDone(), actor="Ada")
        await harness.settle()

        (call,) = (await execution.describe()).calls

        assert call.attempts == 2
        assert [one.attempt for one in call.failed_attempts] == [1, 2]


async def test_error_that_a_person_stated_is_the_call_s_and_no_failed_attempt() -> None:
    async with Harness(services=[bank]) as harness:
        execution = await harness.start(pay, id="one")
        await execution.resolve(1, error=Refused(), actor="Ada")
        with pytest.raises(ExecutionFailed, match="Refused"):
            await harness.result(execution)

        (call,) = (await execution.describe()).calls

        assert (call.error or "").startswith("bank.Refused")
        assert [one.error for one in call.failed_attempts] == ["builtins.ConnectionError: lost"]


async def test_attempts_after_a_retry_are_all_told() -> None:
    async with Harness(services=[bank]) as harness:
        execution = await harness.start(close_account, id="one")
        await execution.retry()
        await harness.settle()

        (call,) = (await execution.describe()).calls

        assert [one.error for one in call.failed_attempts] == ["builtins.OSError: no paper"] * 2
