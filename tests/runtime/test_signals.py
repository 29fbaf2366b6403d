"""Signals: kept until they are read, in order, by whoever waits for them or comes to."""

import asyncio
import logging
from datetime import timedelta

import pytest

from counterpoint import ExecutionNotFoundError, ExecutionRefusedError, Service, workflow
from counterpoint.testing import Harness

service = Service("service")


@service.workflow
async def approval() -> str:
    return await workflow.signal("approval", str)


@service.workflow
async def three() -> list[int]:
    return [await workflow.signal("number", int) for _ in range(3)]


@service.workflow
async def later() -> str:
    await asyncio.sleep(60)
    return await workflow.signal("approval", str)


@service.workflow
async def in_time() -> str:
    try:
        return await workflow.signal("approval", str, timeout=timedelta(days=3))
    except TimeoutError:
        return "too late"


@service.workflow
async def two_at_once() -> list[str]:
    first, second = await asyncio.gather(workflow.signal("a", str), workflow.signal("b", str))
    return [first, second]


@service.workflow
async def any_value() -> object:
    return await workflow.signal("anything")


async def test_signal_wakes_the_workflow_that_waits_for_it() -> None:
    async with Harness(services=[service]) as harness:
        execution = await harness.start(approval)
        await execution.signal("approval", "yes")

        assert await harness.result(execution) == "yes"


async def test_signal_that_comes_before_the_wait_is_kept() -> None:
    async with Harness(services=[service]) as harness:
        execution = await harness.start(later)
        await execution.signal("approval", "early")
        await harness.settle()
        unread = (await execution.describe()).unread_signals

        assert unread == ["approval"]
        assert await harness.result(execution) == "early"


async def test_signals_are_read_in_the_order_of_their_arrival() -> None:
    async with Harness(services=[service]) as harness:
        execution = await harness.start(three)
        for number in (3, 1, 2):
            await execution.signal("number", number)

        assert await harness.result(execution) == [3, 1, 2]


async def test_signals_of_one_batch_are_read_in_order_too() -> None:
    async with Harness(services=[service]) as harness:
        execution = await harness.start(three)
        await asyncio.gather(*(execution.signal("number", number) for number in (3, 1, 2)))

        assert await harness.result(execution) == [3, 1, 2]


async def test_signal_reaches_the_wait_of_its_name() -> None:
    async with Harness(services=[service]) as harness:
        execution = await harness.start(two_at_once)
        await execution.signal("b", "second")
        await execution.signal("a", "first")

        assert await harness.result(execution) == ["first", "second"]


async def test_signal_that_comes_in_time_ends_the_wait() -> None:
    async with Harness(services=[service]) as harness:
        execution = await harness.start(in_time)
        await harness.advance(days=2)
        await execution.signal("approval", "yes")

        assert await harness.result(execution) == "yes"


async def test_wait_for_a_signal_times_out() -> None:
    async with Harness(services=[service]) as harness:
        execution = await harness.start(in_time)
        await harness.advance(days=3)

        assert await execution.result() == "too late"
        assert harness.now.day == 4


async def test_value_that_does_not_validate_is_set_aside_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Harness(services=[service]) as harness:
        execution = await harness.start(three)
        with caplog.at_level(logging.WARNING, logger="counterpoint.workflow"):
            for value in (1, "two", None, 3, 4):
                await execution.signal("number", value)
            result = await harness.result(execution)

        assert result == [1, 3, 4]
        assert len(caplog.records) == 2
        assert "'number' was set aside" in caplog.text


async def test_value_may_be_any_json() -> None:
    async with Harness(services=[service]) as harness:
        execution = await harness.start(any_value)
        await execution.signal("anything", {"a": [1, None, "x"]})

        assert await harness.result(execution) == {"a": [1, None, "x"]}


async def test_signal_brings_back_an_evicted_execution() -> None:
    async with Harness(services=[service]) as harness:
        execution = await harness.start(approval)
        await harness.evict()
        resident = harness.app.health().resident
        await execution.signal("approval", "yes")

        assert resident == 0
        assert await harness.result(execution) == "yes"


async def test_acknowledged_signal_survives_a_crash_before_it_is_taken_over() -> None:
    async with Harness(services=[service]) as harness:
        execution = await harness.start(approval)
        harness.crash_at_commit(2)
        await execution.signal("approval", "yes")
        await harness.settle()
        running = harness.running

        await harness.restart()

        assert not running
        assert await harness.result(execution) == "yes"


async def test_signal_is_taken_over_once_although_its_commit_seemed_to_fail() -> None:
    async with Harness(services=[service]) as harness:
        execution = await harness.start(three)
        harness.crash_at_commit(2, when="applied-but-failed")
        await execution.signal("number", 1)
        await harness.advance(seconds=5)
        await execution.signal("number", 2)
        await execution.signal("number", 3)

        assert await harness.result(execution) == [1, 2, 3]
        assert [e.type for e in await execution.journal()].count("signalled") == 3


async def test_execution_that_has_ended_takes_no_signal() -> None:
    async with Harness(services=[service]) as harness:
        execution = await harness.start(approval, id="one")
        await execution.signal("approval", "yes")
        await harness.result(execution)

        with pytest.raises(ExecutionRefusedError, match="completed and cannot be signalled"):
            await execution.signal("approval", "again")


async def test_signal_that_loses_the_race_with_the_end_is_dropped_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Harness(services=[service]) as harness:
        execution = await harness.start(approval, id="one")
        with caplog.at_level(logging.WARNING, logger="counterpoint"):
            await asyncio.gather(*(execution.signal("approval", "yes") for _ in range(3)))
            result = await harness.result(execution)
            await harness.settle()

        assert result == "yes"
        assert [m async for m in harness.app.posted()] == []
        assert "has ended" in caplog.text


async def test_unknown_execution_takes_no_signal() -> None:
    async with Harness(services=[service]) as harness:
        with pytest.raises(ExecutionNotFoundError, match="nobody"):
            await harness.execution("nobody").signal("approval", "yes")
