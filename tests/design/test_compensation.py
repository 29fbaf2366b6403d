"""DESIGN 3.1, Compensation: a saga that was undone ends `compensated` with the error that caused
it, wherever nodes died meanwhile."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from tests.design.services_undoing import (
    COMMITS_MAX,
    CRASHES,
    Refused,
    clear,
    described,
    desk,
    did,
    do,
    ends,
    failed,
    keys,
    look,
    refuse,
    types,
    undid,
    undo,
)

from counterpoint import ActivityFailed, ExecutionFailed, Retry, Service, workflow
from counterpoint.testing import Harness
from counterpoint.testing.faults import When

saga = Service("saga")


@saga.activity(retry=Retry(max_attempts=1))
async def breaks() -> None:
    raise ConnectionError("no answer")


@saga.saga
async def refused() -> None:
    await do("a")
    await refuse("closed")


@saga.saga
async def broken() -> None:
    await do("a")
    await breaks()


@saga.saga
async def raises() -> None:
    await do("a")
    raise KeyError("lost")


@saga.saga
async def returns_nonsense() -> int:
    await do("a")
    return "not a number"  # type: ignore[return-value]


@saga.saga
async def groups() -> None:
    await do("a")
    async with asyncio.TaskGroup() as group:
        group.create_task(refuse("closed"))


@saga.saga
async def in_order(last: str) -> None:
    """A failing saga of every kind of step but children."""
    await do("a")
    await asyncio.gather(do("b"), do("c"), look("x"))
    workflow.compensate_with(clear, "d")
    await asyncio.sleep(5)
    async with asyncio.TaskGroup() as group:
        group.create_task(do("e"))
        group.create_task(do("f"))
    await do(last)
    await refuse("closed")


@saga.saga
async def leg(what: str) -> str:
    await do(what)
    return what


@saga.saga
async def with_children() -> None:
    await do("a")
    await asyncio.gather(leg("b"), leg("c"))
    await do("d")
    await refuse("closed")


def services() -> list[Service]:
    return [desk, saga]


async def test_saga_that_was_undone_ends_compensated_with_the_business_error() -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(refused, id="one"))

        assert error.status == "compensated"
        assert isinstance(error.error, Refused)
        assert error.error.why == "closed"
        assert (await described(harness)).error_type == "desk.Refused"


async def test_saga_that_was_undone_ends_compensated_with_what_its_call_failed_with() -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(broken))

        assert error.status == "compensated"
        assert isinstance(error.error, ActivityFailed)
        assert (error.error.activity, error.error.message) == ("saga.breaks", "no answer")


async def test_saga_that_was_undone_ends_compensated_with_what_its_code_raised() -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(raises))

        assert error.status == "compensated"
        assert "KeyError: 'lost'" in str(error)


async def test_saga_whose_result_cannot_be_recorded_is_undone() -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(returns_nonsense))

        assert error.status == "compensated"
        assert undid(harness) == ["a"]


async def test_saga_that_fails_in_a_task_group_ends_with_every_error_named() -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(groups))

        assert error.status == "compensated"
        assert "Refused" in str(error)
        assert undid(harness) == ["a"]


async def test_failing_compensations_do_not_change_the_error_that_caused_them() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(undo, OSError("disk"), times=5)
        execution = await harness.start(refused)
        await harness.advance(hours=1)
        error = await failed(harness, execution)

        assert isinstance(error.error, Refused)


async def test_description_says_what_is_undone_what_is_next_and_what_stays() -> None:
    async with Harness(services=services()) as harness:
        harness.delay(undo, timedelta(minutes=4))
        await harness.start(in_order, "g", id="one")
        await harness.advance(minutes=8, seconds=10)

        found = await described(harness)
        assert found.status == "compensating"
        assert list(found.undone) == [7, 8]
        assert list(found.to_undo) == [6, 5, 3, 2, 1]
        assert list(found.stay) == [4]


async def test_undoing_goes_on_after_a_stop_and_a_start() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(undo, OSError("disk"))
        execution = await harness.start(in_order, "g", id="one")
        await harness.advance(seconds=5)
        await harness.restart()

        error = await failed(harness, execution)
        assert error.status == "compensated"
        assert undid(harness) == ["g", "f", "e", "d", "c", "b", "a"]


async def test_undoing_goes_on_after_an_eviction() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(undo, OSError("disk"), times=3)
        execution = await harness.start(refused, id="one")
        await harness.advance(seconds=3)
        await harness.evict()
        residents = list(harness.app.node.residents)
        await harness.advance(minutes=8)

        error = await failed(harness, execution)
        assert residents == []
        assert error.status == "compensated"


# ---- a crash at every commit --------------------------------------------------------------------


async def undone_with_crash(
    program: Any, *args: Any, commit: int, when: When
) -> tuple[bool, Harness, ExecutionFailed, list[str]]:
    """Run a saga on a node that dies at a commit; say whether it did, and what was recorded."""
    async with Harness(services=services()) as harness:
        harness.crash_at_commit(commit, when=when)
        before = harness.store.commits
        error = await ends(harness, program, *args)
        crashed = harness.store.commits - before >= commit
        recorded = await types(harness)
    return crashed, harness, error, recorded


def check_undone(harness: Harness, whats: str, at: tuple[int, When]) -> None:
    """Check that all was undone, newest first, each under one key and none without doubt twice."""
    assert undid(harness) == list(whats)[::-1], at
    for what in whats:
        for name in ("desk.do", "desk.undo", "desk.clear"):
            assert len(keys(harness, name, what)) <= 1, (at, name, what)
    undone = Counter(
        c.arguments["what"] for c in harness.calls if c.name in ("desk.undo", "desk.clear")
    )
    assert set(undone) == set(whats), at
    assert sum(undone.values()) <= len(whats) + 1, (at, undone)  # but the one that was cut off


@pytest.mark.parametrize("when", CRASHES)
async def test_failing_saga_is_undone_across_a_crash_at_every_commit(when: When) -> None:
    for commit in range(1, COMMITS_MAX):
        crashed, harness, error, recorded = await undone_with_crash(
            in_order, "g", commit=commit, when=when
        )

        assert error.status == "compensated", (commit, when)
        assert isinstance(error.error, Refused), (commit, when)
        check_undone(harness, "abcdefg", (commit, when))
        doubt = any(call.name == "desk.unrefuse" for call in harness.calls)
        assert recorded.count("compensated") == 7 + doubt, (commit, when)
        if not crashed:
            assert commit > 10
            return
    raise AssertionError("it takes more commits than were tried")


@pytest.mark.parametrize("when", CRASHES)
async def test_failing_saga_of_children_is_undone_across_a_crash_at_every_commit(
    when: When,
) -> None:
    for commit in range(1, COMMITS_MAX):
        crashed, harness, error, _ = await undone_with_crash(
            with_children, commit=commit, when=when
        )

        assert error.status == "compensated", (commit, when)
        assert isinstance(error.error, Refused), (commit, when)
        check_undone(harness, "abcd", (commit, when))
        if not crashed:
            assert commit > 10
            return
    raise AssertionError("it takes more commits than were tried")


async def test_failing_saga_is_undone_although_every_fifth_commit_is_said_to_have_failed() -> None:
    async with Harness(services=services()) as harness:
        for commit in range(2, 60, 5):
            harness.crash_at_commit(commit, when="applied-but-failed")
        error = await ends(harness, in_order, "g")

        assert error.status == "compensated"
        assert undid(harness) == list("gfedcba")
        assert all(len(keys(harness, "desk.undo", what)) <= 1 for what in "abcefg")
        assert did(harness)[0] == "a"
