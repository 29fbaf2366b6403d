"""Letters that meet, ends that are taken back, and children that are not what they were."""

import asyncio

import pytest

from counterpoint import ExecutionFailed, Retry, Service, workflow
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
