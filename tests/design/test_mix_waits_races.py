"""DESIGN 3.1 and 5: an event committed together with the wait for it is never missed."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.design.services_mix import (
    SERVICES,
    STORES,
    MakeStore,
    Shipped,
    described,
    lives,
    logged,
    open_waits,
    revived,
    ship,
    types,
    waits,
    work,
)

from counterpoint import Service, StoreError, workflow
from counterpoint.errors import StoreBusyError, StoreFullError
from counterpoint.model.messages import EventWaitRow
from counterpoint.runtime.messaging.taking import take_event
from counterpoint.testing import Harness
from counterpoint.testing.faults import When

code = Service("code")
CRASHES: tuple[When, ...] = ("before", "after", "applied-but-failed")
COMMITS_MAX = 30


@code.workflow
async def works_and_waits(order_id: str) -> list[int]:
    """The steps and the waits share commits."""
    found: list[int] = []
    for number in range(2):
        await work(str(number))
        found.append((await workflow.event(Shipped, key=order_id)).number)
    return found


ALL = [*SERVICES, code]


def sending(harness: Harness, number: int) -> Callable[[], Awaitable[object]]:
    """Return what publishes that a parcel has left; publishing it again changes nothing."""
    event = Shipped(order_id="k", number=number)
    return lambda: harness.app.publish(event, id=f"event-{number}")


async def test_an_event_in_the_commit_before_that_of_the_wait_is_found() -> None:
    async with Harness(services=ALL) as harness:
        execution = await harness.app.start(works_and_waits, "k")
        await harness.app.publish(*(Shipped(order_id="k", number=n) for n in (1, 2)))

        assert await harness.result(execution) == [1, 2]


async def test_an_event_in_the_very_commit_of_the_wait_is_found() -> None:
    """Both wait for a commit that is held, and are written by the next one."""
    async with Harness(services=ALL) as harness:
        harness.store.hold_commits()
        first = asyncio.ensure_future(harness.app.publish(Shipped(order_id="other")))
        await harness.store.commit_held()
        begun = asyncio.ensure_future(harness.app.start(waits, "k", 1, id="one"))
        sent = asyncio.ensure_future(harness.app.publish(Shipped(order_id="k", number=1)))
        for _ in range(20):
            await asyncio.sleep(0)
        commits = harness.store.commits
        harness.store.release_commits()
        await asyncio.gather(first, begun, sent)
        await harness.settle()

        assert harness.store.commits - commits <= 2  # the one with both, the one with its end
        assert await harness.result(harness.execution("one")) == [1]


async def test_an_event_in_the_commit_after_that_of_the_wait_is_found() -> None:
    async with Harness(services=ALL) as harness:
        harness.store.hold_commits()
        begun = asyncio.ensure_future(harness.app.start(waits, "k", 1, id="one"))
        await harness.store.commit_held()
        sent = asyncio.ensure_future(harness.app.publish(Shipped(order_id="k", number=1)))
        for _ in range(20):
            await asyncio.sleep(0)
        harness.store.release_commits()
        await asyncio.gather(begun, sent)

        assert await harness.result(harness.execution("one")) == [1]


@pytest.mark.parametrize("passes", range(0, 24, 2))
async def test_an_event_at_any_moment_of_a_start_is_found(passes: int) -> None:
    async with Harness(services=ALL) as harness:
        begun = asyncio.ensure_future(harness.app.start(waits, "k", 1, id="one"))
        for _ in range(passes):
            await asyncio.sleep(0)
        if passes < 2:
            await begun
        await ship(harness, 1)
        await begun

        assert await harness.result(harness.execution("one")) == [1]


# ---- a crash at every commit ------------------------------------------------------------------


@pytest.mark.parametrize("when", CRASHES)
@pytest.mark.parametrize("make_store", STORES)
async def test_no_event_is_missed_or_read_twice_wherever_the_node_dies(
    when: When, make_store: MakeStore, tmp_path: Path
) -> None:
    for commit in range(1, COMMITS_MAX):
        folder = tmp_path / str(commit)
        folder.mkdir()
        async with Harness(services=ALL, store=make_store(folder)) as harness:
            before = harness.store.commits
            harness.crash_at_commit(commit, when=when)
            await lives(harness, lambda: harness.app.start(works_and_waits, "k", id="one"))
            for number in (1, 2):
                await lives(harness, sending(harness, number))
            await lives(harness, harness.idle)

            assert await harness.result(harness.execution("one")) == [1, 2]
            assert (await types(harness)).count("event") == 2
            assert await open_waits(harness) == []
            if harness.store.commits - before < commit:
                return
    raise AssertionError("a loop over all commits ends before")


@pytest.mark.parametrize("when", CRASHES)
async def test_an_event_that_was_published_before_a_crash_reaches_who_waits_for_it(
    when: When,
) -> None:
    """It is in the log; the node dies at the commit of what it leads to."""
    for commit in (1, 2):
        async with Harness(services=ALL) as harness:
            await harness.start(waits, "k", 1, id="one")
            harness.crash_at_commit(commit, when=when)
            await lives(
                harness, lambda: harness.app.publish(Shipped(order_id="k", number=1), id="event-1")
            )
            await revived(harness)
            await lives(harness, harness.settle)

            assert await harness.result(harness.execution("one")) == [1]


# ---- failures of the store --------------------------------------------------------------------


@pytest.mark.parametrize("error", [StoreFullError("full"), StoreBusyError("busy")])
@pytest.mark.parametrize("after", range(4))
async def test_no_event_is_missed_when_a_commit_fails(error: StoreError, after: int) -> None:
    async with Harness(services=ALL) as harness:
        await harness.start(waits, "k", 2, id="one")
        harness.store.fail_commits(error, after=after)
        for number in (1, 2):
            await lives(harness, sending(harness, number))

        assert await harness.result(harness.execution("one")) == [1, 2]


@pytest.mark.parametrize("after", range(8))
async def test_no_event_is_missed_when_a_read_fails(after: int) -> None:
    async with Harness(services=ALL) as harness:
        await harness.start(works_and_waits, "k", id="one")
        await harness.evict()
        harness.store.fail_reads(StoreBusyError("busy"), after=after)
        for number in (1, 2):
            await lives(harness, sending(harness, number))
        harness.store.heal()

        assert await harness.result(harness.execution("one")) == [1, 2]


# ---- memory -----------------------------------------------------------------------------------


async def test_an_execution_that_leaves_memory_before_its_event_reaches_it_gets_it() -> None:
    """Others need its room just between the look into the log and the turn."""
    async with Harness(services=ALL) as harness:
        await harness.start(waits, "k", 1, id="one")
        node = harness.app.node
        resident = node.residents["one"]
        pushed = node.push

        def push(handle: object, *args: object) -> None:
            if handle is take_event and resident.id in node.residents:
                node.evict(resident)
            pushed(handle, *args)  # type: ignore[arg-type]

        node.push = push  # type: ignore[method-assign]
        await ship(harness, 1)

        assert await harness.result(harness.execution("one")) == [1]


async def test_an_event_that_is_offered_twice_is_taken_once() -> None:
    async with Harness(services=ALL) as harness:
        await harness.start(waits, "k", 2, id="one")
        await ship(harness, 1)
        node = harness.app.node
        resident = node.residents["one"]
        wait = EventWaitRow(resident.key, 1, "one", "shipping.Shipped", "k", 0, 0)
        (event,) = await logged(harness, Shipped)
        node.push(take_event, resident, wait, event)
        await ship(harness, 2)

        assert await harness.result(harness.execution("one")) == [1, 2]


# ---- replay -----------------------------------------------------------------------------------


@pytest.mark.parametrize("make_store", STORES)
async def test_what_was_received_is_replayed_from_the_journal(
    make_store: MakeStore, tmp_path: Path
) -> None:
    async with Harness(services=ALL, store=make_store(tmp_path)) as harness:
        execution = await harness.start(waits, "k", 3, id="one")
        for number in (1, 2):
            await ship(harness, number)
            await harness.crash()
            await harness.restart()
        await harness.evict()
        await ship(harness, 3)

        assert await harness.result(execution) == [1, 2, 3]
        assert (await described(harness)).incident is None
