"""Issue 4, "Subscriptions": where reactions begin, and that they miss nothing while away."""

import asyncio
from datetime import timedelta

import pytest
from tests.design.services_events import (
    ONCE,
    Books,
    Followed,
    Happened,
    dead,
    deployed,
    discard,
    holds,
    insert,
    marks,
    post,
    publish,
    raw_event,
    reaction,
    redrive,
    statuses,
    things,
    turns,
)

from counterpoint import Retry, Service
from counterpoint.model.messages import ReactionStatus
from counterpoint.runtime.mail import UnsubscribeMail
from counterpoint.runtime.messaging import streams
from counterpoint.testing import Harness


def shop(books: Books, **starts: str) -> list[Service]:
    """Return services with a reaction `take` and others that begin where it says."""
    service = Service("shop")
    reaction(service, "take", books, retry=ONCE)
    for name, start in starts.items():
        reaction(service, name, books, retry=ONCE, start=start)
    return [things, service]


async def positions(harness: Harness) -> dict[str, int]:
    """Return how far each subscription has come."""
    return {row.name: row.position for row in await harness.store.inner.subscriptions()}


async def test_a_new_reaction_begins_now_or_at_the_beginning() -> None:
    books = Books()
    async with Harness(services=shop(books)) as harness:
        await publish(harness, 1, 2, 3)
        await harness.restart(services=shop(books, now="now", old="beginning"))
        await publish(harness, 4)
        await harness.idle()

        assert books.numbers("take") == [1, 2, 3, 4]
        assert books.numbers("old") == [1, 2, 3, 4]
        assert books.numbers("now") == [4]


@pytest.mark.parametrize("page", [1, 500])
async def test_a_new_reaction_begins_now_while_others_have_a_backlog(
    page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "PAGE", page)
    books = Books()
    async with Harness(services=shop(books)) as harness:
        await publish(harness, 1)
        await harness.settle()
        await harness.crash()
        await harness.store.inner.open(node=True)
        await insert(harness, [raw_event({"key": "k", "number": n}) for n in range(2, 20)])
        await harness.store.inner.close()
        await harness.restart(services=shop(books, now="now", old="beginning"))
        await publish(harness, 20)
        await harness.idle()

        assert books.numbers("take") == list(range(1, 21))
        assert books.numbers("old") == list(range(1, 21))
        assert books.numbers("now") == [20]


async def test_a_reaction_begins_where_it_was_deployed_first_however_often_the_app_starts() -> None:
    books = Books()
    async with Harness(services=shop(books)) as harness:
        await publish(harness, 1)
        await harness.restart(services=shop(books, now="now"))
        await harness.crash()
        await harness.restart(services=shop(books, now="beginning"))
        await publish(harness, 2)
        await harness.idle()

        assert books.numbers("now") == [2]


@pytest.mark.parametrize("page", [1, 500])
async def test_a_new_reaction_does_not_make_others_lose_what_is_parked(
    page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "PAGE", page)
    books = Books()
    books.poison.add(("take", 1))
    async with Harness(services=shop(books)) as harness:
        await publish(harness, 1, 2)
        await harness.advance(seconds=5)
        for number in range(3, 9):
            await publish(harness, number, key="other")
        await harness.crash()  # the positions of these are not written
        await harness.restart(services=shop(books, now="now"))
        await harness.advance(seconds=5)
        await harness.restart()
        books.poison.clear()
        await redrive(harness, (await dead(harness))[0])
        await harness.idle()

        assert books.numbers("take", "k") == [1, 2]
        assert await holds(harness) == []


async def test_a_new_reaction_that_begins_now_gets_nothing_old_of_a_key_that_is_held() -> None:
    books = Books()
    books.poison.add(("take", 1))
    async with Harness(services=shop(books)) as harness:
        await publish(harness, 1, 2)
        await harness.advance(seconds=5)
        await harness.restart(services=shop(books, now="now"))
        await publish(harness, 3)
        books.poison.clear()
        await redrive(harness, (await dead(harness))[0])
        await harness.idle()

        assert books.numbers("take") == [1, 2, 3]
        assert books.numbers("now") == [3]


