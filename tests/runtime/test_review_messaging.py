"""What reviewers found about what the store holds for keys, as tests."""

import asyncio
import contextlib
from datetime import timedelta
from typing import Any

import pytest
from tests.design.services_events import (
    ONCE,
    Books,
    Happened,
    dead,
    deployed,
    discard,
    holds,
    live_on,
    publish,
    reaction,
    redrive,
    replay,
    statuses,
    things,
)

from counterpoint import NodeStoppedError, Retry, Service, StoreError, activity
from counterpoint.model.rows import Commit
from counterpoint.runtime.mail import EVENTS, DiscardMail, RedriveMail, mail_row
from counterpoint.runtime.messaging import log_pages, messaging, streams
from counterpoint.testing import Harness

HOUR = timedelta(hours=1)
TWICE = Retry(max_attempts=2, first=HOUR, cap=HOUR, jitter=0)
SLOW = Retry(max_attempts=9, first=HOUR, factor=1, cap=HOUR, jitter=0)


def changing(books: Books, lane: str) -> list[Service]:
    """Return services with a reaction `take` in a lane, and one that stays in the first."""
    shop = Service("shop")
    reaction(shop, "take", books, retry=SLOW, lane=lane)
    reaction(shop, "stays", books)
    return [things, shop]


def catching_up(books: Books, **options: Any) -> list[Service]:
    """Return services with a reaction `take`, and a later one that begins with the log."""
    shop = Service("shop")
    reaction(shop, "take", books, retry=ONCE)
    reaction(shop, "old", books, start="beginning", **options)
    return [things, shop]


# ---- lanes and replays over restarts ----------------------------------------------------------


async def test_a_retry_goes_along_when_its_reaction_leaves_a_lane_in_which_another_one_stays() -> (
    None
):
    books = Books()
    books.fail("take", 1, ConnectionError("it is down"))
    async with Harness(services=changing(books, "")) as harness:
        await publish(harness, 1, 2, 3)
        await publish(harness, 9, key="other")
        await harness.advance(seconds=5)
        for _ in range(2):
            await harness.restart(services=changing(books, "own"))
            await harness.advance(seconds=5)
        await harness.advance(hours=3)

        assert books.numbers("take", "k") == [1, 2, 3]
        assert books.numbers("stays", "k") == [1, 2, 3]
        assert await holds(harness) == []


async def test_a_retry_of_a_replay_and_what_waits_behind_it_survive_restarts() -> None:
    books = Books()
    async with Harness(services=deployed(books, "take", retry=SLOW)) as harness:
        await publish(harness, 1, 2, 3)
        for number in range(4, 9):
            await publish(harness, number, key=str(number))
        await harness.advance(seconds=5)
        books.ended.clear()
        books.fail("take", 1, ConnectionError("it is down"))
        await replay(harness, "shop.take", 1, 8)
        for _ in range(2):
            await harness.advance(seconds=5)
            await harness.restart()
        await harness.advance(hours=3)

        assert books.numbers("take", "k") == [1, 2, 3]
        assert len(books.ended) == 8
        assert len(await harness.store.inner.subscriptions()) == 1


async def test_what_is_delivered_behind_a_dead_letter_of_a_replay_is_a_replay_after_a_restart() -> (
    None
):
    books = Books()
    seen: list[tuple[int, bool]] = []
    shop = Service("shop")

    @shop.on(Happened, retry=ONCE)
    async def take(event: Happened) -> None:
        seen.append((event.number, activity.info().is_replay))
        await books.enter("take", event)

    async with Harness(services=[things, shop]) as harness:
        await publish(harness, 1, 2)
        await harness.advance(seconds=5)
        books.poison.add(("take", 1))
        await replay(harness, "shop.take", 1, 2)
        await harness.advance(seconds=5)
        await harness.restart()
        await harness.advance(seconds=5)
        books.poison.clear()
        seen.clear()
        await redrive(harness, (await dead(harness))[0])
        await harness.advance(seconds=5)

        assert seen == [(1, True), (2, True)]


# ---- holds that no position has reached -------------------------------------------------------


@pytest.mark.parametrize("replays", [False, True], ids=["alone", "beside a replay"])
@pytest.mark.parametrize("commit", [1, 2, 3])
async def test_a_hold_whose_release_a_crash_cut_off_is_released_by_the_next_start(
    commit: int, replays: bool
) -> None:
    books = Books()
    books.poison |= {("take", 2)}
    async with Harness(services=deployed(books, "take", retry=ONCE)) as harness:
        await publish(harness, 1, key="other")
        await harness.advance(seconds=5)
        if replays:  # which stays, because of its dead letter
            books.poison.add(("take", 1))
            await replay(harness, "shop.take", 1, 1)
            await harness.advance(seconds=5)
        await publish(harness, 2)
        await harness.settle()
        letter = (await dead(harness))[0]
        harness.crash_at_commit(commit)  # of the letter, of the act, of the release
        with contextlib.suppress(NodeStoppedError, StoreError):
            await discard(harness, letter)
        await live_on(harness)
        for letter in await dead(harness):
            if letter.event_key == "k":  # the crash came before anybody had acted on it
                await discard(harness, letter)
        await harness.advance(seconds=5)

        assert [key for key, _ in await holds(harness) if key == "k"] == []
        assert len(await dead(harness)) == replays


