"""Cancelling an execution: in its code, in its calls, and while it is undone."""

import asyncio
import contextlib

import pytest
from tests.runtime.shop import GOOD, TOO_MUCH, called, place_order, shop

from counterpoint import ExecutionFailed, ExecutionRefusedError, Service, workflow
from counterpoint.model.states import Status
from counterpoint.testing import Harness

service = Service("service")


@service.activity
async def work() -> str:
    return "done"


@service.activity
async def tidy() -> None: ...


@service.workflow
async def wait() -> str:
    return str(await workflow.signal("go"))


@service.workflow
async def tidy_up() -> str:
    try:
        await work()
    except asyncio.CancelledError:
        await tidy()
        raise
    return "done"


@service.workflow
async def insist() -> str:
    try:
        await work()
    except asyncio.CancelledError:
        return "made do"
    return "done"


@service.workflow
async def cancel_itself() -> None:
    raise asyncio.CancelledError


async def test_cancelled_workflow_ends_cancelled() -> None:
    async with Harness(services=[service]) as harness:
        execution = await harness.start(wait, id="one")
        await execution.cancel(actor="ann", reason="changed her mind")

        with pytest.raises(ExecutionFailed, match="one cancelled") as caught:
            await harness.result(execution)

        assert caught.value.status == "cancelled"
        (request,) = [e for e in await execution.journal() if e.type == "cancel-requested"]
        assert (request.data["actor"], request.data["reason"]) == ("ann", "changed her mind")


async def test_running_attempt_of_a_cancelled_workflow_is_cut_off() -> None:
    async with Harness(services=[service]) as harness:
        hold = harness.hang(work)
        execution = await harness.start(tidy_up)
        waiting = hold.waiting
        await execution.cancel()

        with pytest.raises(ExecutionFailed, match="cancelled"):
            await harness.result(execution)
        assert (waiting, hold.waiting) == (1, 0)
        assert called(harness) == ["work", "tidy"]


async def test_workflow_may_end_well_although_it_was_cancelled() -> None:
    async with Harness(services=[service]) as harness:
        harness.hang(work)
        execution = await harness.start(insist)
        await execution.cancel()

        assert await harness.result(execution) == "made do"


async def test_cancelled_saga_is_undone_newest_first_and_ends_cancelled() -> None:
    async with Harness(services=[shop]) as harness:
        harness.hang("shop.charge")
        execution = await harness.start(place_order, "tea", GOOD)
        await execution.cancel()

        with pytest.raises(ExecutionFailed) as caught:
            await harness.result(execution)
        assert caught.value.status == "cancelled"
        assert called(harness) == ["create", "reserve", "charge", "refund", "release", "withdraw"]


async def test_call_that_completes_although_cancelled_is_undone_with_its_result() -> None:
    async def stubborn(order: str, amount: object) -> dict[str, str]:
        with contextlib.suppress(asyncio.CancelledError):
            await harness.sleep(60)
        return {"charged": order}

    async with Harness(services=[shop]) as harness:
        harness.replace("shop.charge", stubborn)
        execution = await harness.start(place_order, "tea", GOOD)
        await execution.cancel()
        with pytest.raises(ExecutionFailed):
            await harness.result(execution)

        (refund,) = [call for call in harness.calls if call.name == "shop.refund"]
        assert refund.arguments == {"order": "tea", "result": {"charged": "tea"}}


async def test_call_cut_off_by_a_cancellation_is_undone_without_a_result() -> None:
    async with Harness(services=[shop]) as harness:
        harness.hang("shop.charge")
        execution = await harness.start(place_order, "tea", GOOD)
        await execution.cancel()
        with pytest.raises(ExecutionFailed):
            await harness.result(execution)

        (refund,) = [call for call in harness.calls if call.name == "shop.refund"]
        assert refund.arguments == {"order": "tea", "result": None}


async def test_cancelled_call_that_never_began_is_not_undone() -> None:
    async with Harness(services=[shop], max_running=1) as harness:
        harness.hang("shop.reserve")
        await harness.start(place_order, "tea", GOOD, id="first")
        second = await harness.start(place_order, "milk", GOOD, id="second")
        await second.cancel()

        with pytest.raises(ExecutionFailed, match="cancelled"):
            await harness.result(second)
        assert all(call.arguments["order"] == "tea" for call in harness.calls)


async def test_cancelling_changes_nothing_during_compensation() -> None:
    async with Harness(services=[shop]) as harness:
        hold = harness.hang("shop.release")
        execution = await harness.start(place_order, "tea", TOO_MUCH)
        await execution.cancel()
        await harness.settle()
        status = (await execution.describe()).status
        hold.release()

        with pytest.raises(ExecutionFailed) as caught:
            await harness.result(execution)
        assert status is Status.COMPENSATING
        assert caught.value.status == "compensated"
        assert called(harness)[-2:] == ["release", "withdraw"]


async def test_waiting_retry_of_a_cancelled_workflow_is_dropped() -> None:
    async with Harness(services=[service]) as harness:
        harness.fail(work, ConnectionError("no route"))
        execution = await harness.start(tidy_up)
        await execution.cancel()

        with pytest.raises(ExecutionFailed, match="cancelled"):
            await harness.result(execution)
        assert called(harness) == ["work", "tidy"]


async def test_workflow_that_cancels_itself_has_failed() -> None:
    async with Harness(services=[service]) as harness:
        with pytest.raises(ExecutionFailed, match="cancelled itself") as caught:
            await harness.run(cancel_itself)

    assert caught.value.status == "failed"


async def test_cancellation_is_not_forgotten_by_a_crash() -> None:
    async with Harness(services=[shop]) as harness:
        harness.hang("shop.charge", times=2)
        execution = await harness.start(place_order, "tea", GOOD)
        harness.crash_at_commit(2)
        await execution.cancel()
        await harness.settle()
        running = harness.running
        await harness.restart()

        with pytest.raises(ExecutionFailed) as caught:
            await harness.result(execution)
        assert not running
        assert caught.value.status == "cancelled"


async def test_cancelling_brings_back_an_evicted_execution() -> None:
    async with Harness(services=[service]) as harness:
        execution = await harness.start(wait)
        await harness.evict()
        await execution.cancel()

        with pytest.raises(ExecutionFailed, match="cancelled"):
            await harness.result(execution)


async def test_execution_that_has_ended_is_not_cancelled() -> None:
    async with Harness(services=[shop]) as harness:
        await harness.run(place_order, "tea", GOOD, id="one")

        with pytest.raises(ExecutionRefusedError, match="completed and cannot be cancelled"):
            await harness.execution("one").cancel()