async def test_a_reaction_that_began_while_a_key_was_held_gets_nothing_old_after_a_start() -> None:
    books = Books()
    books.poison.add(("take", 1))
    async with Harness(services=shop(books)) as harness:
        await publish(harness, 1, 2)
        await harness.advance(seconds=5)
        await harness.restart(services=shop(books, now="now"))
        await publish(harness, 3)
        await harness.advance(seconds=5)
        await harness.restart()
        books.poison.clear()
        await redrive(harness, (await dead(harness))[0])
        await harness.idle()

        assert books.numbers("now") == [3]


async def test_a_consumer_that_comes_back_after_a_week_misses_nothing() -> None:
    books = Books()
    async with Harness(services=shop(books, weekly="now")) as harness:
        await publish(harness, 1)
        await harness.restart(services=shop(books))
        for number in range(2, 9):
            await publish(harness, number)
            await harness.advance(days=1)
        await harness.restart(services=shop(books, weekly="now"))
        await publish(harness, 9)
        await harness.idle()

        assert books.numbers("weekly") == list(range(1, 10))
        assert books.numbers("take") == list(range(1, 10))


async def test_events_that_a_reaction_has_not_taken_are_kept_however_old_they_are() -> None:
    books = Books()
    services = shop(books, weekly="now")
    async with Harness(services=services, keep_finished=timedelta(days=2)) as harness:
        await publish(harness, 1)
        await harness.advance(seconds=5)
        await harness.restart(services=shop(books))
        await publish(harness, 2, 3)
        await harness.advance(days=7)
        await harness.restart(services=shop(books, weekly="now"))
        await harness.idle()

        assert books.numbers("weekly") == [1, 2, 3]


async def test_a_removed_reaction_is_kept_with_its_dead_letter_and_what_waits_behind_it() -> None:
    books = Books()
    books.poison.add(("take", 1))
    async with Harness(services=deployed(books, "take", "stays", retry=ONCE)) as harness:
        await publish(harness, 1, 2)
        await harness.advance(seconds=5)
        await harness.restart(services=deployed(books, "stays"))
        await publish(harness, 3)
        await harness.advance(seconds=5)
        assert "shop.take" in await positions(harness)
        assert len(await dead(harness)) == 1

        await harness.restart(services=deployed(books, "take", "stays", retry=ONCE))
        books.poison.clear()
        await redrive(harness, (await dead(harness))[0])
        await harness.idle()

        assert books.numbers("take") == [1, 2, 3]
        assert books.numbers("stays") == [1, 2, 3]


async def test_other_reactions_of_a_lane_go_on_when_the_one_that_blocked_it_is_removed() -> None:
    books = Books()
    books.poison.add(("take", 1))
    async with Harness(services=deployed(books, "take", "stays", retry=ONCE)) as harness:
        await publish(harness, 1, 2)
        await harness.advance(seconds=5)
        assert books.numbers("stays") == []

        await harness.restart(services=deployed(books, "stays"))
        await harness.idle()

        assert books.numbers("stays") == [1, 2]


async def test_the_dead_letter_of_a_removed_reaction_can_be_discarded() -> None:
    books = Books()
    books.poison.add(("take", 1))
    async with Harness(services=deployed(books, "take", retry=ONCE)) as harness:
        await publish(harness, 1, 2)
        await harness.advance(seconds=5)
        await harness.restart(services=deployed(books, "other"))
        await discard(harness, (await dead(harness))[0])
        await harness.restart(services=deployed(books, "take", retry=ONCE))
        await harness.idle()

        assert books.numbers("take") == [2]
        assert await dead(harness) == []


