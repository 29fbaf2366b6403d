"""DESIGN P3 to P6 where nodes die or stop while reactions are under way."""

import asyncio
from datetime import timedelta

import pytest
from tests.design.services_events import (
    Books,
    Happened,
    dead,
    deployed,
    follow,
    followed,
    holds,
    live_on,
    marks,
    publish,
    redrive,
    statuses,
    words,
)

from counterpoint import Retry
from counterpoint.kernel.retry import LOST_IN_A_ROW_MAX
from counterpoint.model import records as r
from counterpoint.model.messages import ReactionStatus
from counterpoint.testing import Harness

SLOW = Retry(max_attempts=9, first=timedelta(seconds=10), factor=1, jitter=0)
FOREVER = 1_000


class Deadly(Books):
    """Books with attempts that kill the process."""

    harness: Harness

    def kill(self, name: str, number: int, times: int = FOREVER) -> None:
        """Let the node die in the next attempts of a reaction."""
        self.fail(name, number, *[self._die] * times)

    async def _die(self) -> None:
        self.harness._store_crashed()
        await asyncio.Future()


async def live(harness: Harness, starts: int = 12) -> None:
    """Start the node again whenever it dies."""
    for _ in range(starts):
        if not harness.running:
            await harness.restart()
        await harness.advance(minutes=1)


async def test_a_reaction_that_kills_the_node_is_a_dead_letter_after_three_lost_attempts() -> None:
    books = Deadly()
    books.kill("take", 1)
    async with Harness(services=deployed(books, "take", retry=SLOW)) as books.harness:
        await publish(books.harness, 1)
        await live(books.harness)

        (letter,) = await dead(books.harness)
        (mark,) = await marks(books.harness)
        rows = await books.harness.store.inner.journal(mark.key or 0)
        records = [type(one) for row in rows for one in r.decode_records(row.body)]
        assert letter.cause == "counterpoint.errors.AttemptsLostError"
        assert "the node died 3 times in a row while shop.take ran" in words(letter)
        assert records == [r.AttemptLost] * LOST_IN_A_ROW_MAX + [r.Died]
        # the first attempt of all is not recorded before it begins: it is the one on top
        assert len(books.began) == LOST_IN_A_ROW_MAX + 1
        assert books.harness.running


async def test_a_reaction_that_kills_the_node_stops_only_its_key() -> None:
    books = Deadly()
    books.kill("take", 5)
    async with Harness(services=deployed(books, "take", retry=SLOW)) as books.harness:
        await books.harness.app.publish(
            *(Happened(key=str(number), number=number) for number in range(10))
        )
        await live(books.harness)

        assert sorted(books.numbers("take")) == [0, 1, 2, 3, 4, 6, 7, 8, 9]
        assert len(await dead(books.harness)) == 1


async def test_a_reaction_that_kills_the_node_behind_a_retry_of_its_key_dies_too() -> None:
    books = Deadly()
    books.fail("take", 1, ConnectionError("it is down"))
    books.kill("take", 2)
    async with Harness(services=deployed(books, "take", retry=SLOW)) as books.harness:
        await publish(books.harness, 1, 2)
        await live(books.harness)

        assert books.numbers("take") == [1]
        assert len(await dead(books.harness)) == 1


async def test_a_reaction_that_kills_the_node_behind_a_dead_letter_that_is_skipped_dies() -> None:
    books = Deadly()
    books.poison.add(("take", 1))
    books.kill("take", 2)
    services = deployed(books, "take", retry=SLOW, on_dead="skip")
    async with Harness(services=services) as books.harness:
        await publish(books.harness, 1)
        await books.harness.advance(minutes=5)
        await books.harness.app.publish(Happened(key="k", number=2), Happened(key="k", number=3))
        await live(books.harness)

        assert books.numbers("take") == [3]
        assert len(await dead(books.harness)) == 2


async def test_the_second_reaction_to_an_event_that_kills_the_node_dies_too() -> None:
    books = Deadly()
    books.kill("second", 1)
    services = deployed(books, "first", "second", retry=SLOW)
    async with Harness(services=services) as books.harness:
        await publish(books.harness, 1)
        await live(books.harness)

        assert books.numbers("first") == [1]
        assert [letter.name for letter in await dead(books.harness)] == ["shop.second"]


async def test_a_reaction_that_kills_the_node_dies_however_many_events_are_left_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("counterpoint.runtime.messaging.dispatcher.CAREFUL_MAX", 3)
    books = Deadly()
    books.fail("take", 1, *[ConnectionError("it is down")] * 4)
    books.kill("take", 9)
    async with Harness(services=deployed(books, "take", retry=SLOW)) as books.harness:
        await publish(books.harness, 1, *[2] * 20)
        await publish(books.harness, 9, key="other")
        await live(books.harness)

        assert books.numbers("take", "k") == [1, *[2] * 20]
        assert len(await dead(books.harness)) == 1


