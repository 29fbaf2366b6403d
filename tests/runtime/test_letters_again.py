"""Letters whose execution leaves memory before they reach it are read again, in their order."""

import asyncio
from datetime import timedelta

import pytest

from counterpoint import ExecutionFailed, Service, workflow
from counterpoint.testing import Harness

service = Service("service")
COUNT = 5


@service.workflow
async def listens() -> list[int]:
    return [await workflow.signal("say", int) for _ in range(COUNT)]


@service.activity
async def count_one() -> int:
    return 1


@service.workflow
async def one() -> int:
    return await count_one()


@service.workflow
async def many(count: int) -> int:
    return sum(await asyncio.gather(*(one() for _ in range(count))))


async def test_signals_to_more_executions_than_fit_in_memory_all_arrive_in_order() -> None:
    async with Harness(services=[service], max_resident=1, rehearse=False) as harness:
        executions = [await harness.start(listens, id=f"e-{number}") for number in range(6)]
        await asyncio.gather(
            *(execution.signal("say", said) for said in range(COUNT) for execution in executions)
        )

        assert [await harness.result(execution) for execution in executions] == [
            [*range(COUNT)]
        ] * 6


async def test_ends_of_more_children_than_fit_in_memory_all_reach_their_parent() -> None:
    async with Harness(services=[service], max_resident=5, rehearse=False) as harness:
        assert await harness.run(many, 60, id="parent") == 60


@pytest.mark.parametrize("room", [1, 3])
async def test_parent_of_children_that_fill_the_memory_learns_of_their_ends(room: int) -> None:
    async with Harness(services=[service], max_resident=room, rehearse=False) as harness:
        harness.delay(count_one, timedelta(seconds=5))
        execution = await harness.start(many, 20, id="parent")
        await harness.advance(seconds=12)
        await execution.cancel()

        with pytest.raises(ExecutionFailed, match="parent cancelled"):
            await harness.result(execution)
        await harness.settle()
        assert [e.id async for e in harness.app.executions() if e.status.live] == []
