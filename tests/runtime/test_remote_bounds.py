"""Calls between nodes: many, within deadlines, and by those who have no code of what they call."""

from datetime import timedelta

import pytest
from tests.runtime.remote_cluster import World
from tests.runtime.remote_shop import (
    QUICK,
    Refused,
    is_empty,
    node,
    order,
    order_by_wire,
    order_slowly,
    orders,
    shop,
    terminal,
    until,
)

from counterpoint import ActivityFailed, App, ExecutionFailed, Service, activity
from counterpoint.model.states import Status
from counterpoint.runtime.mail import AttemptEndedMail, mail_row
from counterpoint.runtime.remote_call import Ending

far = Service("far")
near = Service("near")
near_far = Service("far")
"""The service `far`, as a repository without its code knows it."""


@far.activity(retry=QUICK)
async def reserve(order_id: str) -> int:
    await terminal.take(f"reserve {order_id}")
    activity.start(follow_up, order_id, id=f"after-{order_id}")
    return 7


@reserve.compensation
async def unreserve(order_id: str, result: int | None) -> None:
    await terminal.take(f"unreserve {order_id} {result}")


@far.activity(retry=QUICK, at_most_once=True, on_unknown="fail")
async def ship(order_id: str) -> str:
    await terminal.take(f"ship {order_id}")
    return "shipped"


@far.workflow
async def follow_up(order_id: str) -> str:
    return f"followed {order_id}"


@near_far.stub(name="far.reserve")
async def reserve_there(order_id: str) -> int:
    raise NotImplementedError


@reserve_there.compensation(name="far.unreserve")
async def unreserve_there(order_id: str, result: int | None) -> None: ...


@near_far.stub(name="far.ship")
async def ship_there(order_id: str) -> str:
    raise NotImplementedError


@near.saga
async def reserved(order_id: str) -> int:
    number = await reserve_there(order_id)
    if order_id == "bad":
        raise Refused(why="bad")
    return number


@near.workflow
async def shipped(order_id: str) -> str:
    return await ship_there(order_id)


@orders.workflow(deadline=timedelta(milliseconds=30))
async def order_by_a_deadline(order_id: str) -> dict[str, int]:
    return await order(order_id)


def repository(world: World, *services: Service) -> App:
    """Return a node of an app that is one of several repositories of one store."""
    terminal.begin()
    return App(services[0].name, services=services, store=world.store(), block_warning=timedelta(0))


async def test_a_stub_calls_what_another_repository_has() -> None:
    world = World()
    async with repository(world, near, near_far) as here, repository(world, far) as there:
        result = await (await here.start(reserved, "one")).result(timeout=30)
        started = await there.execution("after-one").result(timeout=30)

        assert (result, started) == (7, "followed one")
        assert terminal.calls == ["reserve one"]
        await is_empty(world)


async def test_a_saga_of_stubs_is_undone_where_their_code_is() -> None:
    world = World()
    async with repository(world, near, near_far) as here, repository(world, far):
        execution = await here.start(reserved, "bad", id="bad")
        with pytest.raises(ExecutionFailed) as caught:
            await execution.result(timeout=30)

        assert caught.value.status == Status.COMPENSATED
        assert terminal.calls == ["reserve bad", "unreserve bad 7"]
        assert terminal.keys == ["bad/1/1", "bad/1/1c"]


async def test_a_stub_is_called_once_if_its_implementation_says_so() -> None:
    world = World()
    async with repository(world, near, near_far) as here:
        async with repository(world, far) as there:
            terminal.open.clear()
            execution = await here.start(shipped, "one")
            await terminal.entered.wait()
            await there.node.crash()
        async with repository(world, far):
            with pytest.raises(ExecutionFailed) as caught:
                await execution.result(timeout=30)

        error = caught.value.__cause__
        assert isinstance(error, ActivityFailed)
        assert error.outcome_unknown
        assert terminal.calls == []  # since the second node began


async def test_a_deadline_ends_a_call_of_another_node() -> None:
    async with shop("orders", "payments") as (world, (here, _)):
        terminal.open.clear()
        execution = await here.start(order_by_a_deadline, "one")
        with pytest.raises(ExecutionFailed, match="deadline"):
            await execution.result(timeout=30)

        await until(lambda: terminal.cancelled == len(terminal.calls))
        await is_empty(world)


async def test_executions_that_wait_for_another_node_leave_room_in_memory() -> None:
    async with shop("orders", max_resident=2) as (world, (here,)):
        started = [await here.start(order, str(n)) for n in range(20)]
        await until(lambda: len(world.calls) == 20)
        in_memory = len(here.node.residents)
        async with node(world, "payments"):
            results = [await one.result(timeout=30) for one in started]

        assert in_memory <= 3
        assert results == [{"cents": 250}] * 20
        assert len(terminal.calls) == 20
        await is_empty(world)


async def test_a_failed_store_of_the_owner_loses_no_call() -> None:
    async with shop("orders", "payments") as (world, (here, _)):
        terminal.open.clear()
        execution = await here.start(order_by_wire, "one", id="one")
        await terminal.entered.wait()
        here.node.store_failed(ConnectionResetError("the store went away"))
        await until(lambda: here.node.fault is None)
        terminal.open.set()

        assert await execution.result(timeout=30) == "wired"
        assert terminal.calls == ["wire one"]
        await is_empty(world)


async def test_a_node_that_is_busy_itself_claims_all_the_same() -> None:
    async with shop("orders", "orders,payments", max_running=1) as (_, (here, there)):
        terminal.hold = "slow"
        await there.start(order_slowly, "one")
        await until(lambda: terminal.calls == ["slow one"])
        await there.start(order_slowly, "two")
        execution = await here.start(order_by_wire, "three")
        await until(lambda: there.node.remote.waiting)
        terminal.hold = ""

        assert await execution.result(timeout=30) == "wired"


async def test_what_may_have_happened_before_a_reset_is_not_done_twice() -> None:
    async with shop("orders", "payments") as (_, (here, _)):
        execution = await here.start(order_by_wire, "one", id="one")
        await execution.result(timeout=30)
        await execution.reset(to=2, actor="ann", reason="try")
        with pytest.raises(ExecutionFailed, match="outcome unknown"):
            await here.execution("one").result(timeout=30)

        assert terminal.calls == ["wire one"]


async def test_a_letter_about_an_earlier_attempt_changes_nothing() -> None:
    async with shop("orders", "payments") as (world, (here, _)):
        terminal.open.clear()
        execution = await here.start(order_by_wire, "one", id="one")
        await terminal.entered.wait()
        (row,) = world.calls.values()
        stale = AttemptEndedMail(row.execution_key, 1, row.attempt + 7, Ending(lost=True))
        await here.node.post(mail_row("one", stale, 0, here.codec))
        await until(lambda: not world.shared.letters())
        terminal.open.set()

        assert await execution.result(timeout=30) == "wired"
