"""DESIGN P4 and P5 where the store fails: memory is forgotten, what is written is true."""

import asyncio
import contextlib
from datetime import timedelta

import pytest
from tests.design.services_events import (
    Books,
    deployed,
    follow,
    followed,
    live_on,
    log,
    publish,
    statuses,
)

from counterpoint import NodeStoppedError, Retry, StoreError
from counterpoint.errors import StoreBrokenError, StoreBusyError, StoreFullError
from counterpoint.model.messages import ReactionStatus
from counterpoint.testing import Harness

SLOW = Retry(max_attempts=5, first=timedelta(seconds=10), factor=1, jitter=0)
FAILURES = [
    StoreBusyError("somebody else writes"),
    StoreFullError("the disk is full"),
    StoreBrokenError("the outcome is unknown"),
]


async def test_the_app_settles_while_its_store_fails_and_delivers_once_it_is_open_again() -> None:
    books = Books()
    async with Harness(services=deployed(books, "take", then=follow)) as harness:
        harness.store.fail_commits(StoreFullError("the disk is full"), times=3)
        with contextlib.suppress(StoreError):
            await publish(harness, 1)

        await harness.settle()
        await harness.advance(minutes=1)
        await publish(harness, 2)
        await harness.idle()

        assert books.numbers("take")[-1] == 2
        assert await followed(harness) == books.numbers("take")


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("commit", [1, 2, 3, 4, 5])
async def test_a_commit_that_fails_during_delivery_leaves_each_effect_once(
    commit: int, error: StoreError
) -> None:
    books = Books()
    books.fail("take", 1, ValueError("once"))
    async with Harness(services=deployed(books, "take", then=follow)) as harness:
        await publish(harness, 0)
        harness.store.fail_commits(error, after=commit - 1)
        with contextlib.suppress(StoreError, NodeStoppedError):
            await publish(harness, 1)
        await harness.advance(minutes=1)
        await harness.idle()

        happened = len(await log(harness)) - len(await followed(harness))
        assert await followed(harness) == [0, 1][:happened]
        assert await statuses(harness) == [ReactionStatus.COMPLETED] * happened


@pytest.mark.parametrize("commit", [1, 2, 3, 4])
async def test_a_commit_that_was_written_and_reported_as_broken_is_not_made_again(
    commit: int,
) -> None:
    books = Books()
    books.fail("take", 1, ValueError("once"))
    async with Harness(services=deployed(books, "take", then=follow)) as harness:
        harness.crash_at_commit(commit, when="applied-but-failed")
        with contextlib.suppress(StoreError, NodeStoppedError):
            await publish(harness, 1)
        await live_on(harness)

        assert await followed(harness) == [1]
        assert await statuses(harness) == [ReactionStatus.COMPLETED]


async def test_the_alarm_of_a_retry_that_was_forgotten_begins_no_second_attempt() -> None:
    books = Books()
    books.fail("take", 1, ValueError("once"))
    async with Harness(services=deployed(books, "take", then=follow, retry=SLOW)) as harness:
        await publish(harness, 1)
        await harness.settle()
        harness.store.fail_commits(StoreBrokenError("the outcome is unknown"))
        with contextlib.suppress(StoreError):
            await publish(harness, 2, key="other")
        await harness.advance(seconds=9)

        await harness.advance(minutes=5)

        assert [number for _, key, number in books.began if key == "k"] == [1, 1]
        assert await followed(harness, "k") == [1]


async def test_a_failure_that_is_about_to_be_written_when_the_store_fails_is_forgotten() -> None:
    books = Books()
    async with Harness(services=deployed(books, "take", then=follow, retry=SLOW)) as harness:

        async def fail_as_the_store_does() -> None:
            asyncio.get_running_loop().call_soon(
                harness.app.node.store_failed, StoreBrokenError("the outcome is unknown")
            )
            await asyncio.sleep(0)
            raise ValueError("once")

        await publish(harness, 0)
        await harness.settle()
        for passes in range(4):
            books.fail("take", 1 + passes, fail_as_the_store_does)
            await publish(harness, 1 + passes)
            await harness.advance(minutes=5)
        await harness.idle()

        assert await followed(harness) == [0, 1, 2, 3, 4]
        assert set(await statuses(harness)) == {ReactionStatus.COMPLETED}


async def test_everything_that_was_begun_before_a_failure_of_the_store_has_no_effect() -> None:
    books = Books()
    async with Harness(services=deployed(books, "take", then=follow, retry=SLOW)) as harness:
        deliveries = harness.app.node.messaging.dispatcher.deliveries
        books.fail("take", 0, ValueError("once"))
        await publish(harness, 0, key="other")  # a key is reserved, and more with it
        await harness.idle()
        books.fail("take", 1, ValueError("once"))
        spawned = deliveries._spawn

        def spawn_and_fail(errand: object) -> None:
            deliveries._spawn = spawned  # type: ignore[method-assign]
            spawned(errand)  # type: ignore[arg-type]
            harness.app.node.store_failed(StoreBrokenError("the outcome is unknown"))

        deliveries._spawn = spawn_and_fail  # type: ignore[method-assign]
        await publish(harness, 1)
        await harness.settle()
        assert harness.app.node.fault is not None
        await harness.advance(minutes=5)
        await harness.idle()

        assert [number for _, _, number in books.began] == [0, 0, 1, 1]
        assert await followed(harness) == [0, 1]


async def test_a_read_that_fails_when_subscriptions_are_read_again_is_a_failure_of_the_store() -> (
    None
):
    books = Books()
    async with Harness(services=deployed(books, "take")) as harness:
        harness.store.fail_commits(StoreBrokenError("the outcome is unknown"))
        with contextlib.suppress(StoreError):
            await publish(harness, 1, key="a")
        harness.store.fail_reads(StoreBrokenError("it cannot be read"))
        await harness.advance(minutes=5)
        await publish(harness, 2)
        await harness.advance(minutes=5)

        assert books.numbers("take")[-1] == 2
