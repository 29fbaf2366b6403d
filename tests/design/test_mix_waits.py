"""DESIGN 3.1, Reactions: `workflow.event(Type, key=)` observes the log."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from tests.design.services_mix import (
    HOUR,
    SECOND,
    SERVICES,
    STORES,
    MakeStore,
    Placed,
    Shipped,
    described,
    desk,
    executions,
    open_waits,
    orders,
    ship,
    shipping,
    types,
    waits,
    waits_in_time,
    work,
)

from counterpoint import (
    Event,
    ExecutionFailed,
    Service,
    Status,
    workflow,
)
from counterpoint.testing import Harness

code = Service("code")


@code.workflow
async def keeps(order_id: str, seconds: float) -> int:
    event = await workflow.event(Shipped, key=order_id, keep=timedelta(seconds=seconds))
    return event.number


@code.saga(on=Placed)
async def after_event(event: Placed) -> list[int]:
    """Wait for two parcels of the order that started it."""
    await work("first")
    key = event.order_id
    return [(await workflow.event(Shipped, key=key)).number for _ in range(2)]


@code.saga(on=Placed)
async def keeps_before(event: Placed) -> int:
    return (await workflow.event(Shipped, key=event.order_id, keep=HOUR)).number


@code.workflow
async def both_at_once(order_id: str) -> list[int]:
    found = await asyncio.gather(*(workflow.event(Shipped, key=order_id) for _ in range(3)))
    return [event.number for event in found]


@code.workflow
async def of_many_keys(keys: list[str]) -> list[int]:
    found = await asyncio.gather(*(workflow.event(Shipped, key=key) for key in keys))
    return [event.number for event in found]


@code.workflow
async def of_two_types(order_id: str) -> list[str]:
    placed = asyncio.ensure_future(workflow.event(Placed, key=order_id))
    shipped = await workflow.event(Shipped, key=order_id)
    return [type(event).__name__ for event in (shipped, await placed)]


@code.workflow
async def whichever(order_id: str) -> str:
    """The first of two waits cancels the other one."""
    tasks = [
        asyncio.ensure_future(workflow.event(Shipped, key=key))
        for key in (order_id, f"{order_id}-2")
    ]
    done, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    return next(iter(done)).result().order_id


@code.workflow
async def patient(order_id: str) -> list[object]:
    """A wait that was cancelled by `wait_for` loses nothing."""
    found: list[object] = []
    for _ in range(3):
        try:
            event = await asyncio.wait_for(workflow.event(Shipped, key=order_id), 60)
        except TimeoutError:
            found.append("late")
        else:
            found.append(event.number)
    return found


ALL = [*SERVICES, code]


# ---- in the order of the log, each once -------------------------------------------------------


@pytest.mark.parametrize("make_store", STORES)
async def test_events_come_in_the_order_of_the_log_each_once(
    make_store: MakeStore, tmp_path: Path
) -> None:
    async with Harness(services=ALL, store=make_store(tmp_path)) as harness:
        execution = await harness.start(waits, "k", 4, id="one")
        await ship(harness, 1)
        await harness.app.publish(*(Shipped(order_id="k", number=n) for n in (2, 3)))
        await ship(harness, 4)

        assert await harness.result(execution) == [1, 2, 3, 4]


@pytest.mark.parametrize("make_store", STORES)
async def test_nothing_is_consumed_by_whoever_waits(make_store: MakeStore, tmp_path: Path) -> None:
    async with Harness(services=ALL, store=make_store(tmp_path)) as harness:
        each = [await harness.start(waits, "k", 2, id=f"e{n}") for n in range(3)]
        await ship(harness, 1, 2)

        assert [await harness.result(one) for one in each] == [[1, 2]] * 3


async def test_an_event_of_another_key_or_type_is_not_taken() -> None:
    async with Harness(services=ALL) as harness:
        execution = await harness.start(waits, "k", 1, id="one")
        await ship(harness, 1, key="other")
        await harness.app.publish(Placed(order_id="k"))
        await harness.settle()
        before = (await described(harness)).status
        await ship(harness, 2)

        assert before is Status.RUNNING
        assert await harness.result(execution) == [2]


async def test_events_of_two_types_are_two_waits() -> None:
    async with Harness(services=ALL) as harness:
        execution = await harness.start(of_two_types, "k")
        await ship(harness, 1)
        await harness.app.publish(Placed(order_id="k"))

        assert await harness.result(execution) == ["Shipped", "Placed"]


async def test_waits_for_one_key_get_one_event_each() -> None:
    async with Harness(services=ALL) as harness:
        execution = await harness.start(both_at_once, "k")
        await harness.app.publish(*(Shipped(order_id="k", number=n) for n in (1, 2, 3)))

        assert await harness.result(execution) == [1, 2, 3]


async def test_waits_for_different_keys_get_their_own() -> None:
    async with Harness(services=ALL) as harness:
        execution = await harness.start(of_many_keys, ["a", "b", "c"])
        for number, key in enumerate("cab"):
            await ship(harness, number, key=key)

        assert await harness.result(execution) == [1, 2, 0]


async def test_a_key_may_be_anything_that_a_key_can_be() -> None:
    numbered = Service("numbered")

    @numbered.event(key="number")
    class Counted(Event):
        number: int

    @numbered.workflow
    async def counts(number: int) -> int:
        return (await workflow.event(Counted, key=number)).number

    async with Harness(services=[*ALL, numbered]) as harness:
        execution = await harness.start(counts, 7)
        await harness.app.publish(Counted(number=7))

        assert await harness.result(execution) == 7


# ---- where it begins --------------------------------------------------------------------------


async def test_without_keep_a_wait_begins_where_the_execution_does() -> None:
    async with Harness(services=ALL) as harness:
        await ship(harness, 1)
        await harness.advance(seconds=1)
        harness.delay(work, 10 * SECOND)
        slow = Service("slow")

        @slow.workflow
        async def works_first(order_id: str) -> int:
            await work("before it waits")
            return (await workflow.event(Shipped, key=order_id)).number

        await harness.restart(services=[*ALL, slow])
        execution = await harness.start(works_first, "k")
        await ship(harness, 2)

        assert await harness.result(execution) == 2


async def test_keep_reaches_back_before_the_beginning() -> None:
    async with Harness(services=ALL) as harness:
        await ship(harness, 1)
        await harness.advance(seconds=60)
        await ship(harness, 2)
        await harness.advance(seconds=60)

        assert await harness.run(keeps, "k", 61) == 2
        assert await harness.run(keeps, "k", 121) == 1


async def test_keep_does_not_reach_further() -> None:
    async with Harness(services=ALL) as harness:
        await ship(harness, 1)
        await harness.advance(seconds=60)
        execution = await harness.start(keeps, "k", 59, id="one")
        before = (await described(harness)).status
        await ship(harness, 2)

        assert before is Status.RUNNING
        assert await harness.result(execution) == 2


async def test_keep_cannot_be_negative() -> None:
    async with Harness(services=ALL) as harness:
        with pytest.raises(ExecutionFailed, match="keep= cannot be negative") as failed:
            await harness.run(keeps, "k", -1)
        assert failed.value.status == "failed"


async def test_a_saga_that_an_event_started_waits_for_what_comes_after_that() -> None:
    """Also if it came before the saga itself began, and in the same commit as the event."""
    async with Harness(services=ALL) as harness:
        await harness.app.publish(
            Shipped(order_id="k", number=1),
            Placed(order_id="k"),
            Shipped(order_id="k", number=2),
            Shipped(order_id="k", number=3),
        )
        (id,) = await _settled(harness, "code.after_event")

        assert await harness.execution(id).result() == [2, 3]


async def test_keep_counts_from_the_event_that_started_a_saga() -> None:
    async with Harness(services=ALL) as harness:
        await ship(harness, 1)
        await harness.advance(minutes=59)
        await harness.app.publish(Placed(order_id="k"))
        (id,) = await _settled(harness, "code.keeps_before")

        assert await harness.execution(id).result() == 1


async def _settled(harness: Harness, name: str) -> list[str]:
    await harness.settle()
    return await executions(harness, name)


# ---- an end of waiting ------------------------------------------------------------------------


async def test_a_wait_ends_at_its_timeout() -> None:
    async with Harness(services=ALL) as harness:
        execution = await harness.start(waits_in_time, "k", 3600, id="one")
        await harness.advance(minutes=59)
        before = (await described(harness)).status
        await harness.advance(minutes=1)

        assert before is Status.RUNNING
        assert await harness.result(execution) == -1
        assert "event-wait-ended" in await types(harness)


async def test_an_event_before_the_timeout_wins() -> None:
    async with Harness(services=ALL) as harness:
        execution = await harness.start(waits_in_time, "k", 3600)
        await harness.advance(minutes=59)
        await ship(harness, 5)

        assert await harness.result(execution) == 5


async def test_a_timeout_may_be_a_timedelta() -> None:
    timed = Service("timed")

    @timed.workflow
    async def waits_a_day(order_id: str) -> None:
        await workflow.event(Shipped, key=order_id, timeout=timedelta(days=1))

    async with Harness(services=[*ALL, timed]) as harness:
        with pytest.raises(ExecutionFailed, match="Timeout"):
            await harness.run(waits_a_day, "k")


async def test_what_came_while_nobody_waited_is_found_by_the_next_wait() -> None:
    """A wait that ended took nothing; nothing is lost between two of them."""
    async with Harness(services=ALL) as harness:
        execution = await harness.start(patient, "k")
        await harness.advance(seconds=61)
        await harness.app.publish(*(Shipped(order_id="k", number=n) for n in (1, 2)))

        assert await harness.result(execution) == ["late", 1, 2]


async def test_the_first_of_several_waits_cancels_the_others() -> None:
    async with Harness(services=ALL) as harness:
        execution = await harness.start(whichever, "k", id="one")
        await ship(harness, 1, key="k-2")

        assert await harness.result(execution) == "k-2"
        assert await open_waits(harness) == []


async def test_an_event_at_the_moment_of_the_timeout_is_taken_or_kept_for_the_next_wait() -> None:
    async with Harness(services=ALL) as harness:
        execution = await harness.start(patient, "k")
        harness.clock.move_to(harness.clock.next_alarm() or 0)
        await harness.app.publish(*(Shipped(order_id="k", number=n) for n in (1, 2, 3)))
        found = await harness.result(execution)

        numbers = [one for one in found if one != "late"]
        assert numbers == [1, 2, 3][: len(numbers)]
        assert len(numbers) >= 2


# ---- memory -----------------------------------------------------------------------------------


async def test_an_execution_that_waits_takes_no_memory() -> None:
    async with Harness(services=ALL) as harness:
        execution = await harness.start(waits, "k", 2)
        await harness.evict()
        evicted = dict(harness.app.node.residents)
        await ship(harness, 1)
        await harness.evict()
        await ship(harness, 2)

        assert evicted == {}
        assert await harness.result(execution) == [1, 2]


async def test_a_thousand_that_wait_are_told_although_few_fit_in_memory() -> None:
    async with Harness(services=ALL, max_resident=10) as harness:
        each = [await harness.app.start(waits, "k", 2) for _ in range(100)]
        await harness.settle()
        await ship(harness, 1, 2)

        assert [await harness.result(one) for one in each] == [[1, 2]] * 100


async def test_a_wait_is_a_row_until_it_is_over() -> None:
    async with Harness(services=ALL) as harness:
        execution = await harness.start(waits, "k", 2, id="one")
        first = await open_waits(harness)
        await ship(harness, 1)
        second = await open_waits(harness)
        await ship(harness, 2)
        await harness.result(execution)

        assert (first, second) == (["one"], ["one"])
        assert await open_waits(harness) == []


# ---- mistakes ---------------------------------------------------------------------------------


class Undeclared(Event):
    order_id: str


async def test_a_wait_for_what_is_no_event_of_the_app_is_refused() -> None:
    odd, strange = Service("odd"), Service("strange")

    @strange.event(key="order_id")
    class Foreign(Event):
        order_id: str

    @odd.workflow
    async def waits_for_foreign(order_id: str) -> None:
        await workflow.event(Foreign, key=order_id)

    @odd.workflow
    async def waits_for_undeclared(order_id: str) -> None:
        await workflow.event(Undeclared, key=order_id)

    async with Harness(services=[*ALL, odd]) as harness:
        with pytest.raises(ExecutionFailed, match="add the service strange to App"):
            await harness.run(waits_for_foreign, "k")
        with pytest.raises(ExecutionFailed, match="has no contract"):
            await harness.run(waits_for_undeclared, "k")


async def test_a_wait_for_a_key_that_cannot_be_one_is_refused() -> None:
    odd = Service("odd")

    @odd.workflow
    async def waits_for_nothing() -> None:
        await workflow.event(Shipped, key="")

    @odd.workflow
    async def waits_for_a_list() -> None:
        await workflow.event(Shipped, key=["k"])

    async with Harness(services=[*ALL, odd]) as harness:
        for wrong in (waits_for_nothing, waits_for_a_list):
            with pytest.raises(ExecutionFailed, match="key"):
                await harness.run(wrong)


async def test_a_wait_outside_a_workflow_says_so() -> None:
    with pytest.raises(Exception, match=r"event\(\)"):
        await workflow.event(Shipped, key="k")


# ---- replay -----------------------------------------------------------------------------------


async def test_code_that_waits_otherwise_on_replay_is_found() -> None:
    async with Harness(services=ALL) as harness:
        await harness.start(waits, "k", 2, id="one")
        await ship(harness, 1)
        changed = Service("orders")
        changed.contracts.update(orders.contracts)

        @changed.workflow(name="orders.waits")
        async def waits_for_another(order_id: str, count: int = 1) -> list[int]:
            return [(await workflow.event(Placed, key=order_id)).number]

        await harness.restart(services=[changed, shipping, desk])
        await ship(harness, 2)
        found = await described(harness)

        assert found.status is Status.INCIDENT
        assert "a wait for shipping.Shipped of 'k'" in str(found.incident)
        assert "a wait for orders.Placed of 'k'" in str(found.incident)
