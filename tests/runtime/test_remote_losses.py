"""Calls between nodes of which one dies, hangs or stops."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from tests.runtime.remote_cluster import World
from tests.runtime.remote_shop import (
    is_empty,
    node,
    order,
    order_and_fail,
    order_by_wire,
    shop,
    terminal,
    until,
)

from counterpoint import ActivityFailed, App, ExecutionFailed
from counterpoint.model.states import Status


async def journal(app: App, execution_id: str) -> list[str]:
    """Return the types of an execution's records."""
    return [entry.type for entry in await app.execution(execution_id).journal()]


@asynccontextmanager
async def _taken_over(world: World, owner: App) -> AsyncGenerator[App]:
    """Let a node die, and enter another one that takes its executions over."""
    await owner.node.crash()
    async with node(world, "orders") as other:
        yield other


# ---- the node that has claimed a call -----------------------------------------------------------


async def test_a_call_whose_node_died_is_made_again_by_another_one() -> None:
    async with shop("orders", "payments") as (world, (here, there)):
        terminal.open.clear()
        execution = await here.start(order, "one", id="one")
        await terminal.entered.wait()
        await there.node.crash()
        terminal.open.set()
        async with node(world, "payments"):
            result = await execution.result(timeout=30)

        assert result == {"cents": 250}
        assert terminal.calls == ["charge one"] * 2
        assert (await journal(here, "one")).count("attempt-lost") == 1
        await is_empty(world)


async def test_a_lost_call_that_may_be_made_once_is_in_doubt() -> None:
    async with shop("orders", "payments", "payments") as (_, (here, *others)):
        terminal.open.clear()
        execution = await here.start(order_by_wire, "one", id="one")
        await terminal.entered.wait()
        (busy,) = [app for app in others if app.node.activities.running]
        await busy.node.crash()
        terminal.open.set()
        with pytest.raises(ExecutionFailed) as caught:
            await execution.result(timeout=30)

        error = caught.value.__cause__
        assert isinstance(error, ActivityFailed)
        assert error.outcome_unknown
        assert terminal.calls == ["wire one"]


async def test_a_lost_call_waits_for_somebody_who_knows_whether_it_may_be_made_again() -> None:
    async with shop("orders", "payments") as (world, (here, there)):
        terminal.open.clear()
        execution = await here.start(order_by_wire, "one", id="one")
        await terminal.entered.wait()
        await there.node.crash()
        terminal.open.set()
        await until(lambda: [row.attempt < 0 for row in world.calls.values()] == [True])
        status = (await execution.describe()).status
        async with node(world, "payments"):
            with pytest.raises(ExecutionFailed, match="outcome unknown"):
                await execution.result(timeout=30)

        assert status is Status.RUNNING
        assert terminal.calls == ["wire one"]
        await is_empty(world)


async def test_a_node_that_was_declared_dead_reports_nothing() -> None:
    async with shop("orders", "payments") as (world, (here, there)):
        terminal.open.clear()
        execution = await here.start(order, "one", id="one")
        await terminal.entered.wait()
        world.declare_lost(there.node.store)  # type: ignore[arg-type]
        await until(lambda: len(terminal.calls) == 2)  # by the same process, as another node
        terminal.open.set()

        assert await execution.result(timeout=30) == {"cents": 250}
        assert terminal.cancelled == 1
        assert (await journal(here, "one")).count("attempt-lost") == 1
        await is_empty(world)


async def test_a_cancelled_call_whose_node_died_settles_as_one_that_may_have_happened() -> None:
    async with shop("orders", "payments") as (world, (here, there)):
        terminal.open.clear()
        execution = await here.start(order_and_fail, "one")
        await terminal.entered.wait()
        world.deaf = True
        await execution.cancel()
        await until(lambda: any(row.cancelled for row in world.calls.values()))
        world.deaf = False
        await there.node.crash()
        terminal.open.set()
        async with node(world, "payments"):
            with pytest.raises(ExecutionFailed):
                await execution.result(timeout=30)

        assert terminal.calls == ["charge one", "refund one None", "release one"]
        await is_empty(world)


async def test_a_compensation_whose_node_died_is_made_again() -> None:
    async with shop("orders", "payments") as (world, (here, there)):
        terminal.hold = "refund"
        execution = await here.start(order_and_fail, "one")
        await until(lambda: len(terminal.calls) == 2)
        await there.node.crash()
        terminal.hold = ""
        async with node(world, "payments"):
            with pytest.raises(ExecutionFailed):
                await execution.result(timeout=30)

        assert [call.split()[0] for call in terminal.calls] == [
            "charge",
            "refund",
            "refund",
            "release",
        ]
        await is_empty(world)


async def test_a_stopping_node_lets_claimed_calls_finish() -> None:
    async with shop("orders", "payments") as (world, (here, there)):
        terminal.open.clear()
        execution = await here.start(order, "one")
        await terminal.entered.wait()
        stopping = asyncio.create_task(there.stop())
        await until(lambda: there.node.stopping)
        terminal.open.set()

        assert await execution.result(timeout=30) == {"cents": 250}
        assert len(terminal.calls) == 1
        await stopping
        await is_empty(world)