async def test_an_attempt_that_is_lost_once_is_made_again_under_the_same_idempotency_key() -> None:
    books = Deadly()
    books.kill("take", 1, times=1)
    services = deployed(books, "take", retry=SLOW, then=follow)
    async with Harness(services=services) as books.harness:
        await publish(books.harness, 1)
        await live(books.harness, starts=2)

        keys = {call.idempotency_key for call in books.harness.calls if call.name == "shop.take"}
        assert (len(books.began), len(keys)) == (2, 1)
        assert await followed(books.harness) == [1]
        assert await statuses(books.harness) == [ReactionStatus.COMPLETED]
        assert await holds(books.harness) == []


async def test_attempts_that_are_lost_between_others_do_not_count_as_lost_in_a_row() -> None:
    books = Deadly()
    down = ConnectionError("it is down")
    books.fail("take", 1, down, books._die, books._die, down, books._die, books._die, down)
    async with Harness(services=deployed(books, "take", retry=SLOW)) as books.harness:
        await publish(books.harness, 1)
        await live(books.harness)

        assert books.numbers("take") == [1]
        assert await dead(books.harness) == []


async def test_a_dead_letter_of_lost_attempts_that_is_redriven_has_three_new_ones() -> None:
    books = Deadly()
    books.kill("take", 1, times=LOST_IN_A_ROW_MAX + 1)
    services = deployed(books, "take", retry=SLOW, then=follow)
    async with Harness(services=services) as books.harness:
        await publish(books.harness, 1)
        await live(books.harness)
        books.kill("take", 1, times=LOST_IN_A_ROW_MAX - 1)
        (letter,) = await dead(books.harness)
        await redrive(books.harness, letter)
        await live(books.harness)

        assert await followed(books.harness) == [1]
        assert await dead(books.harness) == []


async def test_a_stop_lets_reactions_finish_and_records_them() -> None:
    books = Books()
    going_on = asyncio.Event()
    begun = asyncio.Event()

    async def wait() -> None:
        begun.set()
        await going_on.wait()

    books.fail("take", 1, wait)
    services = deployed(books, "take", then=follow)
    async with Harness(services=services) as harness:
        await publish(harness, 1, 2)
        await begun.wait()
        stopping = asyncio.ensure_future(harness.stop(timedelta(seconds=5)))
        await asyncio.sleep(0)
        going_on.set()
        await stopping
        await harness.restart()
        await harness.idle()

        assert books.began == [("take", "k", 1), ("take", "k", 2)]
        assert await followed(harness) == [1, 2]


async def test_a_stop_cuts_off_what_does_not_finish_and_the_next_start_makes_it_again() -> None:
    books = Books()
    begun = asyncio.Event()

    async def hang() -> None:
        begun.set()
        await asyncio.Future()

    books.fail("take", 1, hang)
    async with Harness(services=deployed(books, "take", then=follow)) as harness:
        await publish(harness, 1, 2)
        await begun.wait()
        await harness.stop(timedelta(0))
        await harness.restart()
        await harness.idle()

        assert [number for _, _, number in books.began] == [1, 1, 2]
        assert await followed(harness) == [1, 2]


async def test_reactions_that_wait_for_their_turn_when_the_node_stops_are_not_lost_attempts() -> (
    None
):
    books = Books()
    begun = asyncio.Event()

    async def hang() -> None:
        begun.set()
        await asyncio.Future()

    services = deployed(books, "take", then=follow, concurrency=1)
    async with Harness(services=services) as harness:
        for _ in range(LOST_IN_A_ROW_MAX + 2):
            books.fail("take", 1, hang)
            begun.clear()
            if harness.running:
                await publish(harness, 1, key="a")
                await publish(harness, 2, key="b")
            await begun.wait()
            await harness.stop(timedelta(0))
            books.faults.clear()
            await harness.restart()
            await live_on(harness)

        assert await dead(harness) == []
        assert sorted(await followed(harness)) == [1] * 5 + [2] * 5


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("commit", range(1, 9))
async def test_a_crash_at_any_commit_of_a_retry_loses_and_repeats_nothing(
    commit: int, when: str
) -> None:
    books = Books()
    books.fail("take", 1, ValueError("once"))
    async with Harness(services=deployed(books, "take", then=follow)) as harness:
        await publish(harness, 1, 2, 3)
        harness.crash_at_commit(commit, when="before" if when == "before" else "after")
        await live_on(harness)

        assert await followed(harness) == [1, 2, 3]
        assert await statuses(harness) == [ReactionStatus.COMPLETED] * 3
        assert await holds(harness) == []
