"""Durable timers: `asyncio.sleep` in a workflow outlives nodes."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from counterpoint import ExecutionFailed, Service, workflow
from counterpoint.stores.sqlite import SqliteStore
from counterpoint.testing import Harness

service = Service("service")


@service.activity
async def ring(name: str) -> None: ...


@service.workflow
async def wake(name: str, seconds: float) -> str:
    await asyncio.sleep(seconds)
    await ring(name)
    return workflow.now().isoformat()


@service.workflow
async def remind() -> int:
    for _ in range(3):
        await workflow.sleep(timedelta(days=1))
        await ring("day")
    return 3


@service.workflow
async def at_once() -> list[str]:
    woken: list[str] = []

    async def sleep(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append(name)

    await asyncio.gather(sleep("c", 3), sleep("a", 1), sleep("b", 2), sleep("a2", 1))
    return woken


@service.workflow
async def change_of_mind() -> str:
    sleeping = asyncio.ensure_future(asyncio.sleep(3600))
    await ring("first")
    sleeping.cancel()
    await asyncio.sleep(10)
    return "early"


@service.workflow
async def impatient() -> None:
    async with asyncio.timeout(1):
        await asyncio.sleep(2)


async def test_sleeps_end_in_the_order_of_their_times() -> None:
    async with Harness(services=[service]) as harness:
        for name, seconds in (("c", 30), ("a", 10), ("b", 20)):
            await harness.start(wake, name, seconds)
        await harness.advance(minutes=1)

        assert [call.arguments["name"] for call in harness.calls] == ["a", "b", "c"]


async def test_sleeps_within_one_workflow_end_in_the_order_of_their_times() -> None:
    async with Harness(services=[service]) as harness:
        assert await harness.run(at_once) == ["a", "a2", "b", "c"]


async def test_sleep_ends_at_its_time_and_not_before() -> None:
    async with Harness(services=[service]) as harness:
        execution = await harness.start(wake, "a", 3600)
        await harness.advance(minutes=59, seconds=59)
        before = len(harness.calls)
        await harness.advance(seconds=1)

        assert before == 0
        assert await execution.result() == "2026-01-01T01:00:00+00:00"


async def test_timer_is_kept_over_a_restart(tmp_path: Path) -> None:
    async with Harness(services=[service], store=SqliteStore(tmp_path / "shop.db")) as harness:
        execution = await harness.start(wake, "a", 3600)
        await harness.advance(minutes=30)
        await harness.crash()
        await harness.restart()
        await harness.advance(minutes=29)
        before = len(harness.calls)
        await harness.advance(minutes=1)

        assert before == 0
        assert await execution.result() == "2026-01-01T01:00:00+00:00"


async def test_timer_that_came_due_while_no_node_ran_fires_at_the_restart() -> None:
    async with Harness(services=[service]) as harness:
        execution = await harness.start(wake, "a", 3600)
        await harness.crash()
        await harness.advance(hours=5)
        await harness.restart()

        assert await execution.result() == "2026-01-01T05:00:00+00:00"


async def test_timer_brings_back_an_evicted_execution() -> None:
    async with Harness(services=[service]) as harness:
        execution = await harness.start(wake, "a", 3600)
        await harness.evict()
        resident = harness.app.health().resident
        await harness.advance(hours=1)

        assert resident == 0
        assert await execution.result() == "2026-01-01T01:00:00+00:00"


async def test_timer_fires_once_whatever_crashes() -> None:
    async with Harness(services=[service]) as harness:
        execution = await harness.start(remind)
        for _ in range(3):
            await harness.advance(days=1)
            await harness.crash()
            await harness.restart()

        assert await harness.result(execution) == 3
        keys = [call.idempotency_key for call in harness.calls]
        assert len(set(keys)) == 3
        assert [e.type for e in await execution.journal()].count("fired") == 3


async def test_cancelled_timer_does_not_fire_and_keeps_nobody_waiting() -> None:
    async with Harness(services=[service]) as harness:
        execution = await harness.start(change_of_mind)
        waits = (await execution.describe()).timers
        result = await harness.result(execution)

        assert len(waits) == 1
        assert result == "early"
        assert (await execution.describe()).finished_at == harness.now
        assert [e.type for e in await execution.journal()].count("timer-cancelled") == 1


async def test_error_without_a_message_is_named_in_the_failure_of_its_execution() -> None:
    async with Harness(services=[service]) as harness:
        with pytest.raises(ExecutionFailed, match="one failed: TimeoutError"):
            await harness.run(impatient, id="one")


async def test_sleep_of_no_time_passes_at_once() -> None:
    async with Harness(services=[service]) as harness:
        execution = await harness.start(wake, "a", 0)

        assert await execution.result() == "2026-01-01T00:00:00+00:00"
