"""DESIGN 3.1 and 4: waits for events across ends, retries, resets, runs and deployments."""

import asyncio

import pytest
from tests.design.services_mix import (
    SERVICES,
    Placed,
    Shipped,
    described,
    desk,
    executions,
    open_waits,
    orders,
    ship,
    types,
    waits,
    work,
)

from counterpoint import Event, ExecutionFailed, Service, Status, workflow
from counterpoint.testing import Harness

code = Service("code")


@desk.activity
async def risky(what: str) -> str:
    return what


@risky.compensation
async def undo_risky(what: str) -> None: ...


@code.saga
async def undone(order_id: str) -> int:
    await risky("first")
    return (await workflow.event(Shipped, key=order_id)).number


@code.workflow
async def waits_then_works(order_id: str) -> list[object]:
    first = await workflow.event(Shipped, key=order_id)
    done = await risky(f"after {first.number}")
    second = await workflow.event(Shipped, key=order_id)
    return [first.number, done, second.number]


@code.workflow
async def fails_beside_a_wait(order_id: str) -> list[object]:
    """A wait is cut off by the failure of what runs beside it."""
    waiting = asyncio.ensure_future(workflow.event(Shipped, key=order_id))
    done = await risky("beside")
    return [done, (await waiting).number]


@code.workflow
async def goes_on(order_id: str, found: list[int], until: int) -> list[int]:
    found = [*found, (await workflow.event(Shipped, key=order_id)).number]
    if len(found) < until:
        workflow.continue_as_new(order_id, found, until)
    return found


@code.saga(on=Placed)
async def goes_on_from_event(event: Placed, rounds: int = 2) -> int:
    """Its second run, too, waits for what came after the event that started the first one."""
    if rounds:
        workflow.continue_as_new(event, rounds - 1)
    return (await workflow.event(Shipped, key=event.order_id)).number


@code.workflow
async def goes_on_at_once(order_id: str, rounds: int) -> int:
    if rounds:
        await work("a round")
        workflow.continue_as_new(order_id, rounds - 1)
    return (await workflow.event(Shipped, key=order_id)).number


ALL = [*SERVICES, code]


# ---- ends -------------------------------------------------------------------------------------


async def test_cancel_ends_a_wait() -> None:
    async with Harness(services=ALL) as harness:
        execution = await harness.start(waits, "k", 1, id="one")
        await execution.cancel()
        await harness.settle()
        await ship(harness, 1)

        assert (await described(harness)).status is Status.CANCELLED
        assert await open_waits(harness) == []
        assert "event" not in await types(harness)


async def test_terminate_ends_a_wait() -> None:
    async with Harness(services=ALL) as harness:
        execution = await harness.start(waits, "k", 1, id="one")
        await harness.evict()
        await execution.terminate()
        await harness.settle()
        await ship(harness, 1)

        assert (await described(harness)).status is Status.TERMINATED
        assert await open_waits(harness) == []


async def test_a_saga_that_is_being_undone_waits_for_no_event() -> None:
    async with Harness(services=ALL) as harness:
        execution = await harness.start(undone, "k", id="one")
        hold = harness.hang("desk.undo_risky")
        await execution.cancel()
        await harness.settle()
        while_undoing = await described(harness)
        left = await open_waits(harness)
        await ship(harness, 1)
        hold.release()
        with pytest.raises(ExecutionFailed):
            await harness.result(execution)

        assert while_undoing.status is Status.COMPENSATING
        assert left == []
        assert "event" not in await types(harness)


# ---- a retry of a failed workflow -------------------------------------------------------------


async def test_a_retry_of_a_failed_workflow_keeps_the_events_that_it_has_read() -> None:
    async with Harness(services=ALL) as harness:
        harness.fail(risky, TypeError("no"), times=1)
        execution = await harness.start(waits_then_works, "k", id="one")
        await ship(harness, 1)
        with pytest.raises(ExecutionFailed):
            await harness.result(execution)
        await ship(harness, 2)
        await execution.retry()
        await harness.settle()

        assert await harness.result(execution) == [1, "after 1", 2]


async def test_a_retry_waits_on_where_a_wait_was_cut_off() -> None:
    async with Harness(services=ALL) as harness:
        harness.fail(risky, TypeError("no"), times=1)
        execution = await harness.start(fails_beside_a_wait, "k", id="one")
        with pytest.raises(ExecutionFailed):
            await harness.result(execution)
        assert await open_waits(harness) == []
        await execution.retry()
        await harness.settle()
        again = await open_waits(harness)
        await ship(harness, 3)

        assert again == ["one"]
        assert await harness.result(execution) == ["beside", 3]


async def test_a_retry_finds_what_came_while_the_workflow_was_over() -> None:
    async with Harness(services=ALL) as harness:
        harness.fail(risky, TypeError("no"), times=1)
        execution = await harness.start(fails_beside_a_wait, "k", id="one")
        with pytest.raises(ExecutionFailed):
            await harness.result(execution)
        await ship(harness, 3)
        await execution.retry()
        await harness.settle()

        assert await harness.result(execution) == ["beside", 3]


# ---- reset ------------------------------------------------------------------------------------


async def test_a_reset_reads_the_events_after_its_record_again() -> None:
    async with Harness(services=ALL) as harness:
        execution = await harness.start(waits, "k", 3, id="one")
        await ship(harness, 1, 2, 3)
        before = await harness.result(execution)
        seq = [entry.type for entry in await execution.journal()].index("event") + 1
        await execution.reset(to=seq)
        await harness.settle()

        assert before == [1, 2, 3]
        assert await harness.result(execution) == [1, 2, 3]
        assert (await described(harness)).run == 2


