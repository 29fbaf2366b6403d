"""Attempts that were under way when their node died."""

import pytest
from tests.runtime.shop import GOOD, TOO_MUCH, called, place_order, shop

from counterpoint import ExecutionFailed, Retry, Service
from counterpoint.model.states import Status
from counterpoint.testing import Harness, StuckError

service = Service("service")


@service.activity(retry=Retry(max_attempts=5))
async def work() -> str:
    return "done"


@service.activity(retry=Retry(max_attempts=2))
async def work_twice() -> str:
    return "done"


@service.workflow
async def flow() -> str:
    return await work()


@service.workflow
async def flow_twice() -> str:
    return await work_twice()


async def crash_during(harness: Harness, target: str, times: int) -> None:
    """Let the node die during an attempt, again and again."""
    for _ in range(times):
        await harness.crash()
        harness.hang(target)
        await harness.restart()


async def test_lost_attempt_is_followed_at_once_by_another_with_the_same_key() -> None:
    async with Harness(services=[service]) as harness:
        harness.hang(work)
        execution = await harness.start(flow, id="one")
        await harness.crash()
        await harness.restart()

        assert await execution.result() == "done"
        assert [(c.attempt, c.idempotency_key) for c in harness.calls] == [
            (1, "one/1/1"),
            (2, "one/1/1"),
        ]
        assert "attempt-lost" in [entry.type for entry in await execution.journal()]


async def test_lost_attempts_count_like_timeouts() -> None:
    async with Harness(services=[service]) as harness:
        harness.hang(work_twice)
        execution = await harness.start(flow_twice)
        await crash_during(harness, "service.work_twice", 2)

        with pytest.raises(ExecutionFailed, match="after 2 attempts, outcome unknown"):
            await harness.result(execution)


async def test_three_lost_attempts_in_a_row_wait_for_a_person() -> None:
    async with Harness(services=[service]) as harness:
        harness.hang(work)
        execution = await harness.start(flow, id="one")
        await crash_during(harness, "service.work", 3)
        known = await execution.describe()

        assert known.status is Status.INCIDENT
        assert known.incident == "the node died 3 times in a row during service.work"
        assert known.calls[0].state == "stuck"
        assert len(harness.calls) == 3
        with pytest.raises(StuckError, match="a person"):
            await harness.result(execution)


async def test_retry_of_what_killed_nodes_begins_another_attempt() -> None:
    async with Harness(services=[service]) as harness:
        harness.hang(work)
        execution = await harness.start(flow)
        await crash_during(harness, "service.work", 3)
        harness.restore()
        await execution.retry(actor="ann", reason="the memory leak is mended")

        assert await harness.result(execution) == "done"
        assert [call.attempt for call in harness.calls] == [1, 2, 3, 4]


async def test_incident_is_still_there_after_another_restart() -> None:
    async with Harness(services=[service]) as harness:
        harness.hang(work)
        execution = await harness.start(flow)
        await crash_during(harness, "service.work", 3)
        await harness.restart()
        await harness.restart()

        assert (await execution.describe()).status is Status.INCIDENT
        assert len(harness.calls) == 3


async def test_lost_attempts_are_in_a_row_only_if_none_ended_between() -> None:
    async with Harness(services=[service]) as harness:
        harness.hang(work)
        execution = await harness.start(flow)
        await crash_during(harness, "service.work", 1)
        await harness.crash()
        harness.restore()
        harness.fail(work, ConnectionError("no route"))
        harness.hang(work)
        await harness.restart()
        await harness.advance(minutes=1)
        await harness.crash()
        await harness.restart()

        assert await execution.result() == "done"
        assert [call.attempt for call in harness.calls] == [1, 2, 3, 4, 5]


async def test_compensation_whose_node_died_begins_again() -> None:
    async with Harness(services=[shop]) as harness:
        harness.hang("shop.release")
        execution = await harness.start(place_order, "tea", TOO_MUCH, id="one")
        await harness.crash()
        await harness.restart()

        with pytest.raises(ExecutionFailed, match="compensated"):
            await harness.result(execution)
        assert called(harness)[-3:] == ["release", "release", "withdraw"]
        keys = [c.idempotency_key for c in harness.calls if c.name == "shop.release"]
        assert keys == ["one/1/2c", "one/1/2c"]


async def test_compensation_that_kills_nodes_waits_for_a_person_and_goes_on_after_a_retry() -> None:
    async with Harness(services=[shop]) as harness:
        harness.hang("shop.release")
        execution = await harness.start(place_order, "tea", TOO_MUCH)
        await crash_during(harness, "shop.release", 3)
        status = (await execution.describe()).status
        harness.restore()
        await execution.retry()

        with pytest.raises(ExecutionFailed, match="compensated"):
            await harness.result(execution)
        assert status is Status.INCIDENT
        assert called(harness)[-1] == "withdraw"


async def test_call_of_a_lost_node_may_have_happened_and_is_undone() -> None:
    async with Harness(services=[shop]) as harness:
        harness.hang("shop.charge")
        execution = await harness.start(place_order, "tea", GOOD)
        await harness.crash()
        harness.fail("shop.charge", TypeError("wrong"), times=1)
        await harness.restart()

        with pytest.raises(ExecutionFailed, match="compensated"):
            await harness.result(execution)
        (refund,) = [call for call in harness.calls if call.name == "shop.refund"]
        assert refund.arguments["result"] is None