async def test_a_redrive_for_a_removed_reaction_waits_until_it_is_back() -> None:
    books = Books()
    books.poison.add(("take", 1))
    async with Harness(services=deployed(books, "take", retry=ONCE)) as harness:
        await publish(harness, 1, 2)
        await harness.advance(seconds=5)
        await harness.restart(services=deployed(books, "other"))
        books.poison.clear()
        await redrive(harness, (await dead(harness))[0])
        await harness.restart(services=deployed(books, "take", retry=ONCE))
        await harness.idle()

        assert books.numbers("take") == [1, 2]


async def test_a_removed_reaction_is_shown_until_it_is_unsubscribed() -> None:
    books = Books()
    async with Harness(services=deployed(books, "take", "other")) as harness:
        await publish(harness, 1)
        await harness.idle()
        await post(harness, UnsubscribeMail("shop.take", "ann", "not yet"))
        assert set(await positions(harness)) == {"shop.take", "shop.other"}

        await harness.restart(services=deployed(books, "other"))
        await post(harness, UnsubscribeMail("shop.take", "ann", "not needed"))

        assert set(await positions(harness)) == {"shop.other"}
        assert len(await marks(harness)) == 1


async def test_a_reaction_that_changes_its_lane_takes_what_is_parked_along() -> None:
    books = Books()
    books.poison.add(("take", 1))
    async with Harness(services=deployed(books, "take", retry=ONCE)) as harness:
        await publish(harness, 1, 2)
        await harness.advance(seconds=5)
        for lane in ("fast", "fast", "faster"):
            await harness.restart(services=deployed(books, "take", retry=ONCE, lane=lane))
            await harness.advance(seconds=5)
        books.poison.clear()
        await redrive(harness, (await dead(harness))[0])
        await harness.idle()

        assert books.numbers("take") == [1, 2]
        assert await statuses(harness) == [ReactionStatus.COMPLETED] * 2


@pytest.mark.parametrize("last", ["", "fast"])
async def test_what_is_parked_in_the_second_lane_of_a_reaction_is_taken_to_the_third(
    last: str,
) -> None:
    books = Books()
    books.poison.add(("take", 1))
    async with Harness(services=deployed(books, "take", retry=ONCE)) as harness:
        await harness.restart(services=deployed(books, "take", retry=ONCE, lane="slow"))
        await publish(harness, 1, 2)
        await harness.advance(seconds=5)
        await harness.restart(services=deployed(books, "take", retry=ONCE, lane=last))
        await harness.advance(seconds=5)
        books.poison.clear()
        await redrive(harness, (await dead(harness))[0])
        await harness.idle()

        assert books.numbers("take") == [1, 2]


async def test_a_lane_that_nobody_is_in_any_more_holds_nothing() -> None:
    books = Books()
    books.poison.add(("take", 1))
    async with Harness(services=deployed(books, "take", retry=ONCE)) as harness:
        await publish(harness, 1)
        await harness.advance(seconds=5)
        await harness.restart(services=deployed(books, "take", retry=ONCE, lane="fast"))
        books.poison.clear()
        await redrive(harness, (await dead(harness))[0])
        await harness.idle()
        await harness.restart()
        await harness.advance(seconds=5)

        assert await holds(harness) == []


@pytest.mark.parametrize("page", [1, 2, 500])
@pytest.mark.parametrize("number", [1, 3, 5])
async def test_a_reaction_that_catches_up_behind_a_parked_key_keeps_its_order(
    number: int, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "PAGE", page)
    books = Books()
    books.poison.add(("take", number))

    def services() -> list[Service]:
        service = Service("shop")
        reaction(service, "take", books, retry=ONCE)
        reaction(service, "old", books, on=Followed, start="beginning", retry=ONCE)
        return [things, service]

    async with Harness(services=shop(books)) as harness:
        for each in range(1, 6):
            await publish(harness, each, on=Followed)
            await publish(harness, each)
        await harness.advance(seconds=5)
        await harness.restart(services=services())
        await publish(harness, 6, on=Followed)
        await publish(harness, 6)
        await harness.advance(seconds=5)
        books.poison.clear()
        await redrive(harness, (await dead(harness))[0])
        await publish(harness, 7, on=Followed)
        await harness.idle()

        assert books.numbers("take") == [1, 2, 3, 4, 5, 6]
        assert books.numbers("old") == [1, 2, 3, 4, 5, 6, 7]


