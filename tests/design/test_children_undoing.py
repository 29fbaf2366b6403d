"""DESIGN 3.1, "Children": a completed child saga is undone as one step of its parent, unless it
declares a compensation of its own or passed its pivot."""

from datetime import timedelta
from typing import Any

import pytest
from tests.design.services_undoing import (
    Refused,
    described,
    desk,
    do,
    failed,
    keys,
    look,
    refuse,
    types,
    undid,
    undo,
)

from counterpoint import Retry, Service, workflow
from counterpoint.model.states import Status
from counterpoint.testing import Harness

family = Service("family")
given: list[tuple[Any, ...]] = []
"""What the compensations of children were called with."""
failures: list[Exception] = []
"""What the next attempts of `own_back` raise."""


@pytest.fixture(autouse=True)
def _fresh() -> None:
    given.clear()
    failures.clear()


@family.saga
async def leg(whats: str) -> str:
    for what in whats:
        await do(what)
    return whats


@family.saga
async def leg_of_legs(whats: str) -> None:
    await do(whats[0])
    await leg(whats[1:-1])
    await do(whats[-1])


@family.saga
async def own(whats: str) -> str:
    for what in whats:
        await do(what)
    return whats.upper()


@own.compensation(retry=Retry(max_attempts=2, first=timedelta(seconds=1), jitter=0))
async def own_back(whats: str, result: str | None, error: Exception | None) -> None:
    given.append((whats, result, error))
    if failures:
        raise failures.pop()


@family.workflow
async def plain(what: str) -> str:
    return await do(what)


@family.workflow
async def plain_with_own(what: str) -> str:
    if what == "raise":
        await do(what)
        raise KeyError(what)
    return await look(what)


@plain_with_own.compensation
async def plain_back(what: str, result: str | None, error: Exception | None) -> None:
    given.append((what, result, type(error).__name__ if error else None))


@family.saga
async def pivoted(whats: str) -> str:
    await do(whats[0])
    workflow.pivot()
    await do(whats[1])
    return whats


@family.saga
async def holds_a_pivoted() -> None:
    await do("x")
    await pivoted("yz")
    await do("w")


@family.saga
async def refused_leg() -> None:
    await do("leg")
    await refuse("closed")


@family.saga
async def parent(which: str) -> None:
    """Calls a child between two calls of its own, and fails."""
    await do("first")
    match which:
        case "leg":
            await leg("bc")
        case "legs":
            await leg_of_legs("bcde")
        case "own":
            await own("bc")
        case "plain":
            await plain("b")
        case "plain with own":
            await plain_with_own("b")
        case "plain that raises":
            await plain_with_own("raise")
        case "pivoted":
            await pivoted("bc")
        case "pivoted grandchild":
            await holds_a_pivoted()
        case _:
            await refused_leg()
    await do("last")
    await refuse("too late")


@family.saga
async def catches_a_refused_leg() -> None:
    await do("first")
    try:
        await refused_leg()
    except Refused:
        await do("instead")
    raise ValueError("too late")


@family.saga
async def nothing_but_a_leg() -> None:
    await leg("b")
    await refuse("too late")


@family.saga
async def empty_leg() -> None:
    """Has nothing to undo."""
    await look("x")


@family.saga
async def with_an_empty_leg() -> None:
    await do("first")
    await empty_leg()
    await refuse("too late")


@family.saga
async def own_that_waits(what: str) -> str:
    await do(what)
    return str(await workflow.signal("end"))


@own_that_waits.compensation
async def own_that_waited(what: str, result: str | None, error: Exception | None) -> None:
    given.append((what, result, str(error)))


@family.saga
async def parent_of_own_that_waits() -> None:
    await do("first")
    await own_that_waits("x")


def services() -> list[Service]:
    return [desk, family]


async def test_completed_child_saga_is_undone_as_one_step() -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(parent, "leg", id="one"))

        found, its = await described(harness), await described(harness, "one/2")
        assert error.status == "compensated"
        assert undid(harness) == ["last", "c", "b", "first"]
        assert list(found.undone) == [1, 2, 3]
        assert (its.status, list(its.undone)) == (Status.COMPENSATED, [1, 2])


async def test_parent_records_one_step_and_the_child_its_own() -> None:
    async with Harness(services=services()) as harness:
        await failed(harness, await harness.start(parent, "leg", id="one"))

        said, its = await types(harness), await types(harness, "one/2")
        assert (said.count("undo-child"), said.count("compensate")) == (1, 2)
        assert (its.count("undo-requested"), its.count("compensate")) == (1, 2)
        assert keys(harness, "desk.undo", "b") == {"one/2/1/1c"}


async def test_child_alone_is_something_to_undo() -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(nothing_but_a_leg))

        assert error.status == "compensated"
        assert undid(harness) == ["b"]


async def test_grandchildren_are_undone_in_their_places() -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(parent, "legs", id="one"))

        assert undid(harness) == ["last", "e", "d", "c", "b", "first"]
        ids = ("one", "one/2", "one/2/2")
        assert [(await described(harness, id)).status for id in ids] == [Status.COMPENSATED] * 3
        assert isinstance(error.error, Refused)


