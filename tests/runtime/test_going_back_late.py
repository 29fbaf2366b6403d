"""Time during which an execution was over does not count, once it is retried or reset."""

import asyncio
from datetime import timedelta

from counterpoint import Service, workflow
from counterpoint.testing import Harness

desk = Service("desk")


@desk.activity
async def step(n: int) -> int:
    return n


@desk.workflow(deadline=timedelta(hours=1))
async def hurry() -> int:
    first = await step(1)
    return first + await step(2)


@desk.workflow
async def bounded() -> int:
    async with asyncio.timeout(60):
        return await step(1)


@desk.workflow
async def slow_after_all() -> int:
    await step(1)
    await workflow.sleep(30)
    await step(2)
    return 3


@desk.saga(deadline=timedelta(hours=1))
async def forward() -> int:
    await step(1)
    workflow.pivot()
    await workflow.sleep(600)
    raise_if_told()
    return 4


told: list[str] = []


def raise_if_told() -> None:
    if told:
        raise ValueError("told")


async def test_reset_after_the_deadline_has_as_much_time_again() -> None:
    async with Harness(services=[desk]) as harness:
        assert await harness.run(hurry, id="one") == 3
        await harness.advance(hours=3)
        await harness.execution("one").reset(to=1)

        assert await harness.result(harness.execution("one")) == 3


async def test_reset_to_the_middle_after_the_deadline_has_the_time_that_was_left() -> None:
    async with Harness(services=[desk]) as harness:
        assert await harness.run(hurry, id="one") == 3
        await harness.advance(hours=3)
        await harness.execution("one").reset(to=4)

        assert await harness.result(harness.execution("one")) == 3
        assert (await harness.execution("one").describe()).run == 2


async def test_retry_after_the_deadline_has_the_time_that_was_left() -> None:
    async with Harness(services=[desk]) as harness:
        harness.fail(step, TypeError("wrong"))
        execution = await harness.start(hurry, id="one")
        await harness.idle()
        await harness.advance(hours=3)
        await execution.retry()

        assert await harness.result(execution) == 3


async def test_retry_of_a_call_within_a_timeout_has_the_whole_timeout() -> None:
    async with Harness(services=[desk]) as harness:
        harness.fail(step, TypeError("wrong"))
        execution = await harness.start(bounded, id="one")
        await harness.idle()
        await harness.advance(hours=3)
        harness.delay(step, timedelta(seconds=50))
        await execution.retry()

        assert await harness.result(execution) == 1


async def test_a_sleep_after_a_late_reset_takes_its_time() -> None:
    async with Harness(services=[desk]) as harness:
        assert await harness.run(slow_after_all, id="one") == 3
        await harness.advance(hours=3)
        await harness.execution("one").reset(to=3)
        await harness.settle()
        began = harness.now

        assert await harness.result(harness.execution("one")) == 3
        assert harness.now - began == timedelta(seconds=30)


async def test_retry_past_the_pivot_has_the_time_that_was_left() -> None:
    told.append("now")
    async with Harness(services=[desk]) as harness:
        execution = await harness.start(forward, id="one")
        await harness.advance(minutes=10)
        assert (await execution.describe()).status == "incident"
        told.clear()
        await harness.advance(hours=3)
        await execution.retry()
        await harness.settle()

        assert await harness.result(execution) == 4
        assert not (await execution.describe()).incidents