async def test_a_reset_to_a_wait_finds_the_event_that_is_in_the_log() -> None:
    async with Harness(services=ALL) as harness:
        execution = await harness.start(waits, "k", 1, id="one")
        await ship(harness, 1)
        await harness.result(execution)
        seq = [entry.type for entry in await execution.journal()].index("awaits-event") + 1
        await execution.reset(to=seq)
        await harness.settle()

        assert await harness.result(execution) == [1]


# ---- continue_as_new --------------------------------------------------------------------------


async def test_continue_as_new_takes_the_positions_along() -> None:
    async with Harness(services=ALL) as harness:
        execution = await harness.start(goes_on, "k", [], 4, id="one")
        await ship(harness, 1)
        await harness.app.publish(*(Shipped(order_id="k", number=n) for n in (2, 3)))
        await harness.settle()
        await ship(harness, 4)

        assert await harness.result(execution) == [1, 2, 3, 4]
        assert (await described(harness)).run == 4


async def test_a_later_run_waits_for_what_came_since_the_first_one_began() -> None:
    async with Harness(services=ALL) as harness:
        await ship(harness, 1)
        await harness.advance(seconds=1)
        hold = harness.hang(work)
        execution = await harness.start(goes_on_at_once, "k", 2)
        await harness.advance(seconds=1)
        await ship(harness, 2)
        hold.release()

        assert await harness.result(execution) == 2


async def test_a_later_run_knows_the_event_that_started_the_first_one() -> None:
    async with Harness(services=ALL) as harness:
        await harness.app.publish(
            Shipped(order_id="k", number=1),
            Placed(order_id="k"),
            Shipped(order_id="k", number=2),
        )
        await harness.settle()
        (id, *_) = await executions(harness, "code.goes_on_from_event")

        assert await harness.execution(id).result() == 2
        assert (await described(harness, id)).run == 3


async def test_an_early_run_leaves_no_wait_behind() -> None:
    async with Harness(services=ALL) as harness:
        await harness.start(goes_on, "k", [], 3, id="one")
        await ship(harness, 1)

        assert await open_waits(harness) == ["one"]


# ---- events that the code cannot read ---------------------------------------------------------


def strict() -> tuple[Service, Service]:
    """Return services in which the parcels have another contract, as an older program knows it."""
    old, user = Service("shipping"), Service("orders")

    @old.event(key="order_id", name="shipping.Shipped")
    class Shipped(Event):
        order_id: str
        number: int
        weight: int

    user.contracts.update(orders.contracts)

    @user.workflow(name="orders.waits")
    async def waits(order_id: str, count: int = 1) -> list[int]:
        return [(await workflow.event(Shipped, key=order_id)).number for _ in range(count)]

    return user, old


def newer() -> tuple[Service, Service]:
    """Return services in which the parcels have a newer version."""
    new, user = Service("shipping"), Service("orders")

    @new.event(key="order_id", version=2, name="shipping.Shipped")
    class Shipped(Event):
        order_id: str
        count: int

    @Shipped.upcaster(1)
    def renamed(data: dict[str, object]) -> dict[str, object]:
        return {"order_id": data["order_id"], "count": data["number"]}

    user.contracts.update(orders.contracts)

    @user.workflow(name="orders.waits")
    async def waits(order_id: str, count: int = 1) -> list[int]:
        return [(await workflow.event(Shipped, key=order_id)).count for _ in range(count)]

    @user.workflow
    async def sends(order_id: str, count: int) -> None:
        await workflow.publish(Shipped(order_id=order_id, count=count))

    return user, new


async def test_an_event_of_a_newer_version_is_an_incident_that_a_newer_deployment_resolves() -> (
    None
):
    async with Harness(services=SERVICES) as harness:
        await harness.start(waits, "k", 1, id="one")
        await harness.stop()
        user, new = newer()
        user.workflows.pop("orders.waits")
        await harness.restart(services=[user, new, desk])
        await harness.run(user.workflows["orders.sends"], "k", 7)
        await harness.restart(services=SERVICES)
        stopped = await described(harness)
        user, new = newer()
        await harness.restart(services=[user, new, desk])
        await harness.settle()

        assert stopped.status is Status.INCIDENT
        assert "version 2" in str(stopped.incident)
        assert (await described(harness)).result == [7]


async def test_an_event_of_an_older_version_is_brought_up_to_date() -> None:
    async with Harness(services=SERVICES) as harness:
        await harness.start(waits, "k", 2, id="one")
        await ship(harness, 1)
        await ship(harness, key="other")
        user, new = newer()
        await harness.restart(services=[user, new, desk])
        await harness.run(user.workflows["orders.sends"], "k", 9)
        await harness.settle()

        assert (await described(harness)).result == [1, 9]


async def test_an_upcaster_that_fails_is_an_incident() -> None:
    async with Harness(services=SERVICES) as harness:
        await harness.start(waits, "k", 1, id="one")
        user, new = newer()
        contract = new.contracts["shipping.Shipped"]
        contract.upcasters[1] = lambda data: {"order_id": data["never"]}
        await harness.stop()
        await harness.restart(services=SERVICES)
        async with _past_the_wait(harness):
            await ship(harness, 1)
        await harness.restart(services=[user, new, desk])
        stopped = await described(harness)

        assert stopped.status is Status.INCIDENT
        assert "the event shipping/" in str(stopped.incident)


class _past_the_wait:  # noqa: N801 - used like a function
    """Keep events from being offered to those who wait for them."""

    def __init__(self, harness: Harness) -> None:
        self.waits = harness.app.node.messaging.waits

    async def __aenter__(self) -> None:
        self.waits.types.clear()

    async def __aexit__(self, *_: object) -> None:
        self.waits.types.clear()
