"""A clean stop: what runs may finish, what has not begun is put off, nobody waits for ever."""

import asyncio
from datetime import timedelta

import pytest
from tests.runtime.shop import GOOD, TOO_MUCH, place_order, shop

from counterpoint import App, NodeStoppedError, Service
from counterpoint.stores.memory import MemoryStore
from counterpoint.testing import Harness

service = Service("service")


@service.activity
async def work() -> str:
    return "done"


@service.activity
def compute() -> str:
    return "done"


@service.workflow
async def flow() -> str:
    return await work()


@service.workflow
async def twice() -> str:
    await work()
    return await compute()


@service.workflow
async def wait() -> None:
    await asyncio.sleep(60)


async def test_stopping_node_lets_an_activity_finish_and_records_its_result() -> None:
    async with Harness(services=[service]) as harness:
        hold = harness.hang(work)
        execution = await harness.start(twice)
        stopping = asyncio.create_task(harness.stop())
        await asyncio.sleep(0)
        hold.release()
        await stopping
        await harness.restart()

        assert await harness.result(execution) == "done"
        assert [(c.name, c.attempt) for c in harness.calls] == [
            ("service.work", 1),
            ("service.compute", 1),
        ]


async def test_activity_that_does_not_finish_in_time_is_cut_off_and_counted_as_lost() -> None:
    async with Harness(services=[service]) as harness:
        harness.hang(work)
        execution = await harness.start(flow)
        await harness.stop(within=timedelta(milliseconds=1))
        await harness.restart()

        assert await execution.result() == "done"
        assert [call.attempt for call in harness.calls] == [1, 2]
        assert "attempt-lost" in [entry.type for entry in await execution.journal()]


async def test_attempts_that_never_began_are_put_off_and_not_counted() -> None:
    async with Harness(services=[service], max_running=1) as harness:
        hold = harness.hang(work)
        executions = [await harness.start(flow) for _ in range(3)]
        stopping = asyncio.create_task(harness.stop())
        await asyncio.sleep(0)
        hold.release()
        await stopping
        await harness.restart()

        assert [await harness.result(execution) for execution in executions] == ["done"] * 3
        assert [call.attempt for call in harness.calls] == [1, 1, 1]
        postponed = [
            [entry.type for entry in await execution.journal()].count("attempt-postponed")
            for execution in executions
        ]
        assert postponed == [0, 1, 1]


async def test_attempt_of_an_incident_that_never_began_is_put_off_too() -> None:
    async with Harness(services=[shop], max_running=1) as harness:
        harness.fail("shop.release", ConnectionError("no route"), times=None)
        undone = await harness.start(place_order, "tea", TOO_MUCH)
        await harness.advance(minutes=1)
        harness.restore()
        harness.hang("shop.create")
        await harness.start(place_order, "milk", GOOD)
        await harness.advance(minutes=1)
        status = (await undone.describe()).status
        await harness.stop(timedelta(0))
        await harness.restart()

        assert status == "incident"
        assert (await undone.describe()).status == "compensated"
        types = [entry.type for entry in await undone.journal()]
        assert ("attempt-postponed" in types, "attempt-lost" in types) == (True, False)


async def test_those_who_wait_for_a_result_learn_that_the_node_stopped() -> None:
    async with Harness(services=[service]) as harness:
        execution = await harness.start(wait)
        waiting = asyncio.create_task(execution.result())
        await asyncio.sleep(0)
        await harness.stop()

        with pytest.raises(NodeStoppedError, match="goes on later"):
            await waiting


async def test_stopping_node_takes_no_more_work() -> None:
    async with Harness(services=[service]) as harness:
        hold = harness.hang(work)
        execution = await harness.start(flow)
        node = harness.app.node
        stopping = asyncio.create_task(node.stop())
        await asyncio.sleep(0)

        with pytest.raises(NodeStoppedError, match="takes no more work"):
            await harness.app.start(flow)
        with pytest.raises(NodeStoppedError, match="takes no more work"):
            await execution.cancel()
        assert harness.app.health().problems == ("the node is stopping",)
        hold.release()
        await stopping


async def test_stopping_twice_does_nothing_more() -> None:
    app = App("app", services=[service], store=MemoryStore())
    await app.__aenter__()
    node = app.node
    await app.stop()
    await app.stop()
    await node.stop()

    async with app:
        assert await app.run(flow) == "done"


async def test_whoever_waits_for_an_idle_node_is_told_when_it_stops() -> None:
    async with Harness(services=[service]) as harness:
        harness.hang(work)
        await harness.start(flow)
        waiting = asyncio.create_task(harness.app.idle())
        await asyncio.sleep(0)
        await harness.stop(timedelta(0))

        await waiting


async def test_workflow_code_that_runs_at_the_stop_cannot_call_anything() -> None:
    asked: list[str] = []
    shy = Service("shy")

    @shy.activity
    async def tidy() -> None: ...

    @shy.workflow
    async def careful() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            asked.append("tidy")
            await tidy()

    async with Harness(services=[shy], rehearse=False) as harness:
        execution = await harness.start(careful)
        await harness.restart()

        assert asked == ["tidy"]
        assert not harness.calls
        await harness.result(execution)
        assert len(harness.calls) == 1
