"""DESIGN 3.1: `terminate()` ends at once and undoes nothing; `describe()` lists what was left."""

import asyncio

import pytest
from tests.design.services_undoing import (
    clear,
    described,
    desk,
    do,
    failed,
    look,
    refuse,
    undid,
    undo,
)

from counterpoint import (
    ExecutionRefusedError,
    Service,
    workflow,
)
from counterpoint.model.states import Status
from counterpoint.testing import Harness

clock = Service("clock")


@clock.saga
async def leg(what: str) -> str:
    await do(what)
    await asyncio.sleep(7)
    return what


@clock.saga
async def long_way() -> str:
    """Passes through every kind of waiting."""
    await do("a")
    await asyncio.gather(do("b"), do("c"), look("x"))
    await asyncio.sleep(5)
    await workflow.signal("word")
    await leg("d")
    workflow.compensate_with(clear, "e")
    await do("f")
    return "there"


@clock.saga
async def refused_saga() -> None:
    await do("a")
    await do("b")
    await refuse("closed")


@clock.saga
async def nothing_done_yet() -> None:
    await workflow.signal("never")


def services() -> list[Service]:
    return [desk, clock]


# ---- terminate --------------------------------------------------------------------------------


async def test_terminate_ends_at_once_and_undoes_nothing() -> None:
    async with Harness(services=services()) as harness:
        hold = harness.hang(look)
        execution = await harness.start(long_way, id="one")
        await execution.terminate(actor="ann", reason="the shop is closed")
        at = harness.now
        error = await failed(harness, execution)

        assert error.status == "terminated"
        assert "terminated by ann: the shop is closed" in str(error)
        assert harness.now == at
        assert hold.waiting == 0
        assert undid(harness) == []


async def test_description_of_a_terminated_saga_lists_what_was_left() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(long_way, id="one")
        await execution.signal("word")
        await harness.advance(seconds=6)
        await execution.terminate()

        found = await described(harness)
        assert [found.calls[number - 1].name for number in found.left] == [
            "clock.leg",
            "desk.do",
            "desk.do",
            "desk.do",
        ]
        assert list(found.left) == [5, 3, 2, 1]
        assert list((await described(harness, "one/5")).left) == [1]


async def test_terminated_compensation_lists_only_what_is_not_undone() -> None:
    async with Harness(services=services()) as harness:
        harness.replace(undo, lambda what, result: hang() if what == "a" else None)

        async def hang() -> None:
            await harness.sleep(200)

        execution = await harness.start(refused_saga, id="one")
        await execution.terminate()
        found = await described(harness)

        assert found.status is Status.TERMINATED
        assert (list(found.undone), list(found.left)) == ([2], [1])


async def test_terminate_ends_an_incident() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(undo, ConnectionError("no route"), times=None)
        execution = await harness.start(refused_saga, id="one")
        await harness.advance(hours=1)
        await execution.terminate()

        found = await described(harness)
        assert (found.status, list(found.left)) == (Status.TERMINATED, [2, 1])
        assert list(found.incidents) == []


async def test_terminated_saga_with_nothing_done_left_nothing() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(nothing_done_yet, id="one")
        await execution.terminate()

        assert list((await described(harness)).left) == []


async def test_terminated_execution_is_not_ended_again() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(nothing_done_yet)
        await execution.terminate()
        await harness.settle()

        for act in (execution.cancel, execution.terminate):
            with pytest.raises(ExecutionRefusedError, match="it is terminated"):
                await act()