async def test_what_a_stopping_node_cuts_off_is_made_again_at_once() -> None:
    async with shop("orders", "payments") as (world, (here, there)):
        terminal.open.clear()
        execution = await here.start(order, "one", id="one")
        await terminal.entered.wait()
        await there.stop(timedelta(0))
        claimed = [row for row in world.calls.values() if row.claimed_by and not row.ended]
        terminal.open.set()
        async with node(world, "payments"):
            assert await execution.result(timeout=30) == {"cents": 250}

        assert not claimed
        assert (await journal(here, "one")).count("attempt-lost") == 1


async def test_what_a_stopping_node_never_began_is_given_back() -> None:
    async with shop("orders", "payments", max_running=2) as (world, (here, there)):
        terminal.open.clear()
        there.node.activities.max_running = 1  # it claims two, and runs one
        first = await here.start(order_by_wire, "one", id="one")
        second = await here.start(order_by_wire, "two", id="two")
        await until(lambda: there.node.activities.waiting == 1)
        await there.stop(timedelta(0))
        terminal.open.set()
        async with node(world, "payments"):
            outcomes: list[str] = []
            for execution in (first, second):
                try:
                    outcomes.append(await execution.result(timeout=30))
                except ExecutionFailed:
                    outcomes.append("in doubt")

        assert sorted(outcomes) == ["in doubt", "wired"]
        assert len(terminal.calls) == 2


# ---- the owner of the execution -----------------------------------------------------------------


async def test_an_offer_outlives_its_owner() -> None:
    async with shop("orders") as (world, (here,)):
        await here.start(order_by_wire, "one", id="one")
        await until(lambda: world.calls)
        async with _taken_over(world, here) as other, node(world, "payments"):
            result = await other.execution("one").result(timeout=30)

        assert result == "wired"
        assert terminal.calls == ["wire one"]
        await is_empty(world)


async def test_a_claim_outlives_the_owner_of_its_execution() -> None:
    async with shop("orders", "payments") as (world, (here, _)):
        terminal.open.clear()
        await here.start(order_by_wire, "one", id="one")
        await terminal.entered.wait()
        async with _taken_over(world, here) as other:
            newest = world.count
            await until(lambda: world.shared.owner_of("one") == newest)
            terminal.open.set()
            result = await other.execution("one").result(timeout=30)

        assert result == "wired"
        assert terminal.calls == ["wire one"]
        await is_empty(world)


async def test_an_outcome_outlives_the_owner_of_its_execution() -> None:
    async with shop("orders", "payments") as (world, (here, _)):
        terminal.open.clear()
        await here.start(order_by_wire, "one", id="one")
        await terminal.entered.wait()
        await here.node.crash()
        terminal.open.set()
        await until(lambda: [row.ended for row in world.calls.values()] == [True])
        async with node(world, "orders") as other:
            result = await other.execution("one").result(timeout=30)

        assert result == "wired"
        assert terminal.calls == ["wire one"]
        await is_empty(world)


async def test_a_new_owner_that_hosts_the_activity_leaves_it_to_the_one_that_has_it() -> None:
    async with shop("orders", "payments") as (world, (here, _)):
        terminal.open.clear()
        await here.start(order_by_wire, "one", id="one")
        await terminal.entered.wait()
        await here.node.crash()
        async with node(world, "orders,payments") as other:
            await other.node.load("one")
            terminal.open.set()
            result = await other.execution("one").result(timeout=30)

        assert result == "wired"
        assert terminal.calls == ["wire one"]


async def test_what_a_dead_owner_ran_itself_is_in_doubt_for_one_that_does_not_host_it() -> None:
    async with shop("orders,payments") as (world, (here,)):
        terminal.open.clear()
        await here.start(order_by_wire, "one", id="one")
        await terminal.entered.wait()
        async with _taken_over(world, here) as other:
            terminal.open.set()
            await until(lambda: [row.attempt < 0 for row in world.calls.values()] == [True])
            async with node(world, "payments"):
                with pytest.raises(ExecutionFailed, match="outcome unknown"):
                    await other.execution("one").result(timeout=30)

        assert terminal.calls == ["wire one"]


async def test_a_cancellation_outlives_the_owner_that_recorded_it() -> None:
    async with shop("orders", "payments") as (world, (here, _)):
        terminal.open.clear()
        execution = await here.start(order_and_fail, "one", id="one")
        await terminal.entered.wait()
        world.deaf = True
        await execution.cancel()
        await until(lambda: any(row.cancelled for row in world.calls.values()))
        await here.node.crash()
        world.deaf = False
        terminal.open.set()
        async with node(world, "orders") as other:
            with pytest.raises(ExecutionFailed) as caught:
                await other.execution("one").result(timeout=30)

        assert caught.value.status == Status.CANCELLED
        assert terminal.calls[0] == "charge one"
        assert terminal.calls[-1] == "release one"
        await is_empty(world)


async def test_a_call_that_was_withdrawn_settles_although_its_owner_died_before_it_saw_that() -> (
    None
):
    async with shop("orders") as (world, (here,)):
        execution = await here.start(order_and_fail, "one", id="one")
        await until(lambda: world.calls)
        here.node.remote.offers.withdraw = _nothing  # type: ignore[method-assign,union-attr]
        await execution.cancel()
        await until(lambda: not world.calls)
        async with _taken_over(world, here) as other, node(world, "payments"):
            with pytest.raises(ExecutionFailed) as caught:
                await other.execution("one").result(timeout=30)

        assert caught.value.status == Status.CANCELLED
        assert terminal.calls == ["refund one None", "release one"]


def _nothing(*_: object) -> None:
    """Do nothing."""
