"""Events, their keys and what follows from them, where a crash or a race could lose them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from tests.design.services_events import (
    ONCE,
    Books,
    Happened,
    dead,
    deployed,
    holds,
    publish,
    redrive,
    things,
)

from counterpoint import App, Retry, Service, activity, workflow
from counterpoint.stores.memory import MemoryStore
from counterpoint.testing import Harness

SECONDS = 30
HOUR = timedelta(hours=1)


async def test_what_is_parked_is_delivered_after_positions_have_passed_it_and_a_crash() -> None:
    books = Books()
    books.poison.add(("take", 1))
    async with Harness(services=deployed(books, "take", retry=ONCE)) as harness:
        await publish(harness, 1, 2, 3)
        await publish(harness, 4, key="other")
        await harness.advance(seconds=5)
        positions = [row.position for row in await harness.store.subscriptions()]
        await harness.crash()
        await harness.restart()
        books.poison.clear()
        await redrive(harness, (await dead(harness))[0])
        await harness.idle()

        assert positions == [4]
        assert books.numbers("take", "k") == [1, 2, 3]
        assert await holds(harness) == []


async def test_the_next_event_of_a_key_begins_after_the_commit_of_the_one_before() -> None:
    books, gate = Books(), asyncio.Event()
    books.fail("take", 1, gate.wait)
    async with Harness(services=deployed(books, "take")) as harness:
        await publish(harness, 1, 2)
        harness.store.hold_commits()
        gate.set()
        await harness.store.commit_held()
        for _ in range(100):
            await asyncio.sleep(0)
        began = [number for _, _, number in books.began]
        harness.store.release_commits()
        await harness.idle()

        assert began == [1]
        assert books.numbers("take") == [1, 2]


async def test_attempts_at_one_event_have_one_idempotency_key() -> None:
    keys: list[tuple[int, str]] = []
    shop = Service("shop")

    @shop.on(Happened, retry=Retry(max_attempts=3, jitter=0))
    async def take(event: Happened) -> None:
        info = activity.info()
        keys.append((info.attempt, info.idempotency_key))
        if len(keys) < 3:
            raise ConnectionError("it is down")

    async with Harness(services=[things, shop]) as harness:
        await publish(harness, 1)
        await harness.advance(minutes=1)

        assert [attempt for attempt, _ in keys] == [1, 2, 3]
        assert len({key for _, key in keys}) == 1


async def test_everything_that_a_reaction_starts_begins() -> None:
    began: list[int] = []
    shop = Service("shop")

    @shop.workflow
    async def count(number: int) -> None:
        began.append(number)

    @shop.on(Happened)
    async def take(event: Happened) -> None:
        for number in range(3):
            activity.start(count, number)

    async with Harness(services=[things, shop], rehearse=False) as harness:
        await publish(harness, 1)
        await harness.idle()

        assert sorted(began) == [0, 1, 2]


async def test_a_wait_is_not_given_what_only_another_one_reaches_back_to() -> None:
    shop = Service("shop")

    @shop.workflow
    async def two_waits() -> list[int]:
        now = workflow.event(Happened, key="k")
        before = workflow.event(Happened, key="k", keep=HOUR)
        return [event.number for event in await asyncio.gather(now, before)]

    async with Harness(services=[things, shop]) as harness:
        await publish(harness, 1)
        await harness.advance(minutes=1)
        execution = await harness.start(two_waits, id="one")
        await harness.settle()
        await publish(harness, 2)

        assert await harness.result(execution) == [2, 1]


class Racing(MemoryStore):
    """Does something else while somebody asks for the end of the log."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], Awaitable[object]] | None = None
        self.reads_before = 0
        """So many readers are not disturbed first."""
        self.raced = False

    async def last_position(self) -> int:
        last = await super().last_position()
        self.reads_before -= 1
        if self.meanwhile is not None and self.reads_before < 0:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
            self.raced = True
        return last


async def test_what_is_published_while_the_log_is_read_is_delivered() -> None:
    books = Books()
    store = Racing()
    app = App("shop", services=deployed(books, "take"), store=store)
    async with app:
        store.meanwhile = lambda: app.publish(Happened(key="k", number=1))
        await app.idle(timeout=SECONDS)

        assert store.raced
        assert books.numbers("take") == [1]


@pytest.mark.parametrize("reads", [1, 2, 3])
async def test_who_catches_up_misses_nothing_that_comes_meanwhile(reads: int) -> None:
    books = Books()
    store = Racing()
    async with App("shop", services=deployed(Books(), "take"), store=store) as before:
        for number in (1, 2):
            await before.publish(Happened(key=str(number), number=number))
        await before.idle(timeout=SECONDS)
    app = App("shop", services=deployed(books, "late", start="beginning"), store=store)
    store.reads_before = reads
    store.meanwhile = lambda: app.publish(Happened(key="3", number=3))
    async with app:
        await app.idle(timeout=SECONDS)
        if not store.raced:
            await store.last_position()
            await app.idle(timeout=SECONDS)

        assert sorted(books.numbers("late")) == [1, 2, 3]


@pytest.mark.parametrize("steps", [2, 3])
async def test_what_an_activity_publishes_is_published_once_whatever_comes_next(steps: int) -> None:
    shop = Service("shop")

    @shop.activity
    async def say(number: int) -> int:
        activity.publish(Happened(key="k", number=number))
        return number

    @shop.workflow
    async def says() -> None:
        for number in range(steps):
            await say(number)

    async with Harness(services=[things, shop]) as harness:
        await harness.run(says)

        assert [e.number for e in await harness.published(Happened)] == [*range(steps)]