async def test_what_a_reaction_leaves_in_the_log_while_it_catches_up_comes_before_what_is_new() -> (
    None
):
    books = Books()
    books.poison.add(("take", 2))
    async with Harness(services=shop(books)) as harness:
        await publish(harness, 1, on=Followed)
        await publish(harness, 1)
        await harness.advance(seconds=5)
        await harness.stop()
        await harness.store.inner.open(node=True)
        numbers = [(Happened, 2), (Happened, 3), (Followed, 3)]
        await insert(harness, [raw_event({"key": "k", "number": n}, on=on) for on, n in numbers])
        await harness.store.inner.close()
        service = Service("shop")
        reaction(service, "take", books, retry=ONCE)
        reaction(service, "old", books, on=Followed, start="beginning", retry=ONCE)
        await harness.restart(services=[things, service])
        await publish(harness, 4, on=Followed)
        books.poison.clear()
        await redrive(harness, (await dead(harness))[0])
        await harness.idle()

        assert books.numbers("take") == [1, 2, 3]
        assert books.numbers("old") == [1, 3, 4]


async def test_the_log_is_read_once_for_all_that_have_come_equally_far() -> None:
    books = Books()
    names = [f"r{number}" for number in range(20)]
    async with Harness(services=deployed(books, *names)) as harness:
        await publish(harness, *range(5))
        await harness.idle()
        await harness.restart()

        assert harness.app.node.messaging.streams.others == []
        assert set((await positions(harness)).values()) == {5}


async def test_a_position_passes_over_what_is_done_retried_parked_or_dead() -> None:
    books = Books()
    books.poison |= {("take", 2), ("take", 4)}
    books.fail("take", 3, ConnectionError("it is down"))
    async with Harness(services=deployed(books, "take", retry=ONCE)) as harness:
        await harness.app.publish(
            *(Happened(key=str(number % 3), number=number) for number in range(9))
        )
        await harness.advance(seconds=5)

        assert await positions(harness) == {"shop.take": 9}
        assert sorted(await holds(harness)) == [("0", 4), ("1", 5), ("2", 3)]


async def test_a_position_stays_before_what_is_under_way() -> None:
    books = Books()
    going_on = asyncio.Event()
    books.fail("take", 2, going_on.wait)
    async with Harness(services=deployed(books, "take")) as harness:
        await harness.app.publish(*(Happened(key=str(n), number=n) for n in range(5)))
        await turns(lambda: len(books.numbers("take")) == 4)
        harness.app.node.messaging.write_positions()
        await turns()
        assert await positions(harness) == {"shop.take": 2}

        going_on.set()
        await harness.advance(minutes=2)

        assert await positions(harness) == {"shop.take": 5}


async def test_a_position_passes_over_what_waits_for_a_retry() -> None:
    books = Books()
    retry = Retry(first=timedelta(seconds=50), jitter=0)
    books.fail("take", 1, ConnectionError("it is down"))
    async with Harness(services=deployed(books, "take", retry=retry)) as harness:
        await publish(harness, 1, 2)
        await publish(harness, 3, key="other")
        await harness.advance(seconds=5)
        assert await positions(harness) == {"shop.take": 3}
        assert await holds(harness) == [("k", 1)]
        await harness.crash()
        await harness.restart()
        await harness.idle()

        assert books.numbers("take", "k") == [1, 2]
        assert await holds(harness) == []
