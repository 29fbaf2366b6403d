"""Calls to other nodes of which the outcome is not waited for any more."""

import asyncio
from datetime import timedelta

import pytest
from tests.runtime.remote_shop import (
    is_empty,
    node,
    order,
    order_and_fail,
    order_patiently,
    order_stubbornly,
    shop,
    terminal,
    until,
)

from counterpoint import ExecutionFailed
from counterpoint.model.states import Status


async def test_a_cancelled_call_that_somebody_has_claimed_is_cancelled_there() -> None:
    async with shop("orders", "payments") as (world, (here, _)):
        terminal.open.clear()
        execution = await here.start(order, "one")
        await terminal.entered.wait()
        await execution.cancel()
        with pytest.raises(ExecutionFailed) as caught:
            await execution.result(timeout=30)

        assert caught.value.status == Status.CANCELLED
        await until(lambda: terminal.cancelled == 1)
        await is_empty(world)


async def test_a_saga_undoes_a_cancelled_call_that_may_have_happened() -> None:
    async with shop("orders", "payments") as (world, (here, _)):
        terminal.open.clear()
        execution = await here.start(order_and_fail, "one")
        await terminal.entered.wait()
        await execution.cancel()
        await until(lambda: terminal.cancelled == 1)
        terminal.open.set()
        with pytest.raises(ExecutionFailed):
            await execution.result(timeout=30)

        assert terminal.calls == ["charge one", "refund one None", "release one"]
        await is_empty(world)


async def test_a_cancelled_call_that_nobody_has_claimed_is_never_made() -> None:
    async with shop("orders") as (world, (here,)):
        execution = await here.start(order_and_fail, "one")
        await until(lambda: world.calls)
        await execution.cancel()
        await until(lambda: [row.activity for row in world.calls.values()] == ["payments.release"])
        async with node(world, "payments"):
            with pytest.raises(ExecutionFailed) as caught:
                await execution.result(timeout=30)

        assert caught.value.status == Status.CANCELLED
        assert terminal.calls == ["release one"]  # `compensate_with` was said before the call
        await is_empty(world)


async def test_a_timeout_around_a_call_of_another_node_cancels_it() -> None:
    async with shop("orders", "payments") as (world, (here, _)):
        terminal.open.clear()
        execution = await here.start(order_patiently, "one")

        assert await execution.result(timeout=30) == "too late"
        await until(lambda: terminal.cancelled == 1)
        await is_empty(world)


async def test_a_timeout_around_a_call_that_nobody_hosts_ends_it() -> None:
    async with shop("orders") as (world, (here,)):
        execution = await here.start(order_patiently, "one")

        assert await execution.result(timeout=30) == "too late"
        await is_empty(world)


async def test_a_terminated_execution_takes_its_call_back() -> None:
    async with shop("orders", "payments") as (world, (here, _)):
        terminal.open.clear()
        execution = await here.start(order, "one")
        await terminal.entered.wait()
        await execution.terminate()

        await until(lambda: terminal.cancelled == 1)
        await is_empty(world)


async def test_a_person_can_state_the_outcome_of_a_call_that_does_not_end_elsewhere() -> None:
    async with shop("orders", "payments", settle=timedelta(0)) as (world, (here, _)):
        execution = await here.start(order_stubbornly, "one")
        await terminal.entered.wait()
        await execution.cancel()
        async with asyncio.timeout(30):
            while not (await execution.describe()).incidents:  # noqa: ASYNC110 - once it is written
                await asyncio.sleep(0)
        await execution.resolve(1, error=ValueError("nothing was sent"))
        with pytest.raises(ExecutionFailed) as caught:
            await execution.result(timeout=30)
        row = next(iter(world.calls.values()))
        terminal.give_up.set()

        assert caught.value.status == Status.CANCELLED
        assert row.cancelled
        await is_empty(world)
