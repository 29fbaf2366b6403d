"""DESIGN 3.1, Execution: `terminate()` at any moment."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.runtime.shop import GOOD, TOO_MUCH, called, place_order, shop

from counterpoint import Execution, ExecutionFailed, ExecutionRefusedError, Service, workflow
from counterpoint.model.states import Status
from counterpoint.testing import Harness
from counterpoint.testing.faults import When

desk = Service("desk")


@desk.activity
async def book(what: str) -> str:
    return what


@book.compensation
async def unbook(what: str) -> None: ...


@desk.activity(at_most_once=True)
async def pay(amount: int) -> int:
    return amount


@desk.saga
async def leg(what: str) -> str:
    await book(what)
    return await workflow.signal("go", str)


@desk.saga
async def trip() -> list[str]:
    await book("insurance")
    return list(await asyncio.gather(leg("flight"), leg("hotel")))


@desk.saga
async def pay_once() -> int:
    await book("seat")
    return await pay(5)


@desk.saga
async def past_pivot() -> str:
    await book("seat")
    workflow.pivot()
    return await workflow.signal("go", str)


@desk.workflow
async def wait() -> str:
    return await workflow.signal("go", str)


@desk.workflow
async def sleep() -> None:
    await workflow.sleep(timedelta(days=1))


@desk.workflow
async def clean_up() -> str:
    try:
        return await workflow.signal("go", str)
    finally:
        await book("never")


async def ended(harness: Harness, execution: Execution[Any]) -> Status:
    await harness.settle()
    return (await execution.describe()).status


# ---- at any moment -------------------------------------------------------------------------------


async def waiting_for_a_signal(harness: Harness) -> Execution[Any]:
    return await harness.start(wait, id="one")


async def waiting_for_a_timer(harness: Harness) -> Execution[Any]:
    return await harness.start(sleep, id="one")


async def in_a_call(harness: Harness) -> Execution[Any]:
    harness.hang("shop.charge", times=None)
    return await harness.start(place_order, "tea", GOOD, id="one")


async def between_attempts(harness: Harness) -> Execution[Any]:
    harness.fail("shop.charge", OSError("no route"))
    return await harness.start(place_order, "tea", GOOD, id="one")


async def being_undone(harness: Harness) -> Execution[Any]:
    harness.hang("shop.release")
    return await harness.start(place_order, "tea", TOO_MUCH, id="one")


async def before_it_begins(harness: Harness) -> Execution[Any]:
    return await harness.app.start(wait, id="one", delay=3600)


async def after_its_pivot(harness: Harness) -> Execution[Any]:
    return await harness.start(past_pivot, id="one")


async def with_an_unknown_outcome(harness: Harness) -> Execution[Any]:
    harness.fail(pay, OSError("connection lost"))
    return await harness.start(pay_once, id="one")


async def with_a_stuck_compensation(harness: Harness) -> Execution[Any]:
    harness.fail("shop.release", OSError("no route"), times=None)
    execution = await harness.start(place_order, "tea", TOO_MUCH, id="one")
    await harness.advance(hours=1)
    return execution


async def while_it_is_cancelled(harness: Harness) -> Execution[Any]:
    execution = await being_undone(harness)
    await execution.cancel()
    return execution


MOMENTS = [
    waiting_for_a_signal,
    waiting_for_a_timer,
    in_a_call,
    between_attempts,
    being_undone,
    before_it_begins,
    after_its_pivot,
    with_an_unknown_outcome,
    with_a_stuck_compensation,
    while_it_is_cancelled,
]


@pytest.mark.parametrize("reach", MOMENTS)
async def test_terminate_ends_an_execution_at_any_moment(
    reach: Callable[[Harness], Awaitable[Execution[Any]]],
) -> None:
    async with Harness(services=[desk, shop]) as harness:
        execution = await reach(harness)
        calls = len(harness.calls)
        await execution.terminate(actor="ann", reason="a test")
        status = await ended(harness, execution)
        await harness.advance(days=2)

        assert status is Status.TERMINATED
        assert len(harness.calls) == calls
        assert (await execution.journal())[-1].type == "ended"
        with pytest.raises(ExecutionFailed, match="terminated by ann: a test"):
            await execution.result()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("reach", MOMENTS)
async def test_terminate_survives_a_crash_at_any_moment(
    reach: Callable[[Harness], Awaitable[Execution[Any]]], number: int, when: When
) -> None:
    async with Harness(services=[desk, shop]) as harness:
        execution = await reach(harness)
        await execution.terminate()
        harness.crash_at_commit(number, when=when)
        await harness.settle()
        if not harness.running:
            await harness.restart()

        assert await ended(harness, execution) is Status.TERMINATED


@pytest.mark.parametrize("reach", MOMENTS)
async def test_terminate_of_what_nobody_hosts_ends_it_too(
    reach: Callable[[Harness], Awaitable[Execution[Any]]],
) -> None:
    async with Harness(services=[desk, shop]) as harness:
        execution = await reach(harness)
        await harness.restart(services=[Service("elsewhere")])
        await execution.terminate(actor="ann")

        assert await ended(harness, execution) is Status.TERMINATED
        types = [entry.type for entry in await execution.journal()]
        assert types[-2:] == ["terminate-requested", "ended"]


@pytest.mark.parametrize("reach", [waiting_for_a_signal, in_a_call, between_attempts])
async def test_terminate_of_an_incident_of_non_determinism_ends_it(
    reach: Callable[[Harness], Awaitable[Execution[Any]]],
) -> None:
    changed = Service("changed")

    @changed.workflow(name="desk.wait")
    async def sleep_instead() -> None:
        await workflow.sleep(1)

    @changed.saga(name="shop.place_order")
    async def sleep_instead_too(order: str, amount: Decimal) -> None:
        await workflow.sleep(1)

    async with Harness(services=[desk, shop]) as harness:
        execution = await reach(harness)
        await harness.restart(services=[changed])
        await execution.signal("news")
        await harness.settle()
        before = await execution.describe()
        await execution.terminate()

        assert [one.cause for one in before.incidents] == ["non-determinism"]
        assert await ended(harness, execution) is Status.TERMINATED


async def test_terminate_of_an_execution_of_a_newer_version_ends_it() -> None:
    newer = Service("desk")

    @newer.workflow(name="desk.wait", version=2)
    async def wait_newer() -> str:
        return await workflow.signal("go", str)

    async with Harness(services=[newer]) as harness:
        execution = await harness.start(wait_newer, id="one")
        await harness.restart(services=[desk])
        await execution.terminate()

        assert await ended(harness, execution) is Status.TERMINATED
        assert (await execution.describe()).version == 2


async def test_terminate_of_an_execution_whose_arguments_do_not_validate_any_more_ends_it() -> None:
    stricter = Service("desk")

    @stricter.workflow(name="desk.wait")
    async def wait_for(whom: int) -> str:
        return await workflow.signal("go", str)

    async with Harness(services=[desk]) as harness:
        execution = await harness.start(wait, id="one")
        await harness.restart(services=[stricter])
        await execution.signal("news")
        await harness.settle()
        await execution.terminate()

        assert await ended(harness, execution) is Status.TERMINATED


# ---- what is left --------------------------------------------------------------------------------


async def test_terminate_undoes_nothing_and_runs_no_finally_block() -> None:
    async with Harness(services=[desk, shop]) as harness:
        one = await in_a_call(harness)
        two = await harness.start(clean_up)
        await one.terminate()
        await two.terminate()
        await harness.advance(hours=1)

        assert called(harness) == ["create", "reserve", "charge"]


@pytest.mark.parametrize(
    ("reach", "left", "unknown"),
    [
        (waiting_for_a_signal, [], []),
        (in_a_call, [3, 2, 1], [3]),
        (between_attempts, [3, 2, 1], [3]),
        (being_undone, [2, 1], []),
        (with_an_unknown_outcome, [2, 1], [2]),
        (with_a_stuck_compensation, [2, 1], []),
    ],
)
async def test_describe_lists_what_a_terminated_execution_left(
    reach: Callable[[Harness], Awaitable[Execution[Any]]], left: list[int], unknown: list[int]
) -> None:
    async with Harness(services=[desk, shop]) as harness:
        execution = await reach(harness)
        await execution.terminate()
        await harness.settle()
        known = await execution.describe()
        await harness.restart()

        assert list(known.left) == left
        assert [c.call for c in known.calls if c.outcome_unknown] == unknown
        assert (await execution.describe()).left == known.left
        assert list(known.to_undo) == []


# ---- children ------------------------------------------------------------------------------------


async def test_children_that_run_are_terminated_with_their_parent() -> None:
    async with Harness(services=[desk]) as harness:
        execution = await harness.start(trip, id="one")
        await execution.terminate(actor="ann")
        await harness.settle()
        found = {one.id: one.status async for one in harness.app.executions()}

        assert found == dict.fromkeys(("one", "one/2", "one/3"), Status.TERMINATED)
        assert called(harness) == ["book", "book", "book"]


@pytest.mark.parametrize("number", [1, 2, 3, 4])
async def test_children_are_terminated_with_their_parent_across_a_crash(number: int) -> None:
    async with Harness(services=[desk]) as harness:
        execution = await harness.start(trip, id="one")
        await execution.terminate()
        harness.crash_at_commit(number)
        await harness.settle()
        if not harness.running:
            await harness.restart()
        found = {one.status async for one in harness.app.executions()}

        assert found == {Status.TERMINATED}


async def test_children_are_terminated_with_a_parent_that_nobody_hosts() -> None:
    async with Harness(services=[desk]) as harness:
        execution = await harness.start(trip, id="one")
        await harness.restart(services=[Service("elsewhere")])
        await execution.terminate()
        await harness.settle()
        found = {one.id: one.status async for one in harness.app.executions()}

        assert found == dict.fromkeys(("one", "one/2", "one/3"), Status.TERMINATED)


async def test_a_child_that_is_about_to_begin_ends_with_its_parent() -> None:
    async with Harness(services=[desk]) as harness:
        execution = await harness.app.start(trip, id="one")
        await execution.terminate()
        await harness.settle()
        live = [one.id async for one in harness.app.executions() if one.status.live]

        assert live == []


async def test_a_child_that_was_terminated_alone_fails_its_call() -> None:
    async with Harness(services=[desk]) as harness:
        execution = await harness.start(trip, id="one")
        await harness.execution("one/2").terminate(actor="ann", reason="wrong seat")

        with pytest.raises(ExecutionFailed, match="terminated by ann: wrong seat"):
            await harness.result(execution)


# ---- afterwards ----------------------------------------------------------------------------------


async def test_terminated_is_final() -> None:
    async with Harness(services=[desk]) as harness:
        execution = await waiting_for_a_signal(harness)
        await execution.terminate()
        await harness.settle()

        for asking in (
            execution.terminate(),
            execution.cancel(),
            execution.signal("go", "x"),
            execution.retry(),
            execution.resolve(1, done=True),
        ):
            with pytest.raises(ExecutionRefusedError, match="terminated"):
                await asking


async def test_what_an_activity_still_does_after_terminate_is_not_recorded() -> None:
    async with Harness(services=[desk, shop]) as harness:
        hold = harness.hang("shop.charge")
        execution = await harness.start(place_order, "tea", GOOD, id="one")
        await execution.terminate()
        await harness.settle()
        before = await execution.journal()
        hold.release()
        await harness.advance(hours=1)

        assert await execution.journal() == before
