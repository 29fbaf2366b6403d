"""Letters that meet, ends that are taken back, and children that are not what they were."""

import asyncio

import pytest

from counterpoint import ActivityFailed, BusinessError, ExecutionFailed, Retry, Service, workflow
from counterpoint.model.states import Status
from counterpoint.testing import Harness

review = Service("review")


@review.activity(retry=Retry(max_attempts=1))
async def step(name: str) -> str:
    return name


@review.workflow
async def one_step() -> str:
    return await step("a")


async def test_a_retry_and_a_reset_posted_together_leave_one_live_run() -> None:
    async with Harness(services=[review]) as harness:
        harness.fail(step, ValueError("broken"))
        with pytest.raises(ExecutionFailed):
            await harness.run(one_step, id="w")
        hold = harness.hang(step, times=None)
        execution = harness.execution("w")

        await asyncio.gather(execution.retry(), execution.reset(to=1))
        await harness.settle()

        live = [one.run async for one in harness.app.executions(status=Status.RUNNING)]
        assert live == [1]
        hold.release()
        assert await harness.result(execution) == "a"


class Refused(BusinessError): ...


@review.workflow
async def two_at_once() -> list[str]:
    try:
        async with asyncio.TaskGroup() as group:
            both = [group.create_task(step("a")), group.create_task(other("b"))]
    except* ActivityFailed:
        await workflow.sleep(1)  # meanwhile the other one ends, cancelled
        raise
    return [task.result() for task in both]


@review.activity(retry=Retry(max_attempts=1))
async def other(name: str) -> str:
    return name


@review.saga
async def two_past_the_pivot() -> list[str]:
    workflow.pivot()
    try:
        async with asyncio.TaskGroup() as group:
            both = [group.create_task(step("a")), group.create_task(other("b"))]
    except* Refused:
        workflow.set_attributes(state="refused")
        raise
    return [task.result() for task in both]


async def test_retry_forgets_the_failures_of_calls_that_the_failed_one_cancelled() -> None:
    async with Harness(services=[review]) as harness:
        harness.fail(step, ValueError("broken"))
        harness.hang(other)
        with pytest.raises(ExecutionFailed):
            await harness.run(two_at_once, id="w")

        await harness.execution("w").retry()

        assert await harness.result(harness.execution("w")) == ["a", "b"]


async def test_retry_past_the_pivot_forgets_them_too() -> None:
    async with Harness(services=[review]) as harness:
        harness.fail(step, Refused())
        harness.hang(other)
        execution = await harness.start(two_past_the_pivot, id="w")
        assert (await execution.describe()).status is Status.INCIDENT

        await execution.retry()

        assert await harness.result(execution) == ["a", "b"]


def deployed(*, mended: bool) -> Service:
    service = Service("deployed")
    service.activities.update(review.activities)

    @service.workflow
    async def guarded() -> str:
        async def with_timeout() -> str:
            async with asyncio.timeout(10):
                return await step("a")

        async def beside() -> None:
            if not mended:
                raise ValueError("broken")
            await other("b")

        async with asyncio.TaskGroup() as group:
            task = group.create_task(with_timeout())
            group.create_task(beside())
        return task.result()

    return service


async def test_a_timer_that_the_failed_code_never_wrote_fires_after_a_retry_with_mended_code() -> (
    None
):
    broken, mended = deployed(mended=False), deployed(mended=True)
    guarded = broken.workflows["deployed.guarded"]
    async with Harness(services=[broken]) as harness:
        harness.hang(step, times=None)
        with pytest.raises(ExecutionFailed):
            await harness.run(guarded, id="w")
        await harness.restart(services=[mended])

        await harness.execution("w").retry()
        await harness.advance(seconds=11)

        description = await harness.execution("w").describe()
        assert description.status is Status.FAILED
        assert "TimeoutError" in (description.error or "")
