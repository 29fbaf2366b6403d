"""DESIGN 3.1, "Children": those that have not completed when their parent fails or is ended."""

import asyncio
from datetime import timedelta

from tests.design.services_undoing import (
    described,
    desk,
    do,
    failed,
    refuse,
    types,
    undid,
    undo,
)

from counterpoint import ExecutionFailed, Service, workflow
from counterpoint.model.states import Status
from counterpoint.testing import Harness

family = Service("family")


@family.saga
async def leg(whats: str) -> None:
    for what in whats:
        await do(what)


@family.saga
async def parent_of_a_leg() -> None:
    await do("first")
    await leg("bc")
    await do("last")
    await refuse("too late")


@family.saga
async def nothing_but_a_leg() -> None:
    await leg("b")
    await refuse("too late")


@family.saga
async def never_ends_by_itself() -> None:
    await do("waiting")
    await workflow.signal("end")


@family.saga
async def pivoted_and_waits(what: str) -> str:
    await do(what)
    workflow.pivot()
    return str(await workflow.signal("end"))


@family.saga
async def refuse_soon() -> None:
    await asyncio.sleep(5)
    await refuse("no")


@family.saga
async def beside_a_pivoted() -> None:
    await do("first")
    await asyncio.gather(pivoted_and_waits("x"), refuse_soon())


@family.saga(deadline=timedelta(seconds=10))
async def with_a_deadline() -> None:
    await do("first")
    await never_ends_by_itself()


async def refuse_later() -> None:
    await asyncio.sleep(5)
    await refuse("no")


@family.saga
async def beside_one_that_waits() -> None:
    await do("first")
    await asyncio.gather(never_ends_by_itself(), refuse_later())


@family.saga
async def catches_a_terminated() -> None:
    await do("first")
    try:
        await never_ends_by_itself()
    except ExecutionFailed as error:
        raise ValueError(f"it was {error.status}") from None


def services() -> list[Service]:
    return [desk, family]


async def test_child_in_flight_is_cancelled_and_undone_before_its_parent_undoes_anything() -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(beside_one_that_waits, id="one"))

        assert error.status == "compensated"
        assert undid(harness) == ["waiting", "first"]
        assert (await described(harness, "one/2")).status is Status.CANCELLED


async def test_terminated_child_is_not_undone_and_the_parents_journal_says_so() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(catches_a_terminated, id="one")
        await harness.execution("one/2").terminate()
        error = await failed(harness, execution)

        (stays,) = [e for e in await execution.journal() if e.type == "stays"]
        assert "it was terminated" in str(error)
        assert undid(harness) == ["first"]
        assert stays.data["call"] == 2
        assert "it was terminated" in stays.data["why"]


async def test_child_past_its_pivot_is_not_cancelled_with_its_parent_but_waited_for() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(beside_a_pivoted, id="one")
        await harness.advance(seconds=10)
        before, its = await described(harness), await described(harness, "one/2")
        await harness.execution("one/2").signal("end")

        error = await failed(harness, execution)
        assert (before.status, its.status) == (Status.COMPENSATING, Status.RUNNING)
        assert (await types(harness, "one/2")).count("cancel-refused") == 1
        assert error.status == "compensated"
        assert list((await described(harness)).stay) == [2]


async def test_child_is_cancelled_and_undone_at_the_deadline_of_its_parent() -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(with_a_deadline, id="one"))

        assert "DeadlineExceeded" in str(error)
        assert undid(harness) == ["waiting", "first"]


async def test_termination_of_a_parent_that_undoes_its_child_ends_both_and_lists_what_is_left() -> (
    None
):
    async with Harness(services=services()) as harness:
        harness.fail(undo, OSError("disk"), times=None)
        execution = await harness.start(nothing_but_a_leg, id="one")
        await harness.advance(seconds=9)
        await execution.terminate()

        found, its = await described(harness), await described(harness, "one/1")
        assert (found.status, list(found.left)) == (Status.TERMINATED, [1])
        assert (its.status, list(its.left)) == (Status.TERMINATED, [1])


async def test_child_that_is_terminated_while_it_is_undone_stays_and_the_parent_goes_on() -> None:
    async with Harness(services=services()) as harness:
        harness.replace(undo, lambda what, result: fail_leg(what))
        execution = await harness.start(parent_of_a_leg, id="one")
        await harness.advance(seconds=9)
        await harness.execution("one/2").terminate()

        error = await failed(harness, execution)
        assert error.status == "compensated"
        assert list((await described(harness)).stay) == [2]
        assert undid(harness) == ["last", "c", "first"]


def fail_leg(what: str) -> None:
    """Undo everything but what the leg has done."""
    if what == "c":
        raise OSError("disk")
