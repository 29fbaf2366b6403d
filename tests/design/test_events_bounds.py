"""DESIGN section 5, "Messaging": a node with many events has few of them in memory."""

from datetime import timedelta

import pytest
from tests.design.services_events import (
    ONCE,
    Books,
    Happened,
    dead,
    deployed,
    discard,
    insert,
    publish,
    raw_event,
    redrive,
)

from counterpoint import Event, Retry
from counterpoint.runtime.messaging import dispatcher, messaging
from counterpoint.runtime.messaging.queues import QUEUE_MAX, KeyQueue
from counterpoint.runtime.messaging.streams import PAGE
from counterpoint.testing import Harness

PENDING = 600
SLOW = Retry(max_attempts=9, first=timedelta(seconds=10), factor=1, jitter=0)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a tenth of the usual number of events be in memory, so that these tests are quick."""
    monkeypatch.setattr(dispatcher, "PENDING_MAX", PENDING)
    monkeypatch.setattr(messaging, "PENDING_MAX", PENDING)


class Watched(Books):
    """Books that look how many events are in memory whenever an attempt begins."""

    harness: Harness
    most = 0
    most_pending = 0

    async def enter(self, name: str, event: Event) -> None:
        pending = self.harness.app.node.messaging.dispatcher.pending
        self.most = max(self.most, sum(len(queue.items) for queue in queues(self.harness)))
        self.most_pending = max(self.most_pending, pending)
        await super().enter(name, event)


def queues(harness: Harness) -> list[KeyQueue]:
    """Return the queues that a node has in memory."""
    lanes = harness.app.node.messaging.dispatcher.lanes.values()
    return [queue for lane in lanes for queue in lane.queues.values()]


async def test_catching_up_with_many_events_takes_the_memory_of_few() -> None:
    books = Watched()
    async with Harness(services=deployed(Books(), "other")) as books.harness:
        harness = books.harness
        rows = [raw_event({"key": f"{n % 97}", "number": n}, key=f"{n % 97}") for n in range(8_000)]
        await insert(harness, rows)
        services = deployed(books, "take", start="beginning", retry=ONCE)
        await harness.restart(services=services)
        await harness.idle()

        assert sorted(books.numbers("take")) == list(range(8_000))
        assert books.numbers("take", "7") == list(range(7, 8_000, 97))
        assert books.most_pending <= PENDING + PAGE
        assert books.most <= PENDING + PAGE
        assert queues(harness) == []


async def test_a_thousand_events_of_one_key_are_read_page_by_page() -> None:
    books = Watched()
    async with Harness(services=deployed(books, "take")) as books.harness:
        harness = books.harness
        await harness.app.publish(*(_happened("one", number) for number in range(1_000)))
        await harness.idle()

        assert books.numbers("take") == list(range(1_000))
        assert books.most <= QUEUE_MAX
        assert queues(harness) == []


async def test_keys_that_are_free_again_all_at_once_do_not_fill_the_memory() -> None:
    books = Watched()
    async with Harness(services=deployed(books, "take", retry=SLOW)) as books.harness:
        harness = books.harness
        keys = [str(key) for key in range(100)]
        books.fail("take", 0, *[ConnectionError("it is down")] * len(keys))
        for number in range(70):
            await harness.app.publish(*(_happened(key, number) for key in keys))
        await harness.settle()
        await harness.advance(minutes=1)
        await harness.idle()

        assert len(books.ended) == 7_000
        assert all(books.numbers("take", key) == list(range(70)) for key in keys)
        assert books.most <= PENDING + QUEUE_MAX + len(keys)
        assert queues(harness) == []


async def test_more_dead_letters_than_fit_into_memory_stop_nothing_but_their_keys() -> None:
    books = Books()
    books.poison.add(("take", 0))
    async with Harness(services=deployed(books, "take", retry=ONCE)) as harness:
        await harness.app.publish(*(_happened(str(key), 0) for key in range(PENDING + 100)))
        await harness.settle()
        assert len(await dead(harness)) == PENDING + 100

        await publish(harness, 1, key="good")
        await harness.settle()

        assert books.numbers("take") == [1]


async def test_more_retries_than_fit_into_memory_stop_nothing_but_their_keys() -> None:
    books = Books()
    books.fail("take", 0, *[ConnectionError("it is down")] * (PENDING + 100))
    async with Harness(services=deployed(books, "take", retry=SLOW)) as harness:
        await harness.app.publish(*(_happened(str(key), 0) for key in range(PENDING + 100)))
        await harness.settle()

        await publish(harness, 1, key="good")
        await harness.settle()

        assert books.numbers("take") == [1]


async def test_events_in_memory_are_counted_right_through_retry_redrive_and_discard() -> None:
    books = Books()
    books.poison.add(("take", 1))
    async with Harness(services=deployed(books, "take")) as harness:
        for key in ("a", "b", "c"):
            await publish(harness, 0, 1, 2, 3, key=key)
        await harness.idle()
        counts = [harness.app.node.messaging.dispatcher.pending]
        letters = await dead(harness)
        await discard(harness, letters[0])
        await redrive(harness, letters[1])
        await harness.idle()
        books.poison.clear()
        await redrive(harness, letters[1])
        await redrive(harness, letters[2])
        await harness.idle()
        counts.append(harness.app.node.messaging.dispatcher.pending)

        assert counts == [0, 0]
        assert [books.numbers("take", key) for key in "abc"] == [
            [0, 2, 3],
            [0, 1, 2, 3],
            [0, 1, 2, 3],
        ]
        assert queues(harness) == []


def _happened(key: str, number: int) -> Event:
    return Happened(key=key, number=number)


async def test_events_of_a_long_queue_that_are_left_in_the_log_survive_a_crash() -> None:
    books = Books()
    services = deployed(books, "take", retry=ONCE, timeout=None)
    async with Harness(services=services) as harness:

        async def take_long() -> None:
            await harness.sleep(60)

        books.fail("take", 0, take_long)
        await harness.app.publish(*(_happened("one", number) for number in range(3 * QUEUE_MAX)))
        await publish(harness, 1, key="other")
        await harness.advance(seconds=5)
        (row,) = await harness.store.inner.subscriptions()
        assert row.position == 0
        await harness.crash()
        await harness.restart()
        await harness.idle()

        assert books.numbers("take", "one") == list(range(3 * QUEUE_MAX))


async def test_what_is_left_in_the_log_behind_a_long_queue_bounds_its_position() -> None:
    books = Books()
    services = deployed(books, "take", retry=ONCE, timeout=None)
    async with Harness(services=services) as harness:

        async def take_long() -> None:
            await harness.sleep(60)

        books.fail("take", QUEUE_MAX, take_long)
        count = 3 * QUEUE_MAX
        await harness.app.publish(*(_happened("one", number) for number in range(count)))
        await harness.advance(seconds=5)
        (row,) = await harness.store.inner.subscriptions()
        assert row.position == QUEUE_MAX
        await harness.crash()
        await harness.restart()
        await harness.idle()

        assert list(dict.fromkeys(books.numbers("take"))) == list(range(count))