async def test_child_with_nothing_to_undo_is_undone_at_once() -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(with_an_empty_leg, id="one"))

        assert error.status == "compensated"
        assert undid(harness) == ["first"]


async def test_child_says_that_its_parent_is_why_it_was_undone() -> None:
    async with Harness(services=services()) as harness:
        await failed(harness, await harness.start(parent, "leg", id="one"))
        error = await failed(harness, harness.execution("one/2"))

        assert error.status == "compensated"
        assert "its parent is being undone" in str(error)


async def test_child_that_undid_itself_is_not_undone_again() -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(catches_a_refused_leg, id="one"))

        assert error.status == "compensated"
        assert undid(harness) == ["leg", "instead", "first"]
        assert "undo-child" not in await types(harness)
        assert len([c for c in harness.calls if c.arguments.get("what") == "leg"]) == 2


async def test_failing_compensation_in_a_child_lets_the_older_steps_of_the_parent_wait() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(undo, OSError("disk"), times=2)  # of "last"
        execution = await harness.start(parent, "leg", id="one")
        await harness.settle()
        before = undid(harness)

        await failed(harness, execution)
        assert before == ["last"]
        assert undid(harness) == ["last", "c", "b", "first"]


async def test_plain_child_is_not_undone_and_stays() -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(parent, "plain", id="one"))

        assert error.status == "compensated"
        assert undid(harness) == ["last", "first"]
        assert list((await described(harness)).stay) == [2]


# ---- a compensation of its own ----------------------------------------------------------------


async def test_own_compensation_takes_the_place_of_undoing_the_childs_steps() -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(parent, "own", id="one"))

        assert error.status == "compensated"
        assert given == [("bc", "BC", None)]
        assert undid(harness) == ["last", "first"]
        assert (await described(harness, "one/2")).status is Status.COMPLETED
        assert list((await described(harness)).undone) == [1, 2, 3]


async def test_plain_child_may_have_a_compensation_too() -> None:
    async with Harness(services=services()) as harness:
        await failed(harness, await harness.start(parent, "plain with own"))

        assert given == [("b", "b seen", None)]


async def test_own_compensation_is_called_with_the_error_of_a_child_that_may_have_happened() -> (
    None
):
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(parent, "plain that raises"))

        assert error.status == "compensated"
        assert [(what, result) for what, result, _ in given] == [("raise", None)]
        assert given[0][2] is not None


async def test_own_compensation_of_a_child_survives_a_restart() -> None:
    async with Harness(services=services()) as harness:
        harness.hang("desk.undo")  # of "last"
        execution = await harness.start(parent, "own", id="one")
        harness.restore()
        await harness.restart()

        await failed(harness, execution)
        assert given == [("bc", "BC", None)]


async def test_own_compensation_of_a_child_is_as_patient_as_any() -> None:
    async with Harness(services=services()) as harness:
        failures[:] = [OSError("disk")] * 3
        execution = await harness.start(parent, "own", id="one")
        await harness.advance(seconds=2)
        found = await described(harness)
        await harness.advance(minutes=2)

        error = await failed(harness, execution)
        assert [(one.cause, one.call) for one in found.incidents] == [("patience", 2)]
        assert error.status == "compensated"
        assert undid(harness) == ["last", "first"]


async def test_stuck_own_compensation_of_a_child_is_resolved_as_done() -> None:
    async with Harness(services=services()) as harness:
        failures[:] = [OSError("disk")] * 2
        execution = await harness.start(parent, "own", id="one")
        await harness.advance(seconds=2)
        await execution.resolve(2, done=True)

        error = await failed(harness, execution)
        assert error.status == "compensated"
        assert len(given) == 2


async def test_own_compensation_is_called_for_a_child_that_was_terminated() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(parent_of_own_that_waits, id="one")
        await harness.execution("one/2").terminate(reason="by hand")

        error = await failed(harness, execution)
        assert error.status == "compensated"
        assert [one[:2] for one in given] == [("x", None)]
        assert "by hand" in given[0][2]


# ---- a child that passed its pivot ------------------------------------------------------------


async def test_child_that_passed_its_pivot_stays_and_the_parents_journal_says_so() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(parent, "pivoted", id="one")
        error = await failed(harness, execution)

        found = await described(harness)
        (stays,) = [e for e in await execution.journal() if e.type == "stays"]
        assert error.status == "compensated"
        assert undid(harness) == ["last", "first"]
        assert stays.data == {"call": 2, "why": "it passed its pivot"}
        assert (list(found.undone), list(found.stay)) == ([1, 3], [2])
        assert (found.calls[1].state, found.calls[1].stays) == ("stays", "it passed its pivot")
        assert (await described(harness, "one/2")).status is Status.COMPLETED


async def test_pivot_of_a_grandchild_keeps_only_the_grandchild() -> None:
    async with Harness(services=services()) as harness:
        await failed(harness, await harness.start(parent, "pivoted grandchild", id="one"))

        assert undid(harness) == ["last", "w", "x", "first"]
        its = await described(harness, "one/2")
        assert (its.status, list(its.stay)) == (Status.COMPENSATED, [2])
        assert (await described(harness, "one/2/2")).status is Status.COMPLETED