async def test_a_hold_stays_while_what_is_below_it_is_delivered_to_a_new_reaction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams, "PAGE", 1)
    books = Books()
    books.poison.add(("take", 2))
    async with Harness(services=deployed(books, "take", retry=ONCE)) as harness:
        await publish(harness, 1)
        for number in range(10, 40):
            await publish(harness, number, key=str(number))
        await publish(harness, 2, 3)
        await harness.settle()
        await harness.crash()  # before positions are written: the hold is above them
        await harness.restart(services=catching_up(books))
        await harness.advance(seconds=5)
        assert await holds(harness) == [("k", 32)]

        await harness.restart()
        books.poison.clear()
        await redrive(harness, (await dead(harness))[0])
        await harness.idle()

        assert books.numbers("take", "k") == [1, 2, 3]
        assert books.numbers("old", "k") == [1, 2, 3]
        assert await holds(harness) == []


# ---- acts on dead letters ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", [DiscardMail, RedriveMail])
async def test_an_act_on_a_dead_letter_has_its_effect_while_the_log_is_read(
    kind: type[DiscardMail] | type[RedriveMail], monkeypatch: pytest.MonkeyPatch
) -> None:
    books = Books()
    books.poison.add(("take", 1))
    async with Harness(services=deployed(books, "take", retry=ONCE)) as harness:
        await publish(harness, 1, 2)
        await harness.settle()
        (letter,) = await dead(harness)
        node = harness.app.node
        act = kind(letter.subscription, letter.position)
        mail = mail_row(EVENTS, act, node.clock.now(), node.codec)
        await harness.crash()  # before positions are written: the stream reads it again
        books.poison.clear()
        read = log_pages.page

        async def slow(*args: Any) -> Any:
            found = await read(*args)
            while not (await statuses(harness))[0].over:  # noqa: ASYNC110
                await asyncio.sleep(0)  # the act has its effect while the page is on its way
            return found

        monkeypatch.setattr(streams, "page", slow)
        await harness.store.inner.open(node=True)
        await harness.store.inner.commit(Commit(mail=[mail]))
        await harness.store.inner.close()
        await harness.restart()
        await harness.idle()

        assert books.numbers("take") == ([1, 2] if kind is RedriveMail else [2])
        assert await dead(harness) == []


async def test_a_redriven_dead_letter_that_waits_in_the_log_reaches_who_has_caught_up_since() -> (
    None
):
    books = Books()
    books.poison.add(("old", 1))
    services = catching_up(books, retry=TWICE, on_dead="skip")
    async with Harness(services=deployed(books, "take", retry=ONCE)) as harness:
        await publish(harness, 1, 2)
        await harness.advance(seconds=5)
        await harness.restart(services=services)
        await harness.advance(hours=10)
        (letter,) = await dead(harness)

        hold = harness.hang("shop.old")
        await publish(harness, 3)
        await harness.settle()
        books.poison.clear()
        await redrive(harness, letter)
        books.fail("old", 3, ConnectionError("it is down"))
        hold.release()
        await harness.advance(hours=3)

        assert books.numbers("old") == [2, 3, 1]
        assert await dead(harness) == []
        assert await holds(harness) == []


# ---- many dead letters ------------------------------------------------------------------------


async def test_others_have_their_turns_while_many_held_keys_are_read() -> None:
    keys = [str(number) for number in range(50)]
    books = Books()
    books.poison.add(("take", 1))
    async with Harness(services=deployed(books, "take", retry=ONCE)) as harness:
        await harness.app.publish(*(Happened(key=key, number=1) for key in keys))
        await harness.advance(seconds=5)
        await harness.stop()
        restarting = asyncio.ensure_future(harness.restart())
        while not (harness.running and harness.app.node.messaging.dispatcher.held):  # noqa: ASYNC110
            await asyncio.sleep(0)
        turns = 0
        while harness.app.node.messaging.dispatcher.held:
            await asyncio.sleep(0)
            turns += 1
        await restarting

        assert turns >= len(keys) - 1


async def test_the_more_keys_are_blocked_the_more_rarely_positions_are_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(messaging, "QUEUES_A_SECOND", 10)
    keys = [str(number) for number in range(50)]
    books = Books()
    books.poison.add(("take", 1))

    async def position() -> int:
        (row,) = await harness.store.inner.subscriptions()
        return row.position

    async with Harness(services=deployed(books, "take", retry=ONCE)) as harness:
        await harness.app.publish(*(Happened(key=key, number=1) for key in keys))
        await harness.advance(seconds=2)
        await publish(harness, 2, key="good")
        await harness.advance(seconds=5)
        early = await position()
        await harness.advance(seconds=1)

        assert early == 50
        assert await position() == 51
